"""Words that mix letters which look alike but belong to different scripts, as in ``pаypal`` with a Cyrillic а.

A word is wrong when Latin stands beside a letter of another script, or Greek beside Cyrillic, and at least one of its
letters is one that UTS #39 lists as confusable with a Latin letter. Latin with Chinese, Japanese and Korean letters is
let be (UTS #39, "Highly Restrictive"), and so is ``10kΩ``, whose Greek letter looks like no Latin one.
Source: https://www.unicode.org/reports/tr39/, sections 4 and 5.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

from airflow_mlsecops.core.validation.security.cells import CellCheck, letters
from airflow_mlsecops.core.validation.security.scripts import scripts

_WITH_LATIN = frozenset({"Latn", "Hani", "Hira", "Kana", "Bopo", "Hang", "Zyyy", "Zinh"})
_PASSED_OVER = {"Mn", "Me", "Cf"}
"""Marks, and what is invisible, don't end a word and have no script of their own."""


def homoglyphs(kwargs: Mapping[str, Any]) -> CellCheck:
    """The check; ``allow_greek`` lets Greek letters beside Latin ones pass, as in ``TNFα``."""
    passing = frozenset({"Grek"}) if kwargs.get("allow_greek") else frozenset()
    return CellCheck(f"[{letters(ord(each) for each in scripts().confusable)}]", lambda text: _is_mixed(text, passing))


def _is_mixed(text: str, passing: frozenset[str]) -> bool:
    before = ""
    mixed = confusable = False
    for letter in text:
        kind = ("Latn" if letter.isalpha() else "") if letter.isascii() else _kind(letter)
        if kind == "mark":
            continue
        if not kind:
            before, mixed, confusable = "", False, False
            continue
        mixed = mixed or (_clash(before, kind) and not passing & {before, kind})
        confusable = confusable or letter in scripts().confusable
        if mixed and confusable:
            return True
        before = kind
    return False


def _clash(one: str, other: str) -> bool:
    if not one or one == other:
        return False
    return ("Latn" in (one, other) and "CJK" not in (one, other)) or {one, other} == {"Grek", "Cyrl"}


@cache
def _kind(letter: str) -> str:
    """``Latn``, ``Grek``, ``Cyrl``, ``CJK``, ``other``, ``mark``, or nothing for what ends a word."""
    category = unicodedata.category(letter)
    if category in _PASSED_OVER:
        return "mark"
    if not category.startswith(("L", "Mc")):
        return ""
    used_by = scripts().of(letter)
    for script in ("Latn", "Grek", "Cyrl"):
        if script in used_by:
            return script
    if used_by & _WITH_LATIN:
        return "CJK"
    return "other"
