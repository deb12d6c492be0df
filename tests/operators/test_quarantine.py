"""``ValidateDataOperator(quarantine_uri=…)``: what lies where, what is signed, and what is handed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import control_run, provenance
from airflow_mlsecops.core.predicates.control_run import CONTROL_RUN
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

SECRET = "cell-4711"
SUITE = {
    "name": "small",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "b", "value_set": ["x"]}},
    ],
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "t.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"a": [1, None, 3, 4], "b": ["x", "x", SECRET, "x"]}), path)
    return path


def validate(artifact: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    given: dict[str, Any] = {"suite": SUITE, "on_fail": "continue", **kwargs}
    operator = ValidateDataOperator(task_id="validate", artifact=artifact, **given)
    return run_op(operator, connections=deployment.connections)


def parting(tmp_path: Path) -> dict[str, str]:
    return {"quarantine_uri": str(tmp_path / "quarantine"), "remainder_uri": (tmp_path / "clean").as_uri()}


def statement(path: Path, deployment: Deployment) -> dict[str, Any]:
    (item,) = deployment.about(pin(str(path)).artifact.digest).of("test-result")
    extension: dict[str, Any] = item.statement.predicate[CONTROL_RUN]
    return extension


def holding(secret: str, deployment: Deployment) -> list[str]:
    """Names of the files in the evidence store that hold it."""
    files = [file for file in deployment.evidence.rglob("*") if file.is_file()]
    return [file.name for file in files if secret.encode() in file.read_bytes()]


def test_what_is_written_and_signed(table: Path, tmp_path: Path, deployment: Deployment) -> None:
    done = validate(str(table), deployment, **parting(tmp_path))
    assert done.state == "success"
    (kept,), (clean,) = ((tmp_path / name).iterdir() for name in ("quarantine", "clean"))
    assert pq.read_table(kept)["__row"].to_pylist() == [1, 2]
    assert pq.read_table(clean)["a"].to_pylist() == [1, 4]
    source, quarantine = (pin(str(path)).artifact for path in (table, kept))
    assert kept.name == f"quarantine-{quarantine.digest}.parquet"

    said = statement(table, deployment)
    assert said["verdict"] == "fail"  # about the original bytes, whatever was made of them
    assert {made["name"]: (made["uri"], made["digest"]["sha256"]) for made in said["outputs"]} == {
        "quarantine": (kept.as_uri(), quarantine.digest),
        "remainder": (clean.as_uri(), pin(str(clean)).artifact.digest),
    }
    (item,) = deployment.about(pin(str(clean)).artifact.digest).of("provenance")
    made_from = provenance.parse(item.statement)
    assert {(each.kind, each.digest) for each in made_from.dependencies} == {
        ("dataset", source.digest),
        ("quarantine", quarantine.digest),
    }
    assert (made_from.parameters["removed"], made_from.parameters["rows"]) == (2, 2)
    assert made_from.parameters["verdict"] == done.xcoms["return_value"]["evidence"]


def test_cells_are_nowhere_else(table: Path, tmp_path: Path, deployment: Deployment) -> None:
    done = validate(str(table), deployment, **parting(tmp_path))
    assert SECRET not in done.logs + json.dumps(done.raw_xcoms, default=str)
    assert holding(SECRET, deployment) == []


def test_shown_values_stand_in_the_page_alone(table: Path, tmp_path: Path, deployment: Deployment) -> None:
    done = validate(str(table), deployment, show_values=True)
    assert SECRET not in done.logs + json.dumps(done.raw_xcoms, default=str)
    blobs = {blob["name"]: blob["digest"]["sha256"] for blob in statement(table, deployment)["blobs"]}
    assert holding(SECRET, deployment) == [blobs["report.html"]]


def test_the_remainder_is_validated_on_its_own(table: Path, tmp_path: Path, deployment: Deployment) -> None:
    done = validate(str(table), deployment, **parting(tmp_path))
    again = validate(done.xcoms["remainder"], deployment, on_fail="fail")
    assert again.state == "success"
    (clean,) = (tmp_path / "clean").iterdir()
    (item,) = deployment.about(pin(str(clean)).artifact.digest).of("test-result")
    assert control_run.parse(item.statement).verdict is Verdict.PASS
    assert statement(table, deployment)["verdict"] == "fail"


def test_a_task_that_fails_has_kept_the_rows(table: Path, tmp_path: Path, deployment: Deployment) -> None:
    done = validate(str(table), deployment, on_fail="fail", **parting(tmp_path))
    assert done.state == "failed"
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


def test_clean_data_are_their_own_remainder(table: Path, tmp_path: Path, deployment: Deployment) -> None:
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), table)
    done = validate(str(table), deployment, **parting(tmp_path))
    assert done.xcoms["remainder"]["artifact"] == done.xcoms["return_value"]["artifact"]
    assert not (tmp_path / "quarantine").exists()
    assert "outputs" not in statement(table, deployment)


def test_nothing_is_handed_on_when_all_rows_fail(table: Path, tmp_path: Path, deployment: Deployment) -> None:
    pq.write_table(pa.table({"a": pa.array([None, 1]), "b": ["x", "y"]}), table)
    done = validate(str(table), deployment, **parting(tmp_path))
    assert "remainder" not in done.xcoms
    assert not (tmp_path / "clean").exists()
    # As a template renders what was not handed on.
    assert validate(str(done.xcoms.get("remainder")), deployment).state == "failed"


def test_nothing_is_handed_on_when_nothing_could_be_judged(table: Path, tmp_path: Path, deployment: Deployment) -> None:
    table.write_bytes(table.read_bytes()[:-9])
    done = validate(str(table), deployment, **parting(tmp_path))
    assert statement(table, deployment)["findings"][0]["rule"] == "data-validation/cannot-judge"
    assert "remainder" not in done.xcoms


def test_killed_between_the_writes_and_run_again(
    table: Path, tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever write it dies after: nothing counts until the retry, which finds its own files and ends as if alone."""
    whole = EvidenceStore.put
    for deaths in (0, 1):
        calls: list[int] = []

        def dying(self: EvidenceStore, bundle: Any, calls: list[int] = calls, deaths: int = deaths) -> Any:
            calls.append(1)
            if len(calls) > deaths:
                raise SystemExit(137)
            return whole(self, bundle)

        monkeypatch.setattr(EvidenceStore, "put", dying)
        assert validate(str(table), deployment, **parting(tmp_path)).state != "success"
        assert len(calls) == deaths + 1
    before = {file: file.stat().st_mtime_ns for name in ("quarantine", "clean") for file in (tmp_path / name).iterdir()}
    assert len(before) == 2
    (clean,) = (tmp_path / "clean").iterdir()
    assert deployment.about(pin(str(clean)).artifact.digest).verified == ()
    monkeypatch.setattr(EvidenceStore, "put", whole)
    assert validate(str(table), deployment, **parting(tmp_path)).state == "success"
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert len(deployment.about(pin(str(clean)).artifact.digest).of("provenance")) == 1


def test_other_bytes_under_the_name_are_refused(table: Path, tmp_path: Path, deployment: Deployment) -> None:
    validate(str(table), deployment, **parting(tmp_path))
    (kept,) = (tmp_path / "quarantine").iterdir()
    kept.chmod(0o644)
    kept.write_bytes(b"something else")
    done = validate(str(table), deployment, retries=2, **parting(tmp_path))
    assert done.state == "failed"
    assert "artifact-changed" in str(done.error)
    assert kept.read_bytes() == b"something else"


def test_a_place_within_the_data_set_is_refused(tmp_path: Path, deployment: Deployment) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(pa.table({"a": [1, None], "b": ["x", "x"]}), folder / "1.parquet")
    for place in (folder, folder / "bad", folder.as_uri(), f"{folder}/../parts/x"):
        done = validate(str(folder), deployment, quarantine_uri=str(place))
        assert done.state == "failed"
        assert "the data set must not change" in str(done.error)
    beside = validate(str(folder), deployment, quarantine_uri=f"{folder}-bad")
    assert beside.state == "success"


def test_a_place_that_a_template_left_empty_is_an_error(table: Path, deployment: Deployment) -> None:
    done = validate(str(table), deployment, quarantine_uri="{{ '' }}")
    assert done.state == "failed"
    assert "quarantine_uri is empty" in str(done.error)


def test_arguments_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="remainder_uri needs quarantine_uri"):
        ValidateDataOperator(task_id="v", artifact="x", suite="digits", remainder_uri="/clean")
    with pytest.raises(ValueError, match="quarantine_severity"):
        ValidateDataOperator(task_id="v", artifact="x", suite="digits", quarantine_severity="fatal")


@pytest.mark.parametrize("place", ["gs://bucket/x", "s3://", "file://elsewhere/x"])
def test_places_that_cannot_be_written_to(place: str, table: Path, deployment: Deployment) -> None:
    done = validate(str(table), deployment, quarantine_uri=place)
    assert done.state == "failed"
    assert "[configuration]" in str(done.error)
