"""What both versions of Rekor share: an append-only file of entries, its Merkle tree, and signed checkpoints.

Sources: RFC 6962 for the tree, https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note for the checkpoint.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.support.loopback_sigstore.keystore import PrivateKey, spki
from tests.support.loopback_sigstore.merkle import MerkleTree


@dataclass(frozen=True)
class Inclusion:
    """One entry in the tree as it stood when the answer was given."""

    index: int
    body: bytes
    root: bytes
    tree_size: int
    hashes: list[bytes]
    checkpoint: str


class Log:
    """An append-only log.

    Attributes:
        key: signs checkpoints.
        key_id: the log's id.
        origin: the first line of its checkpoints.
        name: the signer's name below them: the log's host, which verifiers compare with its URL.
    """

    def __init__(self, path: Path, key: PrivateKey, key_id: bytes, origin: str, name: str) -> None:
        self.key = key
        self.key_id = key_id
        self.origin = origin
        self.name = name
        self._path = path
        self._lock = threading.Lock()
        self._bodies = [base64.b64decode(line) for line in path.read_bytes().split()] if path.exists() else []
        self._tree = MerkleTree(self._bodies)

    def append(self, body: bytes, unique: bool = False) -> Inclusion | None:
        """Add an entry.

        Args:
            body: the entry.
            unique: refuse what is there already.

        Returns:
            The entry's place, or None if ``unique`` and it was there.
        """
        with self._lock:
            if unique and body in self._bodies:
                return None
            with self._path.open("ab") as file:
                file.write(base64.b64encode(body) + b"\n")
            self._bodies.append(body)
            return self._inclusion(self._tree.append(body))

    def get(self, index: int) -> Inclusion | None:
        """The entry at ``index``, proven in today's tree."""
        with self._lock:
            return self._inclusion(index) if 0 <= index < len(self._bodies) else None

    def checkpoint(self) -> str:
        """The signed tree head of now."""
        with self._lock:
            return self._checkpoint()

    def sign(self, message: bytes) -> bytes:
        """Sign with the log's key."""
        return sign(self.key, message)

    def _inclusion(self, index: int) -> Inclusion:
        return Inclusion(
            index,
            self._bodies[index],
            self._tree.root(),
            len(self._tree),
            self._tree.inclusion_proof(index),
            self._checkpoint(),
        )

    def _checkpoint(self) -> str:
        note = f"{self.origin}\n{len(self._tree)}\n{base64.b64encode(self._tree.root()).decode()}\n"
        return signed_note(note, self.name, self.key_id, self.sign)


def signed_note(note: str, name: str, key_id: bytes, signer: Callable[[bytes], bytes]) -> str:
    """``note`` with one signature line below it."""
    signature = base64.b64encode(key_id[:4] + signer(note.encode())).decode()
    return f"{note}\n\u2014 {name} {signature}\n"


def sign(key: PrivateKey, message: bytes) -> bytes:
    """ECDSA with SHA-256, or Ed25519."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def spki_key_id(key: PrivateKey) -> bytes:
    """Rekor v1's log id: the SHA-256 of the key (RFC 6962, section 3.2)."""
    return hashlib.sha256(spki(key)).digest()


def note_key_id(key: ed25519.Ed25519PrivateKey, name: str) -> bytes:
    """Rekor v2's log id: the full-length key id of a signed note by an Ed25519 key."""
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(name.encode() + b"\n\x01" + raw).digest()
