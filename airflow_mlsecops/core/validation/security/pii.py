"""Personal data by patterns and check digits, per locale; or by Presidio, where it is installed.

A number counts only when its check digits are right, so order numbers and keys are let be. Numbers without one count
only as they are usually written (a US SSN with hyphens, an NHS number in groups). Digits of other scripts, wide ones,
whatever is invisible between them, other hyphens and spaces, entities and ``name [at] host`` make no difference.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.validation.security import checksums
from airflow_mlsecops.core.validation.security.cells import CellCheck, letters
from airflow_mlsecops.core.validation.security.wrapped import coded, unwrapped


@dataclass(frozen=True)
class Entity:
    """A kind of personal data.

    Attributes:
        locale: where it is used; ``intl`` for everywhere.
        pattern: how it is written.
        valid: whether what was found is one, without its spaces and hyphens.
    """

    locale: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = lambda _: True


def _address(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_unspecified or found.is_loopback)


def _card(text: str) -> bool:
    digits = re.sub("[._/]", "", text)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and digits[0] in "23456" and checksums.luhn(digits)


def _iban(text: str) -> bool:
    """The longest part from the start that is one: words may follow it."""
    length = checksums.IBAN_LENGTHS.get(text[:2].upper(), 0)
    return len(text) >= length > 0 and checksums.iban(text[:length])


_NOT_IN_NUMBER = r"(?<![\w.,-])"
ENTITIES: dict[str, Entity] = {
    "credit-card": Entity(
        "intl",
        re.compile(r"(?<![\w.])(?:[2-6](?:[ -]{0,3}[0-9]){12,18}|[2-6][0-9]{3}(?:[._/][0-9]{4}){3})(?![\w])", re.ASCII),
        _card,
    ),
    "email": Entity("intl", re.compile(r"[\w.%+-]{1,64}@[^\W_](?:[\w-]{0,62}\.){1,8}[^\W\d_]{2,24}")),
    "iban": Entity("intl", re.compile(r"\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}", re.ASCII), _iban),
    "ip": Entity(
        "intl",
        re.compile(r"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w.]*\w)|[0-9A-Fa-f:]{2,39}(?![\w:]))", re.ASCII),
        _address,
    ),
    "phone": Entity(
        "intl",
        re.compile(r"(?<![\w+])\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}(?![0-9])", re.ASCII),
    ),
    "us-ssn": Entity(
        "us",
        re.compile(rf"{_NOT_IN_NUMBER}[0-9]{{3}}([ -])[0-9]{{2}}\1[0-9]{{4}}(?![\w-])", re.ASCII),
        checksums.us_ssn,
    ),
    "de-tax-id": Entity(
        "de",
        re.compile(rf"{_NOT_IN_NUMBER}(?:[0-9]{{11}}|[0-9]{{2}} [0-9]{{3}} [0-9]{{3}} [0-9]{{3}})(?![\w-])", re.ASCII),
        checksums.german_tax_id,
    ),
    "uk-nhs": Entity(
        "uk",
        re.compile(rf"{_NOT_IN_NUMBER}[0-9]{{3}}[ -][0-9]{{3}}[ -][0-9]{{4}}(?![\w-])", re.ASCII),
        checksums.uk_nhs,
    ),
    "uk-nino": Entity(
        "uk",
        re.compile(r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?[0-9]{2}){3} ?[A-D]\b", re.ASCII | re.IGNORECASE),
        checksums.uk_nino,
    ),
    "fr-nir": Entity(
        "fr",
        re.compile(
            rf"{_NOT_IN_NUMBER}[1-478](?: ?[0-9]{{2}}){{2}} ?(?:[0-9]{{2}}|2[AaBb])"
            r"(?: ?[0-9]{3}){2} ?[0-9]{2}(?![\w-])",
            re.ASCII,
        ),
        checksums.french_nir,
    ),
    "es-dni": Entity(
        "es",
        re.compile(rf"{_NOT_IN_NUMBER}(?:[0-9]{{8}}|[XYZxyz][ -]?[0-9]{{7}})[ -]?[A-Za-z](?![\w-])", re.ASCII),
        checksums.spanish_dni,
    ),
}
"""Name -> what it is."""
LOCALES = tuple(sorted({entity.locale for entity in ENTITIES.values()}))
_DASHES = [*range(0x2010, 0x2016), 0x2043, 0x2212, 0xFE58, 0xFE63, 0xFF0D]
_SPACES = [0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]
_UNSEEN = [
    0xAD,
    0x34F,
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    *range(0xFE00, 0xFE10),
]
_BETWEEN = rf"[ ().\-_/{letters([*_DASHES, *_SPACES, *_UNSEEN])}]*"


@cache
def _candidates() -> str:
    """Made when it is needed, for it looks through all of Unicode for what is a digit, or becomes one by NFKC."""
    planes = (*range(0x80, 0xD800), *range(0xF900, 0x20000))
    found = (chr(code) for code in planes if unicodedata.category(chr(code)) in ("Nd", "No"))
    others = letters(ord(each) for each in found if any(map(str.isdecimal, unicodedata.normalize("NFKC", each))))
    digit = f"[0-9{others}]"
    return (
        r"[@\x{ff20}\x{fe6b}]|[\[({][ ]*[aA][tT][ ]*[\])}]|&#|&commat|[aA][mM][pP];[#c]"
        rf"|{coded('40')}"
        rf"|{digit}(?:{_BETWEEN}{digit}){{5}}|[A-Za-z]{{2}}[0-9]{{2}} ?[A-Za-z0-9]"
        rf"|{digit}\.{digit}{{1,3}}\.{digit}{{1,3}}\.{digit}|[0-9A-Fa-f]?:[0-9A-Fa-f]{{0,4}}:"
    )


_AT = re.compile(r"[ ]{0,3}[\[({][ ]{0,3}at[ ]{0,3}[\])}][ ]{0,3}", re.IGNORECASE)
_DOT = re.compile(r"[ ]{0,3}[\[({][ ]{0,3}(?:dot|punkt|point|punto)[ ]{0,3}[\])}][ ]{0,3}", re.IGNORECASE)


def pii(kwargs: Mapping[str, Any]) -> CellCheck:
    """The check.

    Raises:
        ConfigurationError: for unknown locales, entities or engines, or a choice that leaves nothing to look for.
        MissingExtraError: if Presidio is asked for and isn't installed.
    """
    locales, names = kwargs.get("locales"), kwargs.get("entities")
    for what, given, known in (("locales", locales, LOCALES), ("entities", names, ENTITIES)):
        unknown = sorted(set(given or ()) - set(known))
        if unknown:
            raise ConfigurationError(f"{what} names {', '.join(map(repr, unknown))}", f"known: {', '.join(known)}")
    chosen = [
        entity
        for name, entity in ENTITIES.items()
        if (not names or name in names) and (not locales or entity.locale in locales or entity.locale == "intl")
    ]
    if not chosen:
        raise ConfigurationError("locales and entities leave nothing to look for", "name entities of these locales")
    if kwargs.get("engine", "patterns") == "presidio":
        from airflow_mlsecops.core.validation.security.presidio import presidio

        return presidio()
    return CellCheck(
        _candidates(), lambda text: any(_holds(entity, each) for each in _plain(text) for entity in chosen)
    )


def _plain(text: str) -> set[str]:
    """The text, and what a reader takes it for."""
    found = set()
    for each in unwrapped(text):
        found |= {each, each if each.isascii() else ordinary(each)}
    return found | {_DOT.sub(".", _AT.sub("@", each)) for each in found if _AT.search(each)}


def ordinary(text: str) -> str:
    """NFKC with ASCII's digits, hyphens and spaces, and without what is invisible."""
    return "".join(map(_ordinary, unicodedata.normalize("NFKC", text)))


@cache
def _ordinary(letter: str) -> str:
    code = ord(letter)
    if code in _UNSEEN:
        return ""
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    return "-" if code in _DASHES else " " if code in _SPACES else letter


def _holds(entity: Entity, text: str) -> bool:
    return any(entity.valid(re.sub(r"[ -]", "", found.group())) for found in entity.pattern.finditer(text))
