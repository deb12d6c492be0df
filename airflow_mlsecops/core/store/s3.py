"""A store on S3, or on any server that speaks its protocol with conditional writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError, MlsecopsError, StoreUnavailableError
from airflow_mlsecops.core.s3_errors import S3Failure, classify
from airflow_mlsecops.core.store.backend import Backend


class S3Backend(Backend):
    """Objects under ``s3://bucket/prefix``, created with ``If-None-Match: *`` so that nothing is ever overwritten."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""

    def __str__(self) -> str:
        return f"evidence store s3://{self._bucket}/{self._prefix}"

    def _create(self, key: str, data: bytes) -> bool:
        try:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data, IfNoneMatch="*")
        except Exception as error:
            if classify(error) is S3Failure.EXISTS:
                return False
            raise
        return True

    def _read(self, key: str, limit: int) -> bytes | None:
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
        except Exception as error:
            if classify(error) is S3Failure.MISSING:
                return None
            raise
        with body:
            data: bytes = body.read(limit + 1)
        return data

    def _list(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        for page in pages:
            for item in page.get("Contents", ()):
                yield item["Key"].removeprefix(self._prefix)

    def _peek(self, key: str, limit: int) -> tuple[bytes, str] | None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        except Exception as error:
            if classify(error) is S3Failure.MISSING:
                return None
            raise
        with answer["Body"] as body:
            data: bytes = body.read(limit + 1)
        return data, str(answer["ETag"])

    def _swap(self, key: str, tag: str, data: bytes) -> bool:
        try:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data, IfMatch=tag)
        except Exception as error:
            # A conflict (409) means that another write was under way and this one wasn't made.
            if classify(error) in (S3Failure.EXISTS, S3Failure.MISSING) or _is_conflict(error):
                return False
            raise
        return True

    def _remove(self, key: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    @contextmanager
    def _guarded(self, key: str) -> Iterator[None]:
        try:
            yield
        except MlsecopsError:
            raise
        except Exception as error:
            failure = classify(error)
            if failure is None:
                raise
            if failure is S3Failure.DENIED:
                raise ConfigurationError(
                    f"{self}: access denied", "check the AWS connection and the bucket's policy"
                ) from error
            if failure is S3Failure.NO_BUCKET:
                raise ConfigurationError(
                    f"{self}: no such bucket", "create it, or correct the evidence root"
                ) from error
            raise StoreUnavailableError(
                f"{self}: {key}: {error}", "check that the store is up; the task can be retried"
            ) from error


def _is_conflict(error: BaseException) -> bool:
    response = getattr(error, "response", None)
    return isinstance(response, dict) and response.get("Error", {}).get("Code") in ("ConditionalRequestConflict", "409")
