"""A proof that an entry is in the log, which anybody verifies offline (https://c2sp.org/tlog-proof).

::

    c2sp.org/tlog-proof@v1
    index <place in the log>
    <hash, one line each>

    <checkpoint>
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from airflow_mlsecops.core.log.checkpoint import Checkpoint, LogTrust
from airflow_mlsecops.core.log.errors import ProofError
from airflow_mlsecops.core.log.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from airflow_mlsecops.core.log.note import MAX_NOTE_BYTES
from airflow_mlsecops.core.log.tiles import MAX_SIZE

_HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_MAX_HASHES = 64


@dataclass(frozen=True)
class LogProof:
    """That an entry stands at ``index`` in the tree of a checkpoint. Believe nothing before :meth:`verify`.

    Attributes:
        index: the entry's place.
        path: the inclusion proof, the leaf's sibling first.
        checkpoint: the signed note.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    def verify(self, entry: bytes, trust: LogTrust) -> Checkpoint:
        """Verify that this entry is in the log that ``trust`` names.

        1. The checkpoint is signed by one of the log's keys.
        2. The proof leads from the entry's hash at this index to the checkpoint's root.

        Raises:
            LogSignatureError: if step 1 fails.
            ProofError: if step 2 fails.
        """
        # 1.
        checkpoint = Checkpoint.parse(self.checkpoint, trust)
        # 2.
        if not verify_inclusion(leaf_hash(entry), self.index, checkpoint.size, self.path, checkpoint.root):
            raise ProofError(
                f"the proof doesn't lead from this entry at {self.index} to the root of {checkpoint}",
                "it is of another entry, or the log was changed: run `mlsecops log verify`",
            )
        return checkpoint

    def encode(self) -> bytes:
        """The proof as a ``.tlog-proof`` file."""
        lines = [_HEADER, f"index {self.index}", *(base64.b64encode(item).decode() for item in self.path), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> LogProof:
        """Read a ``.tlog-proof`` file. Extra data, which nothing authenticates, is refused.

        Raises:
            ProofError: if it isn't one.
        """
        head, separator, checkpoint = data.partition(b"\n\n")
        lines = head.decode("utf-8", "replace").split("\n")
        match = _INDEX.fullmatch(lines[1]) if len(lines) > 1 else None
        path = tuple(_hash(line) for line in lines[2:])
        if (
            len(data) > 2 * MAX_NOTE_BYTES
            or not separator
            or lines[0] != _HEADER
            or match is None
            or int(match[1]) >= MAX_SIZE
            or len(path) > _MAX_HASHES
            or not all(path)
        ):
            raise ProofError(f"not a {_HEADER} file")
        return cls(int(match[1]), path, checkpoint)


def _hash(line: str) -> bytes:
    try:
        value = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return value if len(value) == HASH_BYTES and base64.b64encode(value).decode() == line else b""
