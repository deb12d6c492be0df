"""Personal data by patterns and check digits, per locale; or by Presidio, where it is installed.

A number counts only when its check digits are right, so order numbers and keys are let be. Numbers without one count
only as they are usually written (a US SSN with hyphens, an NHS number in groups).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.validation.security import checksums
from airflow_mlsecops.core.validation.security.cells import CellCheck


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


def _card(digits: str) -> bool:
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and digits[0] in "23456" and checksums.luhn(digits)


def _iban(text: str) -> bool:
    """The longest part from the start that is one: words may follow it."""
    length = checksums.IBAN_LENGTHS.get(text[:2].upper(), 0)
    return len(text) >= length > 0 and checksums.iban(text[:length])


_NOT_IN_NUMBER = r"(?<![\w.,-])"
ENTITIES: dict[str, Entity] = {
    "credit-card": Entity("intl", re.compile(r"(?<![\w.])[2-6](?:[ -]?[0-9]){12,18}(?![\w])", re.ASCII), _card),
    "email": Entity(
        "intl", re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}")
    ),
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
        "us", re.compile(rf"{_NOT_IN_NUMBER}[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}(?![\w-])", re.ASCII), checksums.us_ssn
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
_CANDIDATES = (
    r"@|[0-9](?:[ ().-]{0,2}[0-9]){5}|[A-Za-z]{2}[0-9]{2} ?[A-Za-z0-9]|[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"
    r"|[0-9A-Fa-f]?:[0-9A-Fa-f]{0,4}:"
)


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
    return CellCheck(_CANDIDATES, lambda text: any(_holds(entity, text) for entity in chosen))


def _holds(entity: Entity, text: str) -> bool:
    return any(entity.valid(re.sub(r"[ -]", "", found.group())) for found in entity.pattern.finditer(text))
