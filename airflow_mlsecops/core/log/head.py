"""The head: the one object whose compare-and-swap commits, and with it the entries that it commits.

It is a write-ahead record. Tiles are written after it, by whoever committed or, if that one died, by whoever comes
next; they follow from the tiles before and from the entries here, so that everybody writes the same.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.log.checkpoint import Checkpoint, LogTrust
from airflow_mlsecops.core.log.errors import LogBrokenError
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.merkle import leaf_hash
from airflow_mlsecops.core.log.tiles import MAX_ENTRY_BYTES, ROOT

HEAD = f"{ROOT}head"
MAX_BATCH_ENTRIES = 4096
MAX_BATCH_BYTES = 2 * 1024 * 1024
MAX_HEAD_BYTES = 8 * 1024 * 1024
_KEYS = {"base", "checkpoint", "entries"}


@dataclass(frozen=True)
class Head:
    """One commit.

    Attributes:
        base: how many entries the log had before.
        entries: what was appended.
        checkpoint: the log after it.
    """

    base: int
    entries: tuple[bytes, ...]
    checkpoint: Checkpoint

    def encode(self) -> bytes:
        """Its bytes in the store."""
        return canonical_json(
            {
                "base": self.base,
                "checkpoint": self.checkpoint.raw.decode(),
                "entries": [base64.b64encode(entry).decode() for entry in self.entries],
            }
        )

    @classmethod
    def parse(cls, data: bytes, trust: LogTrust) -> Head:
        """Read a head. That its entries lead to the checkpoint's root is another question: :meth:`follows`.

        Raises:
            LogBrokenError: if it isn't one.
            LogSignatureError: if its checkpoint isn't signed by the log's key.
        """
        try:
            value = strict_json(data, "the log's head", MAX_HEAD_BYTES)
            if not isinstance(value, dict) or set(value) != _KEYS:
                raise ValueError("wrong fields")
            raw, base = value["checkpoint"].encode(), value["base"]
            entries = tuple(base64.b64decode(item, validate=True) for item in value["entries"])
        except (StatementError, binascii.Error, ValueError, TypeError, AttributeError) as error:
            raise LogBrokenError("the log's head can't be read", "restore it; find out who wrote to it") from error
        checkpoint = Checkpoint.parse(raw, trust)
        if type(base) is not int or base < 0 or not entries or base + len(entries) != checkpoint.size:
            raise LogBrokenError(f"the log's head doesn't add up to {checkpoint}", "restore it")
        if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
            raise LogBrokenError("the log's head has an entry that is too large", "restore it")
        head = cls(base, entries, checkpoint)
        if head.encode() != data:  # Base64 has several spellings of one value, and JSON of one document
            raise LogBrokenError(
                "the log's head isn't spelt as a writer spells it", "restore it; find out who changed it"
            )
        return head

    def follows(self, before: Frontier) -> bool:
        """Whether its entries, appended to the tree ``before``, lead to the root that it signs."""
        grown, _ = before.grow(map(leaf_hash, self.entries))
        return before.size == self.base and grown.root == self.checkpoint.root
