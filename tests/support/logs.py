"""Evidence logs for tests: keys, entries, a backend in memory, and logs that are made at once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from airflow_mlsecops.core.log import Checkpoint, Entry, EvidenceLog, LogTrust, rebuild_index
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.head import HEAD, Head
from airflow_mlsecops.core.log.merkle import leaf_hash
from airflow_mlsecops.core.log.tiles import ENTRIES, WIDTH, Tile, encode_entries
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.store.backend import Backend

ORIGIN = "example.com/evidence"


def log_key(name: str = "log", kind: str = "ed25519") -> FileKeySigner:
    """A log's signer; for each name the same key for the whole test process."""
    return _key(name, kind)


@cache
def _key(name: str, kind: str) -> FileKeySigner:
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return FileKeySigner(pem, origin=name)


def log_trust(*names: str) -> LogTrust:
    """Trust in the log of these keys; the usual one by default."""
    return LogTrust(ORIGIN, tuple(log_key(name).public_key for name in names or ("log",)))


def sha(text: str) -> str:
    """A digest that stands for something."""
    return hashlib.sha256(text.encode()).hexdigest()


def log_entry(name: object, *subjects: str) -> Entry:
    """An entry about a bundle that needn't exist."""
    return Entry(sha(f"bundle {name}"), "test-result", tuple(sorted(map(sha, subjects or (f"subject {name}",)))))


def log_entries(count: int, prefix: str = "e") -> list[bytes]:
    """As many different entries."""
    return [log_entry(f"{prefix}{number}").encode() for number in range(count)]


class MemoryLogBackend(Backend):
    """Objects in a dict, with everything that a log needs. Tests may write to ``objects``; ``reads`` are counted."""

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self.reads: list[str] = []
        self._mutex = threading.Lock()

    def __str__(self) -> str:
        return "evidence store in memory"

    def copy(self) -> MemoryLogBackend:
        """Another store with the same objects."""
        return MemoryLogBackend(self.objects)

    def _create(self, key: str, data: bytes) -> bool:
        with self._mutex:
            return self.objects.setdefault(key, data) is data

    def _read(self, key: str, limit: int) -> bytes | None:
        self.reads.append(key)
        data = self.objects.get(key)
        return None if data is None else data[: limit + 1]

    def _list(self, prefix: str) -> Iterator[str]:
        yield from [key for key in list(self.objects) if key.startswith(prefix)]

    def _peek(self, key: str, limit: int) -> tuple[bytes, str] | None:
        data = self._read(key, limit)
        return None if data is None else (data, hashlib.sha256(data).hexdigest())

    def _swap(self, key: str, tag: str, data: bytes) -> bool:
        with self._mutex:
            found = self.objects.get(key)
            if found is None or hashlib.sha256(found).hexdigest() != tag:
                return False
            self.objects[key] = data
            return True

    def _remove(self, key: str) -> None:
        self.objects.pop(key, None)


def new_log(backend: Backend, *, admit_all: bool = True, name: str = "log") -> EvidenceLog:
    """A log for writing. By default it commits what others queued without asking for their bundles."""
    return EvidenceLog(backend, log_trust(name), log_key(name), admit=(lambda _: True) if admit_all else None)


def made_log(entries: Sequence[bytes], backend: MemoryLogBackend | None = None) -> tuple[MemoryLogBackend, Checkpoint]:
    """A log of these entries as one commit left it, made without the writer."""
    backend = backend or MemoryLogBackend()
    grown, tiles = Frontier().grow(map(leaf_hash, entries))
    for tile, data in tiles.items():
        backend.objects[tile.key] = data
    for start in range(0, len(entries), WIDTH):
        part = entries[start : start + WIDTH]
        backend.objects[Tile(ENTRIES, start // WIDTH, len(part)).key] = encode_entries(part)
    checkpoint = Checkpoint.sign(grown.size, grown.root, ORIGIN, log_key())
    backend.objects[CHECKPOINT] = checkpoint.raw
    backend.objects[HEAD] = Head(0, tuple(entries), checkpoint).encode()
    rebuild_index(backend, log_trust())
    return backend, checkpoint


def write_files(root: Path, objects: dict[str, bytes]) -> None:
    """Put a log that was made in memory into a folder."""
    for key, data in objects.items():
        target = root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
