"""Words that mix letters which look alike but belong to different scripts, as in ``pаypal`` with a Cyrillic а.

A word is wrong when Latin stands beside a letter of another script, or Greek beside Cyrillic, and at least one of its
letters is one that UTS #39 lists as confusable with a Latin letter. Latin with Chinese, Japanese and Korean letters is
let be (UTS #39, "Highly Restrictive"), and so is ``10kΩ``, whose Greek letter looks like no Latin one. So is a word of
mathematical letters (``𝐩𝐚𝐲𝐩𝐚𝐥``), one with a wide or a phonetic letter among plain ones, and one of another script all
of whose letters look Latin, in a text that is otherwise Latin ("whole-script confusable").
Source: https://www.unicode.org/reports/tr39/, sections 4 and 5.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from airflow_mlsecops.core.validation.security.cells import CellCheck, letters
from airflow_mlsecops.core.validation.security.scripts import scripts

_WITH_LATIN = frozenset({"Latn", "Hani", "Hira", "Kana", "Bopo", "Hang", "Zyyy", "Zinh"})
_PASSED_OVER = {"Mn", "Me", "Cf"}
"""Marks, and what is invisible, don't end a word and have no script of their own."""


_MATHEMATICAL, _WIDE = "mathematical", "wide"
_PHONETIC = frozenset("\u0251\u0261\u0269\u026a\u1d0f\u1d04\u1d20\u1d21\u1d22\ua731")
"""Latin letters of phonetics that look like plain ones."""
_WIDE_LETTERS = [*range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B)]
_MATHEMATICAL_LETTERS = range(0x1D400, 0x1D6A6)
_LONG = 4
"""From so many letters on a word counts that looks Latin as a whole."""

_ASCII_BETWEEN = re.compile(r"[\x00-@\[-`{-\x7f]+")
"""What of ASCII is no letter."""

Word = list[tuple[str, str]]
"""Its letters, each with its kind."""


def homoglyphs(kwargs: Mapping[str, Any]) -> CellCheck:
    """The check; ``allow_greek`` lets Greek letters beside Latin ones pass, as in ``TNFα``."""
    passing = frozenset({"Grek"}) if kwargs.get("allow_greek") else frozenset()
    codes = {*map(ord, scripts().confusable), *map(ord, _PHONETIC), *_WIDE_LETTERS, *_MATHEMATICAL_LETTERS}
    return CellCheck(f"[{letters(codes)}]", lambda text: _is_wrong(text, passing))


def _is_wrong(text: str, passing: frozenset[str]) -> bool:
    chunks = _ASCII_BETWEEN.split(text)
    words = [word for chunk in chunks if not chunk.isascii() for word in _words(chunk)]
    if any(_is_mixed(word, passing) or _is_disguised(word) for word in words):
        return True
    latin = any(chunk and chunk.isascii() for chunk in chunks) or any(_kinds(word) == {"Latn"} for word in words)
    return latin and _passes_for_latin(words, passing)


def _words(text: str) -> list[Word]:
    words: list[Word] = [[]]
    for letter in text:
        kind = "Latn" if letter.isascii() else _kind(letter)
        if kind == "mark":
            continue
        if kind:
            words[-1].append((letter, kind))
        elif words[-1]:
            words.append([])
    return words if words[-1] else words[:-1]


def _kinds(word: Word) -> set[str]:
    return {kind for _, kind in word}


def _is_mixed(word: Word, passing: frozenset[str]) -> bool:
    before, mixed, confusable = "", False, False
    for letter, kind in word:
        mixed = mixed or (_clash(before, kind) and not passing & {before, kind})
        confusable = confusable or letter in scripts().confusable
        if mixed and confusable:
            return True
        before = kind
    return False


def _is_disguised(word: Word) -> bool:
    """Plain letters among which others stand that are Latin, too, but not the ones that they look like."""
    kinds = _kinds(word)
    if _MATHEMATICAL in kinds:
        return "Latn" in kinds or len(word) >= _LONG
    if not any(letter.isascii() for letter, _ in word):
        return False
    phonetic = len(word) >= _LONG and any(letter in _PHONETIC for letter, _ in word)
    return _WIDE in kinds or (phonetic and all(letter.isascii() or letter in _PHONETIC for letter, _ in word))


def _passes_for_latin(words: Sequence[Word], passing: frozenset[str]) -> bool:
    """A long word of one other script, all of whose letters look Latin, as do all words of that script beside it."""
    for script in {"Grek", "Cyrl", "other"} - passing:
        those = [word for word in words if _kinds(word) == {script}]
        looks = all(letter in scripts().confusable for word in those for letter, _ in word)
        if looks and any(len(word) >= _LONG for word in those):
            return True
    return False


def _clash(one: str, other: str) -> bool:
    if not one or one == other:
        return False
    return ("Latn" in (one, other) and not {"CJK", _WIDE, _MATHEMATICAL} & {one, other}) or {one, other} == {
        "Grek",
        "Cyrl",
    }


@cache
def _kind(letter: str) -> str:
    """``Latn``, ``Grek``, ``Cyrl``, ``CJK``, ``wide``, ``mathematical``, ``other``, ``mark``; nothing ends a word."""
    category, code = unicodedata.category(letter), ord(letter)
    if category in _PASSED_OVER:
        return "mark"
    if not category.startswith(("L", "Mc")):
        return ""
    if code in _WIDE_LETTERS or code in _MATHEMATICAL_LETTERS:
        return _WIDE if code in _WIDE_LETTERS else _MATHEMATICAL
    used_by = scripts().of(letter)
    for script in ("Latn", "Grek", "Cyrl"):
        if script in used_by:
            return script
    if used_by & _WITH_LATIN:
        return "CJK"
    return "other"
