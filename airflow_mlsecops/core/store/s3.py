"""A store on S3, or on any server that speaks its protocol with conditional writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import (
    ConfigurationError,
    EvidenceNotFoundError,
    MlsecopsError,
    StoreUnavailableError,
)
from airflow_mlsecops.core.s3_errors import S3Failure, classify
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.store.retention import Held, Retention, is_final


class S3Backend(Backend):
    """Objects under ``s3://bucket/prefix``, created with ``If-None-Match: *`` so that nothing is ever overwritten.

    With a retention, what never moves is also locked by the bucket (Object Lock), which then has to have that.
    """

    def __init__(self, client: Any, bucket: str, prefix: str, retention: Retention | None = None) -> None:
        self._client = client
        self._retention = retention
        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""

    def __str__(self) -> str:
        return f"evidence store s3://{self._bucket}/{self._prefix}"

    def _create_from(self, key: str, file: Path) -> bool:
        with file.open("rb") as stream:
            return self._create(key, stream)

    def _create(self, key: str, data: bytes | IO[bytes]) -> bool:
        wanted = self._wanted(key)
        lock = {"ObjectLockMode": wanted.mode, "ObjectLockRetainUntilDate": wanted.until} if wanted else {}
        try:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data, IfNoneMatch="*", **lock)
        except Exception as error:
            if classify(error) is S3Failure.EXISTS:
                if wanted:
                    self._retain(key, wanted)
                return False
            raise
        return True

    def retain(self, key: str, mode: str, until: datetime) -> Held:
        """Have the bucket keep an object at least until then, at least that firmly. Never shortens, never weakens.

        Returns:
            The retention that it has now.

        Raises:
            ConfigurationError: if the bucket has no Object Lock, or access is denied.
            EvidenceNotFoundError: if there is no such object.
            StoreUnavailableError: if the store can't be reached.
        """
        with self._guarded(key):
            held = self._retain(key, Held(mode, until))
        if held is None:
            raise EvidenceNotFoundError(f"{self}: nothing under {key}", "it was deleted, or never written")
        return held

    def held(self, key: str) -> Held | None:
        """The retention that an object has now, if it has any.

        Raises:
            EvidenceNotFoundError: if there is no such object.
            StoreUnavailableError: if the store can't be reached.
        """
        with self._guarded(key):
            found = self._head(key)
        if found is None:
            raise EvidenceNotFoundError(f"{self}: nothing under {key}", "it was deleted, or never written")
        return _held(found)

    def _wanted(self, key: str) -> Held | None:
        if self._retention is None or not is_final(key):
            return None
        return Held(self._retention.mode, self._retention.until(utcnow()))

    def _retain(self, key: str, wanted: Held) -> Held | None:
        found = self._head(key)
        if found is None:
            return None
        held = _held(found)
        result = held.raised_to(wanted) if held else wanted
        if result != held:
            self._client.put_object_retention(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Retention={"Mode": result.mode, "RetainUntilDate": result.until},
                **({"VersionId": found["VersionId"]} if "VersionId" in found else {}),
                # S3 asks for this right where the mode changes, also from the weaker to the firmer.
                **({"BypassGovernanceRetention": True} if held and held.mode != result.mode else {}),
            )
        return result

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except Exception as error:
            if classify(error) is S3Failure.MISSING:
                return None
            raise
        return found

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
            if self._retention is not None and _has_no_lock(error):
                raise ConfigurationError(
                    f"{self}: the bucket refuses the retention: it has no Object Lock",
                    "make a bucket with Object Lock, or leave the retention out",
                ) from error
            raise StoreUnavailableError(
                f"{self}: {key}: {error}", "check that the store is up; the task can be retried"
            ) from error


def _is_conflict(error: BaseException) -> bool:
    return _code(error) in ("ConditionalRequestConflict", "409")


def _has_no_lock(error: BaseException) -> bool:
    """AWS says "Bucket is missing Object Lock Configuration"; other servers only that the request is invalid."""
    return _code(error) in ("ObjectLockConfigurationNotFoundError", "InvalidRequest")


def _code(error: BaseException) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code")) if isinstance(response, dict) else ""


def _held(found: dict[str, Any]) -> Held | None:
    mode, until = found.get("ObjectLockMode"), found.get("ObjectLockRetainUntilDate")
    return Held(str(mode), until) if mode and until else None
