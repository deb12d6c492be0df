"""The quarantine holds every row that fails, as it is, with its number and all of its reasons; the rest is the rest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.controls.validation import validate_data
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.pinning.pin import pin
from airflow_mlsecops.core.report import Report
from airflow_mlsecops.core.validation import marks, quarantine
from airflow_mlsecops.core.validation.quarantine import Quarantine

NOT_NULL, BETWEEN = "expect_column_values_to_not_be_null", "expect_column_values_to_be_between"


class Kept:
    """Copies what is kept into a folder, in place of an operator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.order: list[str] = []

    def __call__(self, file: Path, what: str) -> Artifact:
        self.order.append(what)
        target = self.folder / f"{what}{file.suffix}"
        shutil.copyfile(file, target)
        return pin(str(target)).artifact


def expectation(kind: str, column: str, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": {"column": column, **kwargs}, "severity": severity}


def parted(
    path: Path,
    items: Sequence[Mapping[str, Any]],
    *,
    severity: Severity = Severity.WARNING,
    remainder: bool = True,
    **kwargs: Any,
) -> tuple[Report, Any, Any]:
    """The report, the quarantine and the remainder as Arrow tables (CSV as bytes)."""
    folder = path.parent / "kept"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    keep = Kept(folder)
    report = validate_data(
        pin(str(path)).artifact,
        path,
        suite={"name": "s", "expectations": list(items)},
        quarantine=Quarantine(keep, severity, remainder),
        **kwargs,
    )
    assert list(report.outputs) == keep.order
    bad, good = folder / "quarantine.parquet", folder / "remainder.parquet"
    rest = folder / "remainder.csv"
    kept = pq.read_table(bad) if bad.exists() else None
    return report, kept, rest.read_bytes() if rest.exists() else pq.read_table(good) if good.exists() else None


def indices(reasons: Any) -> list[list[int]]:
    return [[reason["index"] for reason in row] for row in reasons.to_pylist()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    table = pa.table({"a": [1, None, -5, 7, None], "b": ["x", "y", "bad", "bad", None]})
    pq.write_table(table, tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


ITEMS = (
    expectation(NOT_NULL, "a"),
    expectation(BETWEEN, "a", min_value=0),
    expectation("expect_column_values_to_be_in_set", "b", value_set=["x", "y"]),
)


@pytest.mark.parametrize("engine", ["fused", "gx"])
def test_rows_with_numbers_and_all_reasons(path: Path, engine: str) -> None:
    report, kept, rest = parted(path, ITEMS, engine=engine)
    assert kept["__row"].to_pylist() == [1, 2, 3, 4]
    assert indices(kept["__reasons"]) == [[0], [1, 2], [2], [0]]
    assert kept["__reasons"][1].as_py()[0] == {"index": 1, "expectation": BETWEEN, "columns": ["a"]}
    source = pq.read_table(path)
    assert kept.select(["a", "b"]) == source.slice(1)
    assert rest == source.slice(0, 1)
    assert report.metrics["rows_quarantined"] == 4
    assert report.verdict == "fail"


def test_both_engines_write_the_same_bytes(path: Path) -> None:
    digests = [
        {what: made.digest for what, made in parted(path, ITEMS, engine=engine)[0].outputs.items()}
        for engine in ("fused", "gx", "fused")
    ]
    assert digests[0] == digests[1] == digests[2]
    assert set(digests[0]) == {"quarantine", "remainder"}


def test_what_great_expectations_found_stands_beside_what_was_fused(path: Path) -> None:
    conditional = expectation(NOT_NULL, "b")
    conditional["kwargs"]["row_condition"] = {"type": "nullity", "column": {"name": "a"}, "is_null": True}
    report, kept, _ = parted(path, [ITEMS[0], conditional])
    assert report.metrics["expectations_evaluated_by_gx"] == 1
    assert kept["__row"].to_pylist() == [1, 4]
    assert indices(kept["__reasons"]) == [[0], [0, 1]]


def test_more_rows_than_a_report_numbers(tmp_path: Path) -> None:
    """The report keeps ten thousand numbers of an expectation; the quarantine has all rows, through all parts."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in range(3):
        values = list(range(part * 20_000, (part + 1) * 20_000))
        pq.write_table(pa.table({"x": values}), folder / f"p{part}.parquet", row_group_size=7_000)
    _, kept, rest = parted(folder, [expectation(BETWEEN, "x", min_value=10, max_value=20)])
    expected = [n for n in range(60_000) if not 10 <= n <= 20]
    assert kept["__row"].to_pylist() == kept["x"].to_pylist() == expected
    assert rest["x"].to_pylist() == list(range(10, 21))


def test_types_are_those_of_the_data(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    table = pa.table(
        {
            "n": pa.array([None, 2], pa.int8()),
            "dec": pa.array([Decimal("1.10"), None], pa.decimal128(7, 2)),
            "ns": pa.array([moment, None], pa.timestamp("ns", tz="Europe/Berlin")),
            "fixed": pa.array([b"ab", b"cd"], pa.binary(2)),
            "cat": pa.array(["u", "v"]).dictionary_encode(),
            "nested": [{"a": [1, 2]}, {"a": []}],
            "u64": pa.array([2**64 - 1, 0], pa.uint64()),
        }
    ).replace_schema_metadata({"who": "wrote it"})
    pq.write_table(table, tmp_path / "t.parquet")
    _, kept, rest = parted(tmp_path / "t.parquet", [expectation(NOT_NULL, "n")])
    read = pq.read_table(tmp_path / "t.parquet")
    assert kept.select(read.column_names) == read.slice(0, 1)
    assert kept.select(read.column_names).schema == read.schema
    assert rest.schema.equals(read.schema, check_metadata=True)
    assert rest == read.slice(1)


def test_names_that_are_taken(tmp_path: Path) -> None:
    table = pa.table({"__row": [None, 1], "__ROW2": [1, 2], "__Reasons": ["a", "b"]})
    pq.write_table(table, tmp_path / "t.parquet")
    _, kept, _ = parted(tmp_path / "t.parquet", [expectation(NOT_NULL, "__row")])
    assert kept.column_names == ["__row", "__ROW2", "__Reasons", "___row", "___reasons"]


@pytest.mark.parametrize(
    ("severity", "rows"),
    [(Severity.CRITICAL, [0]), (Severity.WARNING, [0, 1]), (Severity.INFO, [0, 1, 2])],
)
def test_severities(tmp_path: Path, severity: Severity, rows: list[int]) -> None:
    table = pa.table({"a": [None, 1, 1, 1], "b": [1, None, 1, 1], "c": [1, 1, None, 1]})
    pq.write_table(table, tmp_path / "t.parquet")
    items = [expectation(NOT_NULL, "a"), expectation(NOT_NULL, "b", "warning"), expectation(NOT_NULL, "c", "info")]
    report, kept, _ = parted(tmp_path / "t.parquet", items, severity=severity)
    assert kept["__row"].to_pylist() == rows
    assert report.parameters["quarantine"] == {"severity": severity.value, "remainder": True}


def test_rows_that_an_expectation_tolerates_stay(path: Path) -> None:
    report, kept, rest = parted(path, [expectation(NOT_NULL, "a", mostly=0.5)])
    assert (report.verdict, kept, rest) == ("pass", None, None)
    assert report.metrics["rows_quarantined"] == 0


def test_nothing_is_written_when_only_the_table_as_a_whole_is_wrong(path: Path) -> None:
    item = {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 9}}
    report, kept, rest = parted(path, [item])
    assert (report.verdict, kept, rest, dict(report.outputs)) == ("fail", None, None, {})


def test_no_remainder_when_all_rows_fail(path: Path) -> None:
    report, kept, rest = parted(path, [expectation("expect_column_values_to_be_in_set", "b", value_set=["q"]),
                                       expectation(NOT_NULL, "b")])  # fmt: skip
    assert kept.num_rows == 5
    assert rest is None
    assert list(report.outputs) == ["quarantine"]


def test_csv_keeps_the_bytes_of_the_other_records(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'id,v\r\n007,"a, b"\r\n\r\n008,\r\n009,"line\r\nline"\r\n010,z')
    _, kept, rest = parted(path, [expectation(NOT_NULL, "v")])
    assert kept["__row"].to_pylist() == [1]
    assert rest == b'id,v\r\n007,"a, b"\r\n009,"line\r\nline"\r\n010,z'


@pytest.mark.parametrize("name", ["t.csv.gz", "parts"])
def test_other_csv_becomes_parquet(tmp_path: Path, name: str) -> None:
    import gzip

    path = tmp_path / name
    if name == "parts":
        path.mkdir()
        (path / "1.csv").write_text("id,v\n1,a\n2,\n")
        (path / "2.csv").write_text("id,v\n3,\n4,d\n")
    else:
        path.write_bytes(gzip.compress(b"id,v\n1,a\n2,\n3,\n4,d\n"))
    _, kept, rest = parted(path, [expectation(NOT_NULL, "v")])
    assert kept["__row"].to_pylist() == [1, 2]
    assert rest["id"].to_pylist() == [1, 4]


def test_parts_that_differ_in_type_are_read_as_one(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(pa.table({"x": pa.array([1, None], pa.int64())}), folder / "1.parquet")
    pq.write_table(pa.table({"x": pa.nulls(2)}), folder / "2.parquet")
    _, kept, rest = parted(folder, [expectation(NOT_NULL, "x")])
    assert kept["__row"].to_pylist() == [1, 2, 3]
    assert rest["x"].to_pylist() == [1]


def test_a_quarantine_that_would_not_be_whole_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = marks.Marks.between

    def forgetful(self: marks.Marks, start: int, stop: int) -> Any:
        marked = whole(self, start, stop)
        marked[1] = False
        return marked

    monkeypatch.setattr(marks.Marks, "between", forgetful)
    with pytest.raises(DataError, match="2 rows break it, and 1 can be told"):
        parted(path, ITEMS[:1])
    assert list((path.parent / "kept").iterdir()) == []


def test_in_memory_that_is_small(tmp_path: Path) -> None:
    """Half a million rows of text that all fail, with less memory for DuckDB than they take."""
    text = pa.array([f"{n:0100d}" for n in range(200_000)])
    pq.write_table(pa.table({"x": text}), tmp_path / "t.parquet", row_group_size=20_000)
    item = expectation("expect_column_values_to_match_regex", "x", regex="^[1-9]")
    _, kept, rest = parted(tmp_path / "t.parquet", [item], memory_limit="64MB")
    assert kept.num_rows == 200_000
    assert kept["__row"].to_pylist() == list(range(200_000))
    assert rest is None


@settings(max_examples=25)
@given(
    rows=st.lists(st.tuples(st.none() | st.integers(-3, 3), st.none() | st.sampled_from("abc")), min_size=1),
    size=st.integers(1, 5),
)
def test_quarantine_and_remainder_are_the_data(
    rows: list[tuple[int | None, str | None]], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the data: each row is in exactly one of the two, in order, and rightly so."""
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    table = pa.table(
        {"a": pa.array([a for a, _ in rows], pa.int64()), "b": pa.array([b for _, b in rows], pa.string())}
    )
    pq.write_table(table, path, row_group_size=size)
    items = [
        expectation(BETWEEN, "a", min_value=0),
        expectation("expect_column_values_to_be_unique", "a"),
        expectation("expect_column_values_to_be_in_set", "b", value_set=["a"]),
    ]
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(quarantine, "_BATCH", 3)
        _, kept, rest = parted(path, items)
    values = [a for a, _ in rows]
    reasons = [
        [
            k
            for k, bad in enumerate((a is not None and a < 0, a is not None and values.count(a) > 1, b in ("b", "c")))
            if bad
        ]
        for a, b in rows
    ]
    expected = [n for n, broken in enumerate(reasons) if broken]
    if not expected:
        assert kept is rest is None
        return
    assert kept["__row"].to_pylist() == expected
    assert indices(kept["__reasons"]) == [reasons[n] for n in expected]
    others = [n for n in range(len(rows)) if n not in set(expected)]
    assert kept.select(["a", "b"]) == table.take(expected)
    assert rest == table.take(others) if others else rest is None


def test_csv_that_two_readers_read_differently_has_no_remainder(tmp_path: Path) -> None:
    """Python's csv module refuses cells that Arrow reads: then nothing is written, not even the quarantine."""
    path = tmp_path / "t.csv"
    path.write_text(f"id,v\n1,{'x' * 200_000}\n2,\n")
    with pytest.raises(DataError, match="can't be told apart"):
        parted(path, [expectation(NOT_NULL, "v")])
    assert list((path.parent / "kept").iterdir()) == []
    _, kept, _ = parted(path, [expectation(NOT_NULL, "v")], remainder=False)
    assert kept["__row"].to_pylist() == [1]
