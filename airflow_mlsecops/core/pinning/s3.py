"""Objects and prefixes on S3, or on any server that speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_mlsecops.core.artifact import Form
from airflow_mlsecops.core.digest import HashingSink
from airflow_mlsecops.core.errors import (
    ArtifactChangedError,
    ArtifactNotFoundError,
    ArtifactRefusedError,
    ArtifactUnavailableError,
    ConfigurationError,
)
from airflow_mlsecops.core.manifest import safe_name
from airflow_mlsecops.core.pinning.sources import Listing, Source, SourceFile
from airflow_mlsecops.core.s3_errors import S3Failure, classify


class S3Source(Source):
    """One object, or all objects under a prefix that ends in ``/``.

    Each object is read by its version id where the bucket has versions; where it has none, by its ETag, so that bytes
    from two writes can't mix.
    """

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key

    def list(self, versions: Mapping[str, str] | None = None) -> Listing:
        """See :meth:`Source.list`."""
        with self._errors(self._key):
            if self._key and not self._key.endswith("/"):
                raw = self._key.rsplit("/", 1)[-1]
                head = self._head(self._key, (versions or {}).get(raw, ""))
                if head is not None:
                    return Listing(f"s3://{self._bucket}/{self._key}", Form.FILE, (self._file(raw, self._key, head),))
            prefix = self._key if not self._key or self._key.endswith("/") else self._key + "/"
            files = tuple(self._pinned(prefix, versions) if versions else self._latest(prefix))
        if not files:
            raise ArtifactNotFoundError(
                f"nothing lies at s3://{self._bucket}/{self._key}", "check bucket and key, and the task that writes it"
            )
        return Listing(f"s3://{self._bucket}/{prefix}", Form.TREE, files)

    def _latest(self, prefix: str) -> Iterator[SourceFile]:
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                if item["Key"].endswith("/") and not item["Size"]:
                    continue  # the marker of an empty folder, as consoles make it
                yield self._listed(prefix, item["Key"], "")

    def _pinned(self, prefix: str, versions: Mapping[str, str]) -> Iterator[SourceFile]:
        for raw, version in versions.items():
            yield self._listed(prefix, prefix + raw, version)

    def _listed(self, prefix: str, key: str, version: str) -> SourceFile:
        head = self._head(key, version)
        if head is None:
            raise ArtifactChangedError(f"s3://{self._bucket}/{key} vanished while it was listed", _WRITER)
        return self._file(key.removeprefix(prefix), key, head)

    def _file(self, raw: str, key: str, head: dict[str, Any]) -> SourceFile:
        version = head.get("VersionId") or ""
        if version in ("", "null"):
            version = ""
        locator = f"{head['ETag']} {key}"
        return SourceFile(safe_name(raw), int(head["ContentLength"]), locator, version, raw)

    def _head(self, key: str, version: str) -> dict[str, Any] | None:
        extra = {"VersionId": version} if version else {}
        try:
            head: dict[str, Any] = self._client.head_object(Bucket=self._bucket, Key=key, **extra)
        except Exception as error:
            if classify(error) is S3Failure.MISSING:
                return None
            raise
        return head

    def read(self, file: SourceFile, sink: HashingSink) -> str:
        """See :meth:`Source.read`. Ranged reads, retries and order are s3transfer's; a few parts are in memory."""
        from boto3.s3.transfer import TransferConfig

        etag, _, key = file.locator.partition(" ")
        config = TransferConfig(max_concurrency=2, max_io_queue=4, multipart_chunksize=8 * 1024 * 1024)
        with self._errors(key):
            if file.version:
                extra = {"VersionId": file.version}
            else:
                extra = {}
                if (self._head(key, "") or {}).get("ETag") != etag:
                    raise ArtifactChangedError(f"s3://{self._bucket}/{key} changed since it was listed", _WRITER)
            self._client.download_fileobj(self._bucket, key, sink, ExtraArgs=extra, Config=config)
            if not file.version and (self._head(key, "") or {}).get("ETag") != etag:
                raise ArtifactChangedError(f"s3://{self._bucket}/{key} changed while it was read", _WRITER)
        if sink.size != file.size:
            raise ArtifactChangedError(f"s3://{self._bucket}/{key}: read {sink.size} of {file.size} bytes", _WRITER)
        return file.version

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn boto3's exceptions into ours, so that callers see one vocabulary."""
        try:
            yield
        except (ArtifactChangedError, ArtifactNotFoundError, ArtifactRefusedError):
            raise
        except Exception as error:
            failure, place = classify(error), f"s3://{self._bucket}/{key}"
            if failure is None:
                raise
            if failure in (S3Failure.MISSING, S3Failure.NO_BUCKET):
                raise ArtifactNotFoundError(f"nothing lies at {place}", "check bucket, key and version") from error
            if failure is S3Failure.DENIED:
                raise ConfigurationError(
                    f"access to {place} was denied", "check the AWS connection and the bucket's policy"
                ) from error
            if failure is S3Failure.EXISTS:
                raise ArtifactChangedError(f"{place} changed while it was read", _WRITER) from error
            raise ArtifactUnavailableError(f"{place} can't be reached: {error}", "the task can be retried") from error


_WRITER = "let the writer finish first, or switch on the bucket's versioning"
