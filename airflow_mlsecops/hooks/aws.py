"""An S3 client from an Airflow AWS connection."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook

from airflow_mlsecops.core.errors import ConfigurationError


def s3_client(aws_conn_id: str) -> Any:
    """A boto3 S3 client.

    With the Amazon provider installed, its hook reads the connection (assume-role, profiles and all). Without it, these
    fields count: login, password, and of the extra ``region_name``, ``endpoint_url`` and ``aws_session_token``. Nothing
    else of the extra is forwarded.

    Args:
        aws_conn_id: the connection; empty for boto3's own chain (environment, instance role, …).

    Raises:
        ConfigurationError: if there is no such connection.
    """
    import boto3
    from botocore.config import Config

    # A store that is down is Airflow's to retry; here it must only not hang.
    config = Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 3, "mode": "standard"})
    if not aws_conn_id:
        return boto3.client("s3", config=config)
    try:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    except ImportError:
        connection = _connection(aws_conn_id)
        extra = connection.extra_dejson
        return boto3.client(
            "s3",
            aws_access_key_id=connection.login or None,
            aws_secret_access_key=connection.password or None,
            aws_session_token=extra.get("aws_session_token") or None,
            region_name=extra.get("region_name") or None,
            endpoint_url=extra.get("endpoint_url") or None,
            config=config,
        )
    return S3Hook(aws_conn_id=aws_conn_id, config=config).get_conn()


def _connection(conn_id: str) -> Any:
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise ConfigurationError(f"there is no connection {conn_id!r}", "create the AWS connection") from error
