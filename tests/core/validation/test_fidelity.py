"""The fused engine answers as GX's pandas engine does, or not at all: thousands of generated pairs, no divergence.

A divergence that is meant would have to stand in ``DIVERGENCES`` and in the how-to. There is none.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlsecops.core.controls.gx_pandas import run_suite
from airflow_mlsecops.core.controls.suite import load_suite
from airflow_mlsecops.core.validation.compilers import COMPILERS
from airflow_mlsecops.core.validation.custom import MODULES as OURS
from airflow_mlsecops.core.validation.engines import evaluate
from airflow_mlsecops.core.validation.fused import run_fused
from airflow_mlsecops.core.validation.outcome import Outcome
from airflow_mlsecops.core.validation.source import open_source
from tests.core.validation import pairs

TABLES, EXPECTATIONS = 25, 90
DIVERGENCES: dict[str, str] = {}

pytestmark = pytest.mark.filterwarnings("ignore")  # pandas and dateutil talk about the odd data


def told(outcome: Outcome) -> tuple[Any, ...]:
    """Verdict, counts, observed value and rows."""
    seen = (outcome.saw, outcome.unexpected, outcome.elements, outcome.observed, outcome.rows)
    return (bool(outcome), bool(outcome.trouble), *seen)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, dict[str, Any], Outcome, Outcome | None]]:
    """Seed, expectation, GX's outcome, and the fused one if there is any."""
    found: list[tuple[int, dict[str, Any], Outcome, Outcome | None]] = []
    for seed in range(TABLES):
        table = pairs.table(seed)
        if seed == TABLES - 1:
            table = table.slice(0, 0)
        suite = pairs.suite(seed, table, EXPECTATIONS)
        path = tmp_path_factory.mktemp("t") / "t.parquet"
        pq.write_table(table, path)
        with open_source(path, allow_empty=True) as source:
            assert source is not None
            fused = run_fused(source, suite, max_rows=1000)
        by_gx = run_suite(pairs.frame(table), suite)
        for index, item in enumerate(suite["expectations"]):
            found.append((seed, item, by_gx[index], fused.get(index)))
    return found


def test_no_verdict_count_or_row_differs(compared: Any) -> None:
    different = [
        (seed, item, told(fused), told(by_gx))
        for seed, item, by_gx, fused in compared
        if fused is not None and told(fused) != told(by_gx) and item["type"] not in DIVERGENCES
    ]
    assert different == []


def test_the_pairs_are_many_of_many_types_and_of_both_answers(compared: Any) -> None:
    assert len(compared) == TABLES * EXPECTATIONS
    assert len({item["type"] for _, item, _, _ in compared} - OURS.keys()) >= 40
    fused = Counter(item["type"] for _, item, _, outcome in compared if outcome is not None)
    # Each compiler was compared at least once; those against a baseline are in tests/core/profile/test_expectations.py.
    assert set(fused) == {kind for kind in COMPILERS if not kind.endswith("_to_match_baseline")}
    answers = Counter(bool(outcome) for _, _, _, outcome in compared if outcome is not None)
    assert min(answers.values()) > 200


@pytest.mark.parametrize("seed", range(5))
def test_both_engines_tell_the_same_about_mixed_types(tmp_path: Path, seed: int) -> None:
    """A column of a CSV file has the type that all its cells fit; both engines see the same one."""
    cells = pairs.mixed(seed)
    path = tmp_path / "mixed.csv"
    cells.to_csv(path, index=False)
    suite = pairs.suite(seed, pairs.table(seed), 60)
    ours, gx = (evaluate(path, suite, engine=engine) for engine in ("auto", "gx"))
    assert len(ours.by_gx) < 45
    for item, one, other in zip(suite["expectations"], ours.outcomes, gx.outcomes, strict=True):
        assert told(one) == told(other), item


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_both_engines_tell_the_same_about_a_file(tmp_path: Path, name: str) -> None:
    """Through the front door, with what the fused engine leaves to GX, from CSV as well."""
    columns = {"id": [1, 2, 2, None], "t": ["a", "b\n", None, "٣"], "f": [0.5, None, 2.0, 9.0]}
    table = pa.table(columns)
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(table, path)
    else:
        table.to_pandas().to_csv(path, index=False)
    items = [
        ("expect_column_values_to_be_unique", {"column": "id"}),
        ("expect_column_values_to_match_regex", {"column": "t", "regex": "^[a-z]$"}),
        ("expect_column_values_to_match_regex", {"column": "t", "regex": r"\d"}),
        ("expect_column_median_to_be_between", {"column": "f", "min_value": 2, "max_value": 2}),
        ("expect_column_values_to_not_be_null", {"column": "gone"}),
        ("expect_column_values_to_be_between", {"column": "f", "min_value": 1, "row_condition": {
            "type": "comparison", "column": {"name": "id"}, "operator": "<", "parameter": 2}}),
    ]  # fmt: skip
    suite = load_suite({"name": "s", "expectations": [{"type": kind, "kwargs": kwargs} for kind, kwargs in items]})
    fused, gx = (evaluate(path, suite.document, engine=engine) for engine in ("auto", "gx"))
    assert [told(outcome) for outcome in fused.outcomes] == [told(outcome) for outcome in gx.outcomes]
    assert fused.outcomes[4].trouble == gx.outcomes[4].trouble
    assert (fused.engine, gx.engine) == ("fused", "gx")
    assert fused.by_gx == (2, 3, 5)
    assert (fused.rows, fused.columns) == (gx.rows, gx.columns)
