"""GX's SQL engine says of a table what its pandas engine says of the snapshot; each divergence is listed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.controls.suite import load_suite
from airflow_mlsecops.core.validation.engines import evaluate
from airflow_mlsecops.core.validation.gx_sql import evaluate_in_database
from tests.core.validation.shared_suite import COLUMNS, DIVERGENCES, EXPECTATIONS, ROWS, SUITE, differences
from tests.core.validation.sql.lakes import Lake, of_postgres, of_sqlite, opened

pytestmark = pytest.mark.filterwarnings("ignore")  # pandas talks about the column of nulls


def _literal(cell: Any) -> str:
    return "NULL" if cell is None else f"'{cell}'" if isinstance(cell, str) else repr(cell)


@pytest.fixture(params=["sqlite", "postgres"])
def lake(request: pytest.FixtureRequest, sqlite_file: Path) -> Lake:
    made = of_sqlite(sqlite_file) if request.param == "sqlite" else of_postgres(request.getfixturevalue("postgres"))
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    rows = ", ".join(f"({', '.join(map(_literal, row))})" for row in ROWS)
    made.run(f"CREATE TABLE t ({columns}, PRIMARY KEY (id))", f"INSERT INTO t VALUES {rows}")
    return made


@pytest.mark.parametrize("what", [{"table": "t"}, {"query": "SELECT * FROM t ORDER BY id"}], ids=["table", "query"])
def test_verdicts_and_counts_are_those_of_pandas(lake: Lake, tmp_path: Path, what: dict[str, str]) -> None:
    document = load_suite(SUITE).document
    path = tmp_path / "t.parquet"
    with opened(lake, path, **what) as (snapshot, rows, digest):
        found = evaluate_in_database(snapshot, document, rows=rows, digest=digest, why="asked for")
    by_pandas = evaluate(path, document, engine="gx")
    assert differences(found.outcomes, by_pandas.outcomes) == DIVERGENCES
    holding = sum(map(bool, found.outcomes))
    assert 10 < holding < len(EXPECTATIONS) - 10
    assert (found.engine, found.rows, found.columns) == ("gx-sql", len(ROWS), tuple(COLUMNS))


def test_selectors_choose_by_the_types_of_what_is_written(lake: Lake, tmp_path: Path) -> None:
    item = {"type": "expect_column_values_to_not_be_null", "kwargs": {"columns": "number"}}
    document = load_suite({"name": "s", "expectations": [item]}).document
    with opened(lake, tmp_path / "t.parquet", table="t") as (snapshot, rows, digest):
        found = evaluate_in_database(snapshot, document, rows=rows, digest=digest, why="asked for")
    (told,) = found.selected
    assert [each.columns for each in found.outcomes] == [(name,) for name in told["selected"]]
    # SQLite has no types: a column without a value has none there.
    numbers = [name for name, kind in COLUMNS.items() if kind != "text"]
    assert told["selected"] in (numbers, [name for name in numbers if name != "void"])
    assert found.items == evaluate(tmp_path / "t.parquet", document, engine="gx").items


def test_checks_of_cells_are_not_made_inside_a_database(lake: Lake, tmp_path: Path) -> None:
    """They say so, which is a NO; the fused engine judges the snapshot."""
    item = {"type": "expect_column_values_to_not_contain_pii", "kwargs": {"columns": "text"}}
    document = load_suite({"name": "s", "expectations": [item]}).document
    path = tmp_path / "t.parquet"
    with opened(lake, path, table="t") as (snapshot, rows, digest):
        found = evaluate_in_database(snapshot, document, rows=rows, digest=digest, why="asked for")
    assert found.outcomes
    assert all(each.trouble and not each for each in found.outcomes)
    assert all(not each.trouble for each in evaluate(path, document, engine="fused").outcomes)
