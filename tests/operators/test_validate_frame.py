"""A task hands over a frame: what is written, what is signed, and what never travels through XCom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import task

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.validation.frames import write_frame
from airflow_mlsecops.frames import validate_frame
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

DATA = {"id": [1, 2, 3], "name": ["tell-nobody", None, "c"]}
SUITE = {
    "name": "frame",
    "expectations": [
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}},
        {"type": "expect_column_value_lengths_to_be_between", "kwargs": {"column": "name", "min_value": 1}},
    ],
}
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}


def hand_over(frame: Any, uri: str, deployment: Deployment, **options: Any) -> OpRun:
    @task
    def extract() -> Any:
        return validate_frame(frame, uri, name="orders", **{"suite": SUITE, **options})

    return run_op(extract(), connections=deployment.connections)


@pytest.mark.airflow
@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_a_frame_becomes_a_pinned_and_judged_file(deployment: Deployment, tmp_path: Path, make: Any) -> None:
    target = tmp_path / "new" / "orders.parquet"
    run = hand_over(make(DATA), str(target), deployment)
    assert run.state == "success", run.logs
    assert pq.read_table(target).to_pydict() == DATA
    reference = run.xcoms["return_value"]
    assert reference["verdict"] == "pass"
    assert reference["artifact"]["name"] == "orders"
    assert reference["artifact"]["digest"] == sha256_bytes(target.read_bytes())
    assert "tell-nobody" not in json.dumps(run.raw_xcoms) + run.logs
    (item,) = deployment.about(reference["artifact"]["digest"]).of("test-result")
    assert item.statement.predicate["configuration"][0]["annotations"]["engine"] == "fused"
    assert control_run.parse(item.statement).metrics["expectations_evaluated_by_gx"] == 0


@pytest.mark.airflow
def test_a_fail_fails_the_task_unless_it_is_told_to_go_on(deployment: Deployment, tmp_path: Path) -> None:
    twice = pd.DataFrame({"id": [1, 1], "name": ["a", "b"]})
    assert hand_over(twice, str(tmp_path / "a.parquet"), deployment).state == "failed"
    run = hand_over(twice, str(tmp_path / "b.parquet"), deployment, on_fail="continue")
    assert (run.state, run.xcoms["return_value"]["verdict"]) == ("success", "fail")
    assert hand_over(twice, str(tmp_path / "c.parquet"), deployment, on_fail="skip").state == "skipped"
    assert len(deployment.bundles()) == 3  # whatever becomes of the task, the FAIL is signed


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("uri", "why"),
    [("orders.parquet", "absolute"), ("/x/orders.csv", ".parquet"), ("ftp://h/o.parquet", "can be written")],
)
def test_places_where_nothing_is_written(deployment: Deployment, uri: str, why: str) -> None:
    run = hand_over(pd.DataFrame(DATA), uri, deployment)
    assert run.state == "failed"
    assert why in run.logs
    assert not deployment.bundles()


REFUSED = {
    "an index": (pd.DataFrame(DATA).set_index("id"), "index of its own"),
    "rows left out": (pd.DataFrame(DATA).iloc[1:], "index of its own"),
    "names that are numbers": (pd.DataFrame({0: [1]}), "aren't text"),
    "a name twice": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "twice"),
    "several types": (pd.DataFrame({"a": [1, "tell-nobody"]}), "several types"),
    "objects": (pd.DataFrame({"a": [object()]}), "several types"),
    "a series": (pd.Series([1]), "frame"),
    "no columns": (pd.DataFrame(), "no columns"),
    "a lazy frame": (pl.LazyFrame(DATA), "expected a frame"),
    "a list": ([1, 2], "expected a frame"),
    "no value": (None, "expected a frame"),
}


@pytest.mark.parametrize(("frame", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_frame_or_cannot_be_written_as_it_is(frame: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=why) as refused:
        write_frame(frame, tmp_path / "f.parquet")
    assert "tell-nobody" not in str(refused.value)


def test_equal_frames_have_one_digest_and_metadata_is_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame(DATA)
    frame.attrs["secret"] = "tell-nobody"
    table = pa.table({"id": [1]}).replace_schema_metadata({"secret": "tell-nobody"})
    first, second = write_frame(frame, tmp_path / "1"), write_frame(pd.DataFrame(DATA), tmp_path / "2")
    assert first == second == sha256_bytes((tmp_path / "1").read_bytes())
    write_frame(table, tmp_path / "3")
    assert b"tell-nobody" not in (tmp_path / "3").read_bytes()
