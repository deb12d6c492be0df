"""Phrases that give orders to a language model that reads the cell, in several languages.

Patterns ship as data (``data/prompt_injection.json``): each has the stems of which one must be there, and a regular
expression over the text's normal form; ``markers`` are the delimiters of chat templates, over the text as it is. A list
of phrases finds the known ones, in whatever case, width or spacing, and behind the disguises of
:mod:`airflow_mlsecops.core.validation.security.disguise`; it can't find every injection.
Source: OWASP LLM01:2025 Prompt Injection.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.validation.security.cells import CellCheck, letters
from airflow_mlsecops.core.validation.security.disguise import (
    DIGITS_OF,
    LIKE_LATIN,
    SPELLED,
    WRAPPED,
    accented,
    encoded_stems,
    forms,
    hidden_in,
    spelled_out,
)
from airflow_mlsecops.core.validation.security.normal import normal
from airflow_mlsecops.core.validation.security.shipped import shipped


@dataclass(frozen=True)
class Pack:
    """The patterns: languages, each with stems and expressions, and markers."""

    version: str
    stems: Mapping[str, tuple[str, ...]]
    expressions: Mapping[str, tuple[str, ...]]
    markers: tuple[str, ...]


@cache
def pack() -> Pack:
    """The pack that ships."""
    read = shipped("prompt_injection.json")
    languages = read["languages"]
    return Pack(
        read["version"],
        {name: tuple(each["stems"]) for name, each in languages.items()},
        {name: tuple(each["expressions"]) for name, each in languages.items()},
        tuple(read["markers"]),
    )


def prompt_injection(kwargs: Mapping[str, Any]) -> CellCheck:
    """The check.

    Raises:
        ConfigurationError: if ``languages`` names one that the pack doesn't have.
    """
    chosen = tuple(sorted(set(kwargs.get("languages") or pack().stems)))
    unknown = [name for name in chosen if name not in pack().stems]
    if unknown:
        known = ", ".join(sorted(pack().stems))
        raise ConfigurationError(f"no phrases in {', '.join(map(repr, unknown))}", f"known languages: {known}")
    return _check(chosen)


@cache
def _check(languages: tuple[str, ...]) -> CellCheck:
    stems = sorted({stem for name in languages for stem in pack().stems[name]})
    phrases = re.compile("|".join(f"(?:{each})" for name in languages for each in pack().expressions[name]))
    markers = re.compile("|".join(pack().markers), re.IGNORECASE)

    def orders(text: str) -> bool:
        if markers.search(text):
            return True
        if not text.isascii() and markers.search(unicodedata.normalize("NFKC", text)):
            return True
        found = forms(text)
        held = [form for form in found if any(stem in form for stem in stems)]
        return any(map(phrases.search, held)) or ("en" in languages and any(map(spelled_out, found)))

    words = "|".join("".join(f"[{letters(_variants(each))}]" for each in stem) for stem in stems)
    other = letters({*_disguises("".join(stems)), *LIKE_LATIN})
    coded = "|".join(encoded_stems()) if "en" in languages else ""
    return CellCheck(
        rf"{words}|[<\x{{ff1c}}][|\x{{ff5c}}]|[\[\x{{ff3b}}]/?(?:INST|inst)|<<[sS][yY][sS]|[#]{{3}}|[{other}]"
        rf"|<(?:start|end)_of_|&#|[aA][mM][pP];#|{WRAPPED}|{SPELLED}" + (f"|{coded}" if coded else ""),
        lambda text: any(map(orders, hidden_in(text))),
    )


def _variants(letter: str) -> set[int]:
    """A letter in both cases and with marks, and what stands for it in writing with digits."""
    cases = {ord(each) for each in (letter, letter.upper(), letter.lower()) if len(each) == 1}
    return {*cases, *map(ord, DIGITS_OF.get(letter, "")), *accented(letter)}


@cache
def _disguises(stems: str) -> frozenset[int]:
    """Characters whose normal form holds one of these letters although they are another one, or that vanish in it."""
    plain = {each for stem in stems for each in (stem, stem.upper(), stem.lower())}
    found = set()
    planes = (range(0x80, 0xD800), range(0xE000, 0x10000), range(0x1D400, 0x1D800), range(0x1F100, 0x1F200))
    for code in (code for plane in (*planes, range(0x2F800, 0x2FA20), range(0xE0000, 0xE0200)) for code in plane):
        letter = chr(code)
        form = normal(letter)
        if letter in plain or not (form or unicodedata.category(letter) in ("Cf", "Mn", "Lo")):
            continue
        if (not form and not letter.isspace()) or (form != letter and set(form) & set(stems)):
            found.add(code)
    return frozenset(found)
