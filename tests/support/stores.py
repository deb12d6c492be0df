"""Evidence stores for tests that hold for every backend, with a way to write to them behind the store's back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from airflow_mlsecops.core.pinning import Access
from airflow_mlsecops.core.store import EvidenceStore, open_store
from tests.support.s3_server import S3Server


@dataclass(frozen=True)
class StorePlace:
    """One store, and what an intruder could do to it.

    Attributes:
        root: its URI.
        access: how to reach it.
        overwrite: puts bytes under a key, whatever is there.
        delete: removes what lies under a key.
        keys: all keys in it.
    """

    root: str
    access: Access
    overwrite: Callable[[str, bytes], None]
    delete: Callable[[str], None]
    keys: Callable[[], list[str]]

    @property
    def store(self) -> EvidenceStore:
        """The store, opened anew."""
        return open_store(self.root, self.access)

    def read(self, key: str) -> bytes:
        """The bytes under a key, unchecked."""
        return self.store._backend.read(key, 1 << 30)


def local_place(folder: Path) -> StorePlace:
    """A store in a folder, which is made."""
    folder.mkdir(parents=True)

    def overwrite(key: str, data: bytes) -> None:
        target = folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(data)

    def keys() -> list[str]:
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    return StorePlace(str(folder), Access(), overwrite, lambda key: (folder / key).unlink(), keys)


def s3_place(server: S3Server, bucket: str) -> StorePlace:
    """A store under a prefix of its own in a bucket."""
    client, prefix = server.client(), server.prefix()

    def overwrite(key: str, data: bytes) -> None:
        client.put_object(Bucket=bucket, Key=prefix + key, Body=data)

    def delete(key: str) -> None:
        client.delete_object(Bucket=bucket, Key=prefix + key)

    def keys() -> list[str]:
        found = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return sorted(item["Key"].removeprefix(prefix) for item in found)

    return StorePlace(f"s3://{bucket}/{prefix}", server.access(), overwrite, delete, keys)
