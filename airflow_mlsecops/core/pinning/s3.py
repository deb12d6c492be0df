"""Objects and prefixes on S3, or on any server that speaks its protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
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
                    return Listing(f"s3://{self._bucket}/{self._key}", Form.FILE, (self._headed(raw, self._key, head),))
            prefix = self._key if not self._key or self._key.endswith("/") else self._key + "/"
            files = tuple(self._pinned(prefix, versions) if versions else self._latest(prefix))
        if not files:
            raise ArtifactNotFoundError(
                f"nothing lies at s3://{self._bucket}/{self._key}", "check bucket and key, and the task that writes it"
            )
        return Listing(f"s3://{self._bucket}/{prefix}", Form.TREE, files)

    def _latest(self, prefix: str) -> Iterator[SourceFile]:
        """The newest version of each object: in pages, or one by one where versions can't be listed."""
        try:
            yield from self._listed_versions(prefix)
        except Exception as error:
            if not _cannot_list_versions(error):
                raise
            _LOG.info("s3://%s: versions can't be listed (%s); asking for each object", self._bucket, error)
        else:
            return
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                if not _is_folder_marker(item):
                    yield self._listed(prefix, item["Key"], "")

    def _listed_versions(self, prefix: str) -> Iterator[SourceFile]:
        """One request for up to a thousand objects says name, size, ETag and version id of each."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Versions", ()):
                if not item["IsLatest"] or _is_folder_marker(item):
                    continue
                version = item.get("VersionId") or ""
                if item["ETag"].strip('"'):
                    raw = item["Key"].removeprefix(prefix)
                    yield self._file(raw, item["Key"], item["Size"], item["ETag"], version)
                else:  # some servers leave it out where an object is empty
                    yield self._listed(prefix, item["Key"], "" if version == "null" else version)

    def _pinned(self, prefix: str, versions: Mapping[str, str]) -> Iterator[SourceFile]:
        for raw, version in versions.items():
            yield self._listed(prefix, prefix + raw, version)

    def _listed(self, prefix: str, key: str, version: str) -> SourceFile:
        head = self._head(key, version)
        if head is None:
            raise ArtifactChangedError(f"s3://{self._bucket}/{key} vanished while it was listed", _WRITER)
        return self._headed(key.removeprefix(prefix), key, head)

    def _headed(self, raw: str, key: str, head: dict[str, Any]) -> SourceFile:
        return self._file(raw, key, head["ContentLength"], head["ETag"], head.get("VersionId") or "")

    def _file(self, raw: str, key: str, size: int, etag: str, version: str) -> SourceFile:
        # "null" is what a bucket without versions has, or had when this object was written: it can be overwritten.
        return SourceFile(safe_name(raw), int(size), f"{etag} {key}", "" if version == "null" else version, raw)

    def _head(self, key: str, version: str) -> dict[str, Any] | None:
        extra = {"VersionId": version} if version else {}
        try:
            head: dict[str, Any] = self._client.head_object(Bucket=self._bucket, Key=key, **extra)
        except Exception as error:
            if classify(error) is S3Failure.MISSING:
                return None
            raise
        return head

    def state(self, file: SourceFile) -> str:
        """The ETag, beside a version id, whose bytes never change; without versions nothing is sure."""
        return file.locator.partition(" ")[0] if file.version else ""

    def read(self, file: SourceFile, sink: HashingSink) -> str:
        """See :meth:`Source.read`. Range after range; the next one is fetched while one is hashed."""
        _, _, key = file.locator.partition(" ")
        starts = range(0, file.size, _PART_BYTES) or range(1)
        with self._errors(key), ThreadPoolExecutor(1) as ahead:
            part = self._part(file, 0)
            for start in starts[1:]:
                following = ahead.submit(self._part, file, start)
                sink.write(part)
                part = following.result()
            sink.write(part)
        if sink.size != file.size:
            raise ArtifactChangedError(f"s3://{self._bucket}/{key}: read {sink.size} of {file.size} bytes", _WRITER)
        return file.version

    def _part(self, file: SourceFile, start: int) -> bytes:
        """One answer's bytes, tried again when it breaks off: nothing of it has been hashed until it is whole."""
        etag, _, key = file.locator.partition(" ")
        size = min(_PART_BYTES, file.size - start)
        # If-Match spares the transfer; the answer's own ETag is compared too, for servers that ignore it.
        which = {"VersionId": file.version} if file.version else {"IfMatch": etag}
        if file.size > _PART_BYTES:
            which["Range"] = f"bytes={start}-{start + size - 1}"
        left = _ATTEMPTS
        while True:
            left -= 1
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key, **which)
                if not file.version and answer["ETag"] != etag:
                    raise self._changed(key)
                with closing(answer["Body"]) as body:  # as a context manager it would skip its check of the length
                    return _whole(body, size)
            except ArtifactChangedError:
                raise
            except Exception as error:
                failure = classify(error)
                if failure is S3Failure.EXISTS or (failure is S3Failure.MISSING and not file.version):
                    raise self._changed(key) from error
                if failure is not S3Failure.UNAVAILABLE or not left:
                    raise

    def _changed(self, key: str) -> ArtifactChangedError:
        return ArtifactChangedError(f"s3://{self._bucket}/{key} changed since it was listed", _WRITER)

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
_LOG = logging.getLogger(__name__)
_PART_BYTES = 8 * 1024 * 1024
_ATTEMPTS = 3


def _whole(body: Any, size: int) -> bytes:
    """All bytes of an answer, or a few more than ``size``, by which one sees an object that lies about it."""
    data = bytearray()
    while len(data) <= size and (chunk := body.read(size + 1 - len(data))):
        data += chunk
    return bytes(data)  # that an answer broke off, botocore says at the empty read behind its end


def _is_folder_marker(item: Mapping[str, Any]) -> bool:
    """An empty object whose name ends in a slash, as consoles make it for a folder."""
    return str(item["Key"]).endswith("/") and not item["Size"]


def _cannot_list_versions(error: BaseException) -> bool:
    """Whether the server doesn't know the request, or this identity may list objects but not versions."""
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
    return code in ("NotImplemented", "MethodNotAllowed", "AccessDenied", "403", "501")
