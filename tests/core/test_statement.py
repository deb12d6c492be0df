"""in-toto statements: the signed bytes are kept, and what isn't a statement is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.errors import MlsecopsError, StatementError
from airflow_mlsecops.core.statement import STATEMENT_TYPE, Statement
from tests.support.evidence import artifact

GOOD: dict[str, Any] = {
    "_type": STATEMENT_TYPE,
    "subject": [{"name": "m", "digest": {"sha256": "0" * 64}}],
    "predicateType": "https://example.com/p/v1",
    "predicate": {"a": 1},
}


def _payload(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_what_is_built_says_what_was_meant() -> None:
    one, two = artifact("one"), artifact("two")

    statement = Statement.build([one, two], "https://example.com/p/v1", {"tuple": (1, 2), "nan": float("nan")})

    assert statement.subjects == (("one", one.digest), ("two", two.digest))
    assert statement.predicate == {"tuple": [1, 2], "nan": None}
    assert statement.is_about(one.digest)
    assert statement.is_about(two.digest)
    assert not statement.is_about(artifact("three").digest)


def test_the_bytes_are_canonical_json_in_the_form_of_the_specification() -> None:
    one = artifact("one")

    payload = Statement.build([one], "https://example.com/p/v1", {"z": 1, "a": "ü"}).payload

    assert payload.decode() == (
        '{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":"ü","z":1},'
        '"predicateType":"https://example.com/p/v1","subject":[{"annotations":{"form":"file","kind":"model"},"digest":{"sha256":"'
        + one.digest
        + '"},"name":"one","uri":"file:///artifacts/one"}]}'
    )


def test_the_payload_is_kept_byte_by_byte() -> None:
    payload = b' {"predicate" : {}, "_type":"https://in-toto.io/Statement/v1",\n"predicateType":"x", "subject":['
    payload += b'{"digest":{"sha256":"' + b"a" * 64 + b'", "sha1":"b"}}], "later": "fields are left alone"}'

    assert Statement.parse(payload).payload == payload


CHANGES: list[Callable[[dict[str, Any]], Any]] = [
    lambda value: value.pop("_type"),
    lambda value: value.pop("subject"),
    lambda value: value.pop("predicateType"),
    lambda value: value.pop("predicate"),
    lambda value: value.update(_type="https://in-toto.io/Statement/v0.1"),
    lambda value: value.update(_type=None),
    lambda value: value.update(subject=[]),
    lambda value: value.update(subject={}),
    lambda value: value.update(subject=None),
    lambda value: value.update(subject=[None]),
    lambda value: value.update(subject=["m"]),
    lambda value: value.update(subject=[{"name": "m"}]),
    lambda value: value.update(subject=[{"digest": {}}]),
    lambda value: value.update(subject=[{"digest": {"sha512": "0" * 128}}]),
    lambda value: value.update(subject=[{"digest": {"sha256": "0" * 63}}]),
    lambda value: value.update(subject=[{"digest": {"sha256": "A" * 64}}]),
    lambda value: value.update(subject=[{"digest": {"sha256": ["0" * 64]}}]),
    lambda value: value.update(subject=[{"digest": "0" * 64}]),
    lambda value: value["subject"].append({"name": "second, without a digest"}),
    lambda value: value.update(predicateType=1),
    lambda value: value.update(predicateType=None),
    lambda value: value.update(predicate=[]),
    lambda value: value.update(predicate="text"),
    lambda value: value.update(predicate=None),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_statement_is_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    value = json.loads(_payload(GOOD))
    Statement.parse(_payload(value))
    change(value)

    with pytest.raises(StatementError):
        Statement.parse(_payload(value))


@pytest.mark.parametrize("value", [None, 1, "x", [], [GOOD], True])
def test_other_json_is_refused(value: Any) -> None:
    with pytest.raises(StatementError):
        Statement.parse(_payload(value))


@given(st.integers(0, len(_payload(GOOD)) - 1))
def test_a_truncated_statement_is_refused(length: int) -> None:
    with pytest.raises(StatementError):
        Statement.parse(_payload(GOOD)[:length])


def test_a_statement_without_subjects_is_not_built() -> None:
    with pytest.raises(StatementError, match="subjects"):
        Statement.build([], "https://example.com/p/v1", {})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text() | st.sampled_from([*GOOD, "digest", "sha256", "name"]), inner, max_size=5)
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused_with_an_error_of_ours(value: Any) -> None:
    for document in (value, {**GOOD, "subject": value}, {**GOOD, "predicate": value}):
        try:
            statement = Statement.parse(_payload(document))
        except MlsecopsError:
            continue
        assert statement.subjects
