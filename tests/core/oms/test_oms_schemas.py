"""The published schemas of the format: what is written is valid, and so is what ``model_signing`` writes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import airflow_mlsecops.core.oms
from airflow_mlsecops.core.oms import sign_oms
from airflow_mlsecops.core.oms.bundle import OmsBundle
from airflow_mlsecops.core.oms.errors import OmsFormatError
from airflow_mlsecops.core.oms.statement import parse_statement
from airflow_mlsecops.core.pinning import pin
from tests.support.model_signing_tool import Keys, need_model_signing
from tests.support.oms_logs import key_entry, timestamp
from tests.support.oms_models import FILES, base64_text, edited, signed, signer, statement, statement_of, write_model
from tests.support.oms_pki import intermediate, leaf, root

SCHEMAS = Path(next(iter(airflow_mlsecops.core.oms.__path__))) / "schemas"


def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_bytes()))


BUNDLE, STATEMENT = _validator("oms-bundle-v1"), _validator("oms-statement-v1")


def _validate(bundle: bytes) -> None:
    BUNDLE.validate(json.loads(bundle))
    STATEMENT.validate(statement_of(bundle))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "digits")


@pytest.mark.parametrize("schema", [BUNDLE, STATEMENT])
def test_each_is_a_schema(schema: jsonschema.Draft202012Validator) -> None:
    schema.check_schema(schema.schema)


def test_what_we_write_is_valid(model: Path) -> None:
    chain = [leaf().certificate, intermediate().certificate]
    _validate(signed(model))
    _validate(signed(model / "config.json"))
    _validate(sign_oms(pin(str(model)), leaf().signer, certificates=chain, ignore_paths=()))


def test_a_bundle_with_log_entry_and_timestamp_is_valid(model: Path) -> None:
    bundle = signed(model)
    entry = key_entry(bundle, "dsse", "0.0.1", signer().public_key.pem)
    stamps = {"rfc3161Timestamps": [{"signedTimestamp": base64_text(timestamp(b"x"))}]}

    _validate(
        edited(
            bundle,
            lambda value: value["verificationMaterial"].update(tlogEntries=[entry], timestampVerificationData=stamps),
        )
    )


@pytest.mark.parametrize("method", ["key", "certificate"])
def test_what_model_signing_writes_is_valid(tmp_path: Path, model: Path, method: str) -> None:
    need_model_signing()
    Keys(tmp_path, leaf(), intermediate(), root()).sign(method, model, tmp_path / "model.sig")

    _validate((tmp_path / "model.sig").read_bytes())


WRONG: list[Any] = [None, True, -1, "", "x", "../x", "a//b", [], [{}], [None], {}, {"x": None}, "0" * 63, "A" * 64]


def _changes(value: Any) -> Iterator[Any]:
    """Every copy of ``value`` in which one part, at any depth, is missing, more, or something else."""
    if isinstance(value, dict):
        yield {**value, "unknown": 1}
        for key in value:
            yield {other: item for other, item in value.items() if other != key}
            yield from ({**value, key: wrong} for wrong in WRONG)
            yield from ({**value, key: item} for item in _changes(value[key]))
    if isinstance(value, list) and value:
        yield [*value, *copy.deepcopy(value)]
        yield from ([item, *value[1:]] for item in _changes(value[0]))


def test_a_statement_that_is_not_valid_is_not_read() -> None:
    """The other way round a schema can't follow: order, Unicode and digests."""
    invalid = 0
    for value in _changes(statement(sorted(FILES.items()), ignore_paths=["a"])):
        if not STATEMENT.is_valid(value):
            invalid += 1
            with pytest.raises(OmsFormatError):
                parse_statement(json.dumps(value).encode())
    assert invalid > 100


def test_a_bundle_that_is_not_valid_is_not_read(model: Path) -> None:
    invalid = 0
    for value in _changes(json.loads(signed(model))):
        if not BUNDLE.is_valid(value):
            invalid += 1
            with pytest.raises(OmsFormatError):
                OmsBundle.parse(json.dumps(value).encode())
    assert invalid > 80


def test_a_bundle_that_is_not_read_is_not_valid(model: Path) -> None:
    for value in _changes(json.loads(signed(model))):
        try:
            OmsBundle.parse(json.dumps(value).encode())
        except OmsFormatError:
            assert not BUNDLE.is_valid(value)
