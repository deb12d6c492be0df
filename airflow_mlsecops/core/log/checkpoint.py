"""Checkpoints (https://c2sp.org/tlog-checkpoint): a log's name, size and root, signed."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from airflow_mlsecops.core.log.errors import LogSignatureError
from airflow_mlsecops.core.log.merkle import EMPTY_ROOT, HASH_BYTES
from airflow_mlsecops.core.log.note import NoteKey, open_note, sign_note
from airflow_mlsecops.core.log.tiles import MAX_SIZE, ROOT
from airflow_mlsecops.core.signing import KeySigner, PublicKey

CHECKPOINT = f"{ROOT}checkpoint"
"""Where readers find the newest published checkpoint; its tiles are all there."""
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class LogTrust:
    """Which log is meant, and whose signature under its checkpoints counts.

    Attributes:
        origin: the log's name.
        keys: its keys: the one in use, and those from before it changed them.
    """

    origin: str
    keys: tuple[PublicKey, ...]

    @property
    def note_keys(self) -> tuple[NoteKey, ...]:
        """The same as notes name them."""
        return tuple(NoteKey(self.origin, key) for key in self.keys)

    def check(self) -> None:
        """Check that this can be a log's name, and these a log's keys.

        Raises:
            LogSignatureError: if one can't.
        """
        for key in self.note_keys:
            _ = key.key_id


@dataclass(frozen=True)
class Checkpoint:
    """One state of a log, verified when it was read.

    Attributes:
        origin: the log's name.
        size: how many entries it had.
        root: the root over them.
        raw: the signed note, as it lies in the store.
    """

    origin: str
    size: int
    root: bytes
    raw: bytes

    def __str__(self) -> str:
        return f"{self.origin} at {self.size} ({self.root.hex()[:16]}…)"

    @classmethod
    def sign(cls, size: int, root: bytes, origin: str, signer: KeySigner) -> Checkpoint:
        """Sign a state of the log.

        Raises:
            LogSignatureError: if the name or the key is of a kind that can't sign notes.
            SigningError: if the key can't sign.
        """
        text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        return cls(origin, size, root, sign_note(text, origin, signer))

    @classmethod
    def parse(cls, raw: bytes, trust: LogTrust) -> Checkpoint:
        """Read a checkpoint and verify it.

        1. It is a note with a valid signature by one of the log's keys.
        2. It is for this log.
        3. Size and root are written in their one way; the empty log has the empty root.

        Raises:
            LogSignatureError: if a step fails.
        """
        # 1.
        lines = open_note(raw, trust.note_keys).split("\n")[:-1]
        # 2.
        if len(lines) < 3 or lines[0] != trust.origin or not all(lines):
            raise LogSignatureError(
                f"expected a checkpoint of {trust.origin}, got {lines[0][:80]!r}", "is it another log's?"
            )
        # 3.
        size = int(lines[1]) if _SIZE.fullmatch(lines[1]) else MAX_SIZE
        root = _hash(lines[2])
        if size >= MAX_SIZE or len(root) != HASH_BYTES or (size == 0 and root != EMPTY_ROOT):
            raise LogSignatureError(
                f"a checkpoint with size {lines[1][:40]!r} and root {lines[2][:60]!r}", "its signer isn't one of ours"
            )
        return cls(trust.origin, size, root, raw)


def _hash(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return value if base64.b64encode(value).decode() == text else b""
