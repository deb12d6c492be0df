"""Which script a letter belongs to, and which letters look like Latin ones; from the Unicode Character Database.

The table is made by ``scripts/unicode-tables`` and says which version of Unicode it is of. Sources: UAX #24
(Scripts.txt, ScriptExtensions.txt) and UTS #39 (confusables.txt).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from airflow_mlsecops.core.validation.security.shipped import shipped


@dataclass(frozen=True)
class Scripts:
    """The table.

    Attributes:
        unicode: the version of Unicode.
        starts: first code points of the ranges, rising.
        ends: their last ones.
        scripts: for each range the scripts that use it, by their four-letter codes.
        confusable: letters of other scripts that UTS #39 takes for a Latin letter.
    """

    unicode: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    scripts: tuple[frozenset[str], ...]
    confusable: frozenset[str]

    def of(self, letter: str) -> frozenset[str]:
        """The scripts that use a character; empty for what has none."""
        code = ord(letter)
        place = bisect_right(self.starts, code) - 1
        return self.scripts[place] if place >= 0 and code <= self.ends[place] else frozenset()


@cache
def scripts() -> Scripts:
    """The table that ships."""
    read = shipped("scripts.json")
    rows = read["scripts"]
    return Scripts(
        read["unicode"],
        tuple(row[0] for row in rows),
        tuple(row[1] for row in rows),
        tuple(frozenset(row[2].split()) for row in rows),
        frozenset(read["confusable_with_latin"]),
    )
