r"""Texts brought to one form, so that case, punctuation, width and what is invisible make no difference.

NFKC, without what is ignorable by default, case-folded, every run of other than letters and digits one space, trimmed.

>>> normal("  Ignore\u200b  ALL\u00a0previous—instructions!")
'ignore all previous instructions'
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_OTHER = re.compile(r"[^a-z0-9]+")
_NOT_WORD = re.compile(r"[\W_]+")


def normal(text: str) -> str:
    """The text's normal form."""
    if text.isascii():
        return _OTHER.sub(" ", text.lower()).strip(" ")
    folded = "".join(each for each in unicodedata.normalize("NFKC", text) if not _ignorable(each)).casefold()
    return _NOT_WORD.sub(" ", unicodedata.normalize("NFC", folded)).strip(" ")


@cache
def _ignorable(letter: str) -> bool:
    """Format characters, selectors, and the fillers that count as letters."""
    code = ord(letter)
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or code in (0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0):
        return True
    return unicodedata.category(letter) == "Cf"
