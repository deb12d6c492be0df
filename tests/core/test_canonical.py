"""JSON is read strictly and written canonically."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.canonical import canonical_json, jsonable, strict_json
from airflow_mlsecops.core.errors import StatementError

SAFE_INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
# RFC 8785 writes 2.0**53 like the integer, which is then beyond what it writes.
FLOATS = st.floats(-(2.0**53), 2.0**53, exclude_min=True, exclude_max=True)
VALUES = st.recursive(
    st.none() | st.booleans() | SAFE_INTEGERS | FLOATS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
"""Values that JSON can hold."""


@given(VALUES)
def test_written_values_are_read_back_and_written_the_same(value: Any) -> None:
    data = canonical_json(value)

    assert strict_json(data) == value
    assert canonical_json(strict_json(data)) == data


@given(VALUES)
def test_both_encoders_write_the_same(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [2**53, -(2**53), [{"size": 2**60}], {"name": "\ud800"}, {"\ud800": 1}])
def test_what_is_no_json_for_one_encoder_is_none_for_the_other(value: Any) -> None:
    with pytest.raises(StatementError):
        canonical_json(value)


@given(st.dictionaries(st.text(), SAFE_INTEGERS))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_the_example_of_rfc_8785() -> None:
    # RFC 8785, section 3.2.2 and 3.2.3
    text = (
        b'{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],'
        b'"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}'
    )

    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical_json(strict_json(text)) == expected.encode()


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 2**53, {1: 2}, object(), {"a": b"b"}, "\ud800", {"\udfff": 1}]
)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(StatementError, match="canonical JSON"):
        canonical_json(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a": 1',
        b'{"a": 1}}',
        b'{"a": 1, "a": 1}',
        b'{"o": {"a": 1, "\\u0061": 2}}',
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b"[-1e999]",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'"\xed\xa0\x80"',
        b'["\\ud800"]',
        b'{"\\uDFFF": 1}',
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"1" * 10_000,
        b"{'a': 1}",
        b"[1,]",
        b"// comment\n{}",
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(StatementError, match="thing is not valid JSON"):
        strict_json(data, "thing")


def test_whole_pairs_of_surrogates_are_read() -> None:
    assert strict_json(b'["\\ud83d\\ude00"]') == ["😀"]


def test_too_much_is_not_read_at_all() -> None:
    assert strict_json(b"[1, 2]", limit=6) == [1, 2]
    with pytest.raises(StatementError, match="7 bytes, more than the 6"):
        strict_json(b"[1, 2] ", limit=6)


def test_a_late_duplicate_among_many_keys_is_found_without_comparing_all_with_all() -> None:
    keys = ",".join(f'"{i}":0' for i in range(300_000))  # compared pairwise, this would run for an hour

    with pytest.raises(StatementError, match="duplicate key 'last'"):
        strict_json(f'{{{keys},"last":1,"last":2}}'.encode())


@given(VALUES)
def test_jsonable_keeps_what_json_holds_already(value: Any) -> None:
    assert jsonable(value) == value


def test_jsonable_turns_what_controls_compute_with_into_json() -> None:
    value = {
        "int": np.int64(3),
        "float": np.float32(0.5),
        "bool": np.bool_(True),
        "text": np.str_("a"),
        "nan": np.float64("nan"),
        "inf": math.inf,
        "big": 2**60,
        "tuple": (1, {2}),
        "set": {"b", "a"},
        5: "key",
    }

    turned = jsonable(value)

    assert turned == {
        "int": 3,
        "float": 0.5,
        "bool": True,
        "text": "a",
        "nan": None,
        "inf": None,
        "big": str(2**60),
        "tuple": [1, [2]],
        "set": ["a", "b"],
        "5": "key",
    }
    assert json.loads(canonical_json(turned)) == turned
    assert type(turned["bool"]) is bool


@given(st.text(st.characters(categories=["Cs", "Ll"]), max_size=8))
def test_text_that_is_not_unicode_can_still_be_written_down(text: str) -> None:
    canonical_json(jsonable({text: [text]}))
