"""A check of one cell: a cheap pattern that selects candidates, and what decides about them exactly.

The pattern runs in RE2 (DuckDB) and in Python's ``re``, and is written with what means the same in both: literals,
explicit classes, bounded repetition. It may select too much, never too little; a test holds that. Only the candidates
are looked at in Python, so what SQL can't say (checksums, scripts of letters) is exact and still cheap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class CellCheck:
    """What is wrong with a text.

    Attributes:
        candidates: pattern that is found in every text that is wrong.
        decide: whether a text is wrong; it needn't look for the pattern again.
    """

    candidates: str
    decide: Callable[[str], bool]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(python_pattern(self.candidates))

    def broken(self, text: str) -> bool:
        """Whether the text is wrong."""
        return self._pattern.search(text) is not None and self.decide(text)


def python_pattern(pattern: str) -> str:
    r"""RE2's ``\x{41}`` as Python's ``\U00000041``."""
    return re.sub(r"\\x\{([0-9a-f]+)\}", lambda found: f"\\U{int(found.group(1), 16):08x}", pattern)


def letters(codes: Iterable[int]) -> str:
    r"""The inside of a class that holds these code points, as ranges of ``\x{…}``.

    >>> letters([0x41, 0x42, 0x43, 0x5a])
    '\\x{41}-\\x{43}\\x{5a}'
    """
    spans: list[list[int]] = []
    for code in sorted(set(codes)):
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "".join(f"\\x{{{low:x}}}" + (f"-\\x{{{high:x}}}" if high > low else "") for low, high in spans)
