"""Characters that nobody sees: zero width, text direction, tags, variation selectors where they select nothing.

What writing needs is let be: joiners inside emoji and in scripts that join (Arabic, Indic), direction marks in text
that runs from right to left, a selector behind what has variants, the flags of England, Scotland and Wales. Sources:
Trojan Source (Boucher and Anderson, USENIX Security 2023); UTS #51; RFC 5892, appendix A (joiners); UTR #36.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.validation.security.cells import CellCheck, letters
from airflow_mlsecops.core.validation.security.scripts import scripts

_JOINERS = {0x200C, 0x200D}
_MARKS = {0x200E, 0x200F, 0x061C}
_SELECTORS = {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), *range(0x180B, 0x180E), 0x180F}
_TAGS = set(range(0xE0000, 0xE0080))
_BRAILLE_BLANK = 0x2800
GROUPS: dict[str, set[int]] = {
    "zero-width": {0x200B, 0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0x180E, 0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0},
    "byte-order-mark": {0xFEFF},
    "soft-hyphen": {0x00AD},
    "bidi-controls": {*range(0x202A, 0x202F), *range(0x2066, 0x206A)},
    "deprecated": {*range(0x206A, 0x2070), *range(0xFFF9, 0xFFFC), *range(0x1D173, 0x1D17B), 0x17B4, 0x17B5},
    "joiners": _JOINERS,
    "bidi-marks": _MARKS,
    "variation-selectors": _SELECTORS,
    "tags": _TAGS,
    # Given to no character yet, and to be passed over by whoever doesn't know them: place for a whole hidden text.
    "reserved": {0x2065, *range(0xFFF0, 0xFFF9), *range(0xE0080, 0xE0100), *range(0xE01F0, 0xE1000)},
    "blanks": {_BRAILLE_BLANK, 0x1D159, *range(0x1BCA0, 0x1BCA4)},
}
"""Group -> code points; ``allow`` names groups that are let pass."""
_JOINING = frozenset({
    "Adlm", "Arab", "Bali", "Beng", "Deva", "Gujr", "Guru", "Java", "Khmr", "Knda", "Laoo", "Mand", "Mani", "Mlym",
    "Mong", "Mymr", "Newa", "Nkoo", "Orya", "Phag", "Rohg", "Sinh", "Sogd", "Sund", "Syrc", "Taml", "Telu", "Thai",
    "Tibt", "Tirh",
})  # fmt: skip
_FLAG = re.compile(
    "\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)"
    "\U000e007f"
)
"""The flags of England, Scotland and Wales, in tags: gbeng, gbsct, gbwls."""
_EMOJI_PARTS = {0xFE0F, *range(0x1F3FB, 0x1F400)}


def invisible(kwargs: Mapping[str, Any]) -> CellCheck:
    """The check.

    Raises:
        ConfigurationError: if ``allow`` names no group.
    """
    allow = kwargs.get("allow") or []
    unknown = sorted(set(allow) - GROUPS.keys())
    if unknown:
        raise ConfigurationError(f"allow names {', '.join(map(repr, unknown))}", f"known: {', '.join(sorted(GROUPS))}")
    codes = frozenset().union(*(members for name, members in GROUPS.items() if name not in allow))
    return CellCheck(f"[{letters(codes)}]", lambda text: _hides(text, codes))


def _hides(text: str, codes: frozenset[int]) -> bool:
    text = _FLAG.sub("\U0001f3f4", text)
    turns, braille = any(map(_runs_left, text)), any("\u2801" <= each <= "\u28ff" for each in text)
    for place, letter in enumerate(text):
        code = ord(letter)
        if code not in codes:
            continue
        if code in _JOINERS and _may_join(text, place):
            continue
        if code in _MARKS and turns and not _is_mark(text[place + 1 : place + 2]):
            continue  # alone, in a text that runs from right to left; rows of marks could spell something
        if code == _BRAILLE_BLANK and braille:
            continue
        if code in _SELECTORS and _may_select(text, place):
            continue
        return True
    return False


def _may_join(text: str, place: int) -> bool:
    """Between parts of an emoji, or behind a letter of a script that joins."""
    before = place - 1
    while before >= 0 and ord(text[before]) in _EMOJI_PARTS:
        before -= 1
    if before < 0:
        return False
    following = text[place + 1 : place + 2]
    if ord(text[place]) == 0x200D and following and _is_picture(text[before]) and _is_picture(following):
        return True
    return before == place - 1 and bool(scripts().of(text[before]) & _JOINING)


def _is_mark(letter: str) -> bool:
    return letter != "" and ord(letter) in _MARKS


def _may_select(text: str, place: int) -> bool:
    """One selector, behind a sign, a digit of a key cap, an ideograph or a letter of Mongolian."""
    if place == 0:
        return False
    before, code = text[place - 1], ord(text[place])
    used_by = scripts().of(before)
    if code >= 0xE0100:
        return "Hani" in used_by
    if 0x180B <= code <= 0x180F:
        return bool(used_by & {"Mong", "Phag"})
    if code in (0xFE0E, 0xFE0F) and (_is_picture(before) or before in "0123456789#*"):
        return True
    return bool(used_by & {"Hani", "Hira", "Kana", "Mymr", "Phag", "Mani"}) or unicodedata.category(before) == "Sm"


@cache
def _is_picture(letter: str) -> bool:
    """A sign that emoji are made of, and the keys, arrows and letters in circles that have an emoji form."""
    category = unicodedata.category(letter)
    return (ord(letter) > 0xFF and category in ("So", "Sm", "Sk", "Po", "Cn")) or letter in "\u00a9\u00ae"


@cache
def _runs_left(letter: str) -> bool:
    return unicodedata.bidirectional(letter) in ("R", "AL", "AN") and ord(letter) not in _MARKS
