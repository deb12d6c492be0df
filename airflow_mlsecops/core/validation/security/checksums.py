"""Check digits of numbers that name a person, an account or a card; each exactly as its standard has it."""

from __future__ import annotations

import re
from collections import Counter

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Source: SWIFT, IBAN Registry."""
_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


def luhn(digits: str) -> bool:
    """Source: ISO/IEC 7812-1, annex B."""
    total = sum(int(each) for each in digits[-1::-2])
    return (total + sum(sum(divmod(2 * int(each), 10)) for each in digits[-2::-2])) % 10 == 0


def iban(text: str) -> bool:
    """Source: ISO 13616; ISO/IEC 7064 MOD 97-10."""
    text = text.upper()
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isascii() or not text.isalnum():
        return False
    return int("".join(str(int(each, 36)) for each in text[4:] + text[:4])) % 97 == 1


def us_ssn(digits: str) -> bool:
    """No check digit, but areas, groups and serials that are never given. Source: SSA, POMS RM 10201.035."""
    return digits[:3] not in ("000", "666") and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


def german_tax_id(digits: str) -> bool:
    """Source: BZSt, Aufbau der Identifikationsnummer; ISO/IEC 7064 MOD 11,10."""
    body = Counter(digits[:10])
    often = [count for count in body.values() if count > 1]
    if digits[0] == "0" or len(often) != 1 or often[0] > 3 or re.search(r"(\d)\1\1", digits[:10]):
        return False
    product = 10
    for each in digits[:10]:
        product = ((int(each) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def uk_nhs(digits: str) -> bool:
    """Source: NHS Data Dictionary, NHS number, MOD 11."""
    check = 11 - sum(int(each) * weight for each, weight in zip(digits, range(10, 1, -1), strict=False)) % 11
    return check != 10 and check % 11 == int(digits[9])


def uk_nino(text: str) -> bool:
    """Prefixes that are never given. Source: HMRC, NIM39110."""
    return text[:2].upper() not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def french_nir(text: str) -> bool:
    """Source: INSEE, NIR; Corsica's 2A counts as 19 and 2B as 18."""
    number = int(text[:13].upper().replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(text[13:])


def spanish_dni(text: str) -> bool:
    """DNI and, with X, Y or Z before it, NIE. Source: Ministerio del Interior, cálculo del dígito de control."""
    text = text.upper()
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI[int(number) % 23] == text[-1]
