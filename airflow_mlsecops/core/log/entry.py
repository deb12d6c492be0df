"""What the evidence log holds: one entry for each bundle.

An entry is canonical JSON (RFC 8785) and binds the bundle's exact bytes, its kind and its subjects::

    {"bundle":"<sha256>","kind":"evidence/v1","predicate":"<slug>","subjects":["<sha256>", ...]}

The subjects follow from the bundle's bytes; they stand in the entry so that whoever has only the log knows which
artifacts it speaks of, and notices when the evidence about one of them was withheld.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.log.errors import LogEntryError
from airflow_mlsecops.core.predicates import predicate_by_uri

KIND = "evidence/v1"
MAX_SUBJECTS = 512
"""What surely fits into the 65,535 bytes that an entry may have."""
_HEX = "[0-9a-f]{64}"
_ENTRY = re.compile(
    rf'\{{"bundle":"({_HEX})","kind":"{KIND}","predicate":"([a-z0-9][a-z0-9-]{{0,63}})",'
    rf'"subjects":\["({_HEX}(?:","{_HEX}){{0,{MAX_SUBJECTS - 1}}})"\]\}}'.encode()
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    Attributes:
        bundle: SHA-256 of the bundle's bytes.
        predicate: the predicate's slug.
        subjects: the subjects' SHA-256, sorted, each once.
    """

    bundle: str
    predicate: str
    subjects: tuple[str, ...]

    @classmethod
    def of(cls, bundle: Bundle) -> Entry:
        """The entry of a bundle.

        Raises:
            StatementError: if its predicate type isn't known.
            LogEntryError: if it has more subjects than an entry holds.
        """
        subjects = tuple(sorted({digest for _, digest in bundle.statement.subjects}))
        if len(subjects) > MAX_SUBJECTS:
            raise LogEntryError(
                f"a statement about {len(subjects)} subjects; a log entry holds {MAX_SUBJECTS}",
                "pin them as one folder: its manifest is one subject",
            )
        return cls(bundle.digest, predicate_by_uri(bundle.statement.predicate_type).slug, subjects)

    @classmethod
    def parse(cls, data: bytes) -> Entry:
        """Read an entry; only the one canonical spelling is taken.

        Raises:
            LogEntryError: if it isn't one.
        """
        match = _ENTRY.fullmatch(data)
        if match is None:
            raise LogEntryError(f"not an entry of the evidence log: {data[:80]!r}")
        subjects = match[3].decode().split('","')
        if any(left >= right for left, right in pairwise(subjects)):
            raise LogEntryError("an entry whose subjects aren't sorted, or stand twice")
        return cls(match[1].decode(), match[2].decode(), tuple(subjects))

    def encode(self) -> bytes:
        """The bytes that the log holds."""
        return canonical_json(
            {"bundle": self.bundle, "kind": KIND, "predicate": self.predicate, "subjects": list(self.subjects)}
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """Where the bundle lies in the evidence store: once for each subject."""
        return tuple(f"bundles/{subject}/{self.predicate}/{self.bundle}.sigstore.json" for subject in self.subjects)
