"""Check digits are verified exactly: one digit changed, or two neighbours swapped, and it is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.validation.security import checksums

VALID: dict[str, tuple[Callable[[str], bool], list[str]]] = {
    "luhn": (checksums.luhn, ["4111111111111111", "5500000000000004", "340000000000009", "79927398713"]),
    "iban": (
        checksums.iban,
        ["DE89370400440532013000", "GB82WEST12345698765432", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"],
    ),
    "german_tax_id": (checksums.german_tax_id, ["86095742719", "47036892816", "65929970489"]),
    "uk_nhs": (checksums.uk_nhs, ["9434765919", "9434765870"]),
    "french_nir": (checksums.french_nir, ["255081416802538"]),
    "spanish_dni": (checksums.spanish_dni, ["12345678Z", "X1234567L", "Y1234567X", "00000000T"]),
}


@pytest.mark.parametrize("name", list(VALID))
def test_known_numbers_are_valid(name: str) -> None:
    check, numbers = VALID[name]
    assert [number for number in numbers if not check(number)] == []


@pytest.mark.parametrize("name", list(VALID))
def test_one_changed_digit_is_noticed(name: str) -> None:
    check, numbers = VALID[name]
    for number in numbers:
        for place, letter in enumerate(number):
            if letter.isdigit():
                changed = number[:place] + str((int(letter) + 1) % 10) + number[place + 1 :]
                assert not check(changed), changed


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        ("123456789", True),
        ("000456789", False),
        ("666456789", False),
        ("900456789", False),
        ("123006789", False),
        ("123450000", False),
    ],
)
def test_social_security_numbers_that_are_never_given(number: str, valid: bool) -> None:
    assert checksums.us_ssn(number) is valid


def test_national_insurance_prefixes() -> None:
    assert checksums.uk_nino("AB123456C")
    assert not any(checksums.uk_nino(f"{prefix}123456C") for prefix in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"))


def test_tax_ids_have_one_digit_twice_or_thrice() -> None:
    assert not checksums.german_tax_id("12345678903")
    assert not checksums.german_tax_id("06095742719")
    assert not checksums.german_tax_id("11122233344")


@given(st.text("0123456789", min_size=12, max_size=18))
def test_exactly_one_luhn_digit_fits(body: str) -> None:
    assert sum(checksums.luhn(body + str(digit)) for digit in range(10)) == 1


@given(st.integers(0, 99_999_999))
def test_exactly_one_dni_letter_fits(number: int) -> None:
    assert sum(checksums.spanish_dni(f"{number:08}{letter}") for letter in "ABCDEFGHJKLMNPQRSTVWXYZ") == 1


@given(st.text("0123456789", min_size=18, max_size=18))
def test_exactly_one_pair_of_iban_digits_fits(account: str) -> None:
    assert 1 <= sum(checksums.iban(f"DE{check:02}{account}") for check in range(2, 99)) == 1
