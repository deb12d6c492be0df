"""Clients of AWS services from an Airflow AWS connection."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook

from airflow_mlsecops.core.errors import ConfigurationError


def s3_client(aws_conn_id: str) -> Any:
    """A boto3 S3 client; see :func:`aws_client`."""
    return aws_client("s3", aws_conn_id)


def kms_client(aws_conn_id: str, region: str = "", endpoint: str = "") -> Any:
    """A boto3 client of the key service; see :func:`aws_client`."""
    return aws_client("kms", aws_conn_id, region, endpoint)


def aws_client(service: str, aws_conn_id: str, region: str = "", endpoint: str = "") -> Any:
    """A boto3 client.

    With the Amazon provider installed, its hook reads the connection (assume-role, profiles and all). Without it, these
    fields count: login, password, and of the extra ``region_name``, ``endpoint_url`` and ``aws_session_token``. Nothing
    else of the extra is forwarded. Of the key service, the endpoint is never the connection's, which is meant for S3.

    Args:
        service: ``s3`` or ``kms``.
        aws_conn_id: the connection; empty for boto3's own chain (environment, instance role, …).
        region: in place of the connection's.
        endpoint: in place of the connection's.

    Raises:
        ConfigurationError: if there is no such connection.
    """
    from boto3.session import Session
    from botocore.config import Config

    # A session of its own: the default one keeps the first credentials that a process ever had, and is for one thread.
    # A service that is down is Airflow's to retry; here it must only not hang.
    config = Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 3, "mode": "standard"})
    if not aws_conn_id:
        return Session().client(service, region_name=region or None, endpoint_url=endpoint or None, config=config)
    try:
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
    except ImportError:
        connection = _connection(aws_conn_id)
        extra = connection.extra_dejson
        own_endpoint = extra.get("endpoint_url") if service == "s3" else None
        return Session().client(
            service,
            aws_access_key_id=connection.login or None,
            aws_secret_access_key=connection.password or None,
            aws_session_token=extra.get("aws_session_token") or None,
            region_name=region or extra.get("region_name") or None,
            endpoint_url=endpoint or own_endpoint or None,
            config=config,
        )
    hook = AwsBaseHook(aws_conn_id=aws_conn_id, client_type=service, region_name=region or None, config=config)
    if endpoint:
        return hook.get_session(region_name=region or None).client(service, endpoint_url=endpoint, config=config)
    return hook.get_conn()


def _connection(conn_id: str) -> Any:
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise ConfigurationError(f"there is no connection {conn_id!r}", "create the AWS connection") from error
