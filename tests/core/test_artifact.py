"""The reference that travels between tasks: read back whole, or refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import StatementError

ARTIFACTS = st.builds(
    Artifact,
    name=st.text(),
    uri=st.text(),
    kind=st.sampled_from(Kind),
    form=st.sampled_from(Form),
    digest=st.binary(max_size=3).map(sha256_bytes),
    size=st.integers(0, 2**60),
    files=st.integers(0, 2**30),
    version=st.text(),
    versions=st.just("") | st.binary(max_size=3).map(sha256_bytes),
)


@given(ARTIFACTS)
def test_a_reference_survives_its_way_through_json(artifact: Artifact) -> None:
    assert Artifact.from_dict(json.loads(json.dumps(artifact.to_dict()))) == artifact


GOOD: dict[str, Any] = Artifact("m", "file:///m", Kind.MODEL, Form.FILE, sha256_bytes(b"m"), 1, 1).to_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "virus"},
        {"kind": None},
        {"form": "link"},
        {"digest": "sha256:" + "0" * 64},
        {"digest": "../" + "0" * 61},
        {"digest": None},
        {"size": -1},
        {"size": "12"},
        {"size": 1.5},
        {"size": math.inf},
        {"size": math.nan},
        {"size": True},
        {"size": None},
        {"files": -3},
        {"files": "many"},
        {"versions": "not a digest"},
        {"versions": "../../etc/passwd"},
    ],
)
def test_a_reference_with_a_wrong_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatementError):
        Artifact.from_dict({**GOOD, **change})


@pytest.mark.parametrize("field", ["name", "uri", "kind", "form", "digest", "size", "files"])
def test_a_reference_without_a_field_is_refused(field: str) -> None:
    with pytest.raises(StatementError, match=field):
        Artifact.from_dict({key: value for key, value in GOOD.items() if key != field})


@pytest.mark.parametrize("value", [None, 1, "text", [], ["name"], True])
def test_what_is_no_mapping_is_refused(value: Any) -> None:
    with pytest.raises(StatementError, match="not an artifact reference"):
        Artifact.from_dict(value)


def test_renaming_keeps_the_bytes() -> None:
    artifact = Artifact.from_dict(GOOD)
    renamed = artifact.renamed("other", Kind.DATASET)

    assert (renamed.name, renamed.kind) == ("other", Kind.DATASET)
    assert (renamed.digest, renamed.uri, renamed.size) == (artifact.digest, artifact.uri, artifact.size)


def test_the_subject_is_an_in_toto_resource_descriptor() -> None:
    assert Artifact.from_dict(GOOD).subject == {
        "name": "m",
        "uri": "file:///m",
        "digest": {"sha256": sha256_bytes(b"m")},
        "annotations": {"kind": "model", "form": "file"},
    }
