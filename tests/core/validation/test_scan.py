"""The shared scan believes no footer, and each way of computing faster says what the slow way says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.validation.engines import evaluate
from airflow_mlsecops.core.validation.fused import run_fused
from airflow_mlsecops.core.validation.plans import member
from airflow_mlsecops.core.validation.source import Column, count_where, open_source
from tests.support.footers import lying_footer

KINDS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]


def suite(*items: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": "s",
        "expectations": [
            {"type": f"expect_column_{kind}", "kwargs": kwargs, "severity": "critical"} for kind, kwargs in items
        ],
    }


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def told(path: Path, document: dict[str, Any], engine: str) -> list[Any]:
    found = evaluate(path, document, engine=engine)
    assert found.by_gx == () or engine == "gx"
    return [(bool(o), o.saw, o.unexpected, o.elements, o.rows, o.trouble) for o in found.outcomes]


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("values_to_be_between", {"min_value": 0, "max_value": 5000}),
        ("max_to_be_between", {"max_value": 5000}),
        ("values_to_be_in_set", {"value_set": list(range(3000))}),
        ("values_to_not_be_in_set", {"value_set": [77_777]}),
        ("distinct_values_to_be_in_set", {"value_set": list(range(3000))}),
    ],
)
def test_a_footer_that_lies_about_the_greatest_value_hides_no_row(
    tmp_path: Path, kind: str, kwargs: dict[str, Any]
) -> None:
    values = [*range(2000), 77_777, *range(2000, 2999)]
    path = lying_footer(tmp_path / "t.parquet", {77_777: 2_999}, x=pa.array(values, pa.int64()))
    assert pq.read_metadata(path).row_group(2).column(0).statistics.max == 2_999
    (outcome,) = evaluate(path, suite((kind, {"column": "x", **kwargs})), engine="fused").outcomes
    assert not outcome
    assert outcome.rows in ((2000,), ())


def test_other_rows_than_the_footers_say_are_refused(tmp_path: Path) -> None:
    count = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "severity": "critical"}
    with open_source(parquet(tmp_path / "t.parquet", x=[1, None, 3])) as source:
        assert source is not None
        for document in (suite(("values_to_not_be_null", {"column": "x"})), {"name": "s", "expectations": [count]}):
            with pytest.raises(DataError, match="hold 3 rows, and their footers say 2"):
                run_fused(replace(source, rows=2), document, max_rows=10)


@given(data=st.data(), kind=st.sampled_from([*KINDS, pa.float64(), pa.string()]))
@settings(max_examples=60, deadline=None)
def test_a_long_list_of_values_finds_what_comparing_finds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: pa.DataType
) -> None:
    if pa.types.is_integer(kind):
        low = 0 if str(kind)[0] == "u" else -(2 ** (kind.bit_width - 1))
        cells: Any = st.integers(low, low + 2**kind.bit_width - 1) | st.integers(max(low, -30), 30)
        values: Any = st.integers(-(2**53), 2**53) | st.integers(-30, 30)
    elif pa.types.is_floating(kind):
        cells = st.floats() | st.sampled_from([0.0, -0.0, 1.0, float("nan")])
        values = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0])
    else:
        cells = st.text(max_size=2) | st.sampled_from(["'", "é", "e\u0301", ""])
        values = cells.filter(lambda text: "\0" not in text)
    rows = data.draw(st.lists(cells | st.none(), min_size=1, max_size=20))
    listed = data.draw(st.lists(values, min_size=17, max_size=40))
    listed += data.draw(st.lists(st.sampled_from(rows), max_size=3).map(lambda v: [x for x in v if _sayable(x)]))
    path = parquet(tmp_path_factory.mktemp("t") / "t.parquet", x=pa.array(rows, kind))
    with open_source(path) as source:
        assert source is not None
        column = source.columns["x"]
        query = member(column, listed)
        assert query is not None
        assert "unnest" in query
        (found,) = source.connection.execute(
            f"SELECT {count_where(f'{query} AND {column.present}')} FROM {source.relation}"
        ).fetchone()
    assert found == sum(row in set(listed) for row in rows if row is not None and row == row)


def _sayable(value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) <= 2**53
    return value is not None and value == value and "\0" not in str(value)


def test_thousands_of_values_are_judged_as_great_expectations_does(tmp_path: Path) -> None:
    known = [f"c{number}" for number in range(3_000)]
    path = parquet(tmp_path / "t.parquet", x=["c1", "nobody", None, "c2999", "c1", ""], i=[1, 2, 3000, 4, 5, -1])
    document = suite(
        ("values_to_be_in_set", {"column": "x", "value_set": known}),
        ("values_to_not_be_in_set", {"column": "x", "value_set": known}),
        ("values_to_be_in_set", {"column": "x", "value_set": known, "mostly": 0.5}),
        ("values_to_be_in_set", {"column": "i", "value_set": list(range(3000))}),
        ("distinct_values_to_be_in_set", {"column": "x", "value_set": [*known, "nobody", ""]}),
        ("distinct_values_to_be_in_set", {"column": "x", "value_set": known}),
        ("distinct_values_to_contain_set", {"column": "x", "value_set": ["c1", "nobody", ""] * 100}),
        ("distinct_values_to_contain_set", {"column": "x", "value_set": known}),
        ("distinct_values_to_equal_set", {"column": "x", "value_set": ["c1", "nobody", "c2999", ""]}),
        ("distinct_values_to_equal_set", {"column": "x", "value_set": [*known, "nobody", ""]}),
    )
    fused, gx = (told(path, document, engine) for engine in ("fused", "gx"))
    assert fused == gx
    assert [each[0] for each in fused] == [False, False, True, False, True, False, True, False, True, False]


@pytest.mark.parametrize("nulls", [False, True])
def test_whole_numbers_around_the_last_exact_float_are_judged_as_great_expectations_does(
    tmp_path: Path, nulls: bool
) -> None:
    edge = 2**53
    values = [edge - 1, edge, edge + 1, -edge, -edge - 1, 2**62, 0]
    column = pa.array([*values, None if nulls else 5], pa.int64())
    other = pa.array([edge, edge + 1, edge, -edge - 1, -edge, 2**62 + 1, 0, 4], pa.int64())
    path = parquet(tmp_path / "t.parquet", x=column, y=other)
    bounds = [edge - 1, edge, 1 - edge, -edge, 0.5]
    document = suite(
        *(("values_to_be_between", {"column": "x", name: b}) for b in bounds for name in ("min_value", "max_value")),
        *(("values_to_be_between", {"column": "x", "max_value": b, "strict_max": True}) for b in bounds),
        *(("values_to_be_in_set", {"column": "x", "value_set": [b, 0]}) for b in bounds[:-1]),
        ("pair_values_a_to_be_greater_than_b", {"column_A": "x", "column_B": "y"}),
        ("pair_values_to_be_equal", {"column_A": "x", "column_B": "y"}),
    )
    fused, gx = (evaluate(path, document, engine=engine).outcomes for engine in ("fused", "gx"))
    assert [(bool(o), o.saw, o.unexpected, o.rows) for o in fused] == [
        (bool(o), o.saw, o.unexpected, o.rows) for o in gx
    ]


@given(
    values=st.lists(st.integers(-40, 40) | st.none(), min_size=1, max_size=40), kind=st.sampled_from(KINDS[:4] + KINDS)
)
@settings(max_examples=40, deadline=None)
def test_uniqueness_by_bits_is_uniqueness(
    tmp_path_factory: pytest.TempPathFactory, values: list[int | None], kind: pa.DataType
) -> None:
    if str(kind)[0] == "u":
        values = [value if value is None else abs(value) for value in values]
    path = parquet(tmp_path_factory.mktemp("t") / "t.parquet", x=pa.array(values, kind))
    present = [value for value in values if value is not None]
    repeated = [row for row, value in enumerate(values) if value is not None and present.count(value) > 1]
    document = suite(
        ("values_to_be_unique", {"column": "x"}),
        ("unique_value_count_to_be_between", {"column": "x", "min_value": 0}),
    )
    with open_source(path) as source:
        assert source is not None
        found = run_fused(source, document, max_rows=100)
    assert (found[0].unexpected, list(found[0].rows)) == (len(repeated), repeated)
    if present:
        assert found[1].observed == len(set(present))


def test_numbers_far_apart_are_unique_without_bits(tmp_path: Path) -> None:
    apart = [number * 2**40 for number in range(50)]
    for values, unexpected in ((apart, 0), (apart[::-1], 0), ([*apart, 0], 2)):
        path = parquet(tmp_path / "t.parquet", x=values)
        (outcome,) = evaluate(path, suite(("values_to_be_unique", {"column": "x"})), engine="fused").outcomes
        assert outcome.unexpected == unexpected


def test_nan_is_no_value_in_any_count() -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (x DOUBLE)")
        connection.execute("INSERT INTO t VALUES (1), (NULL), ('nan'), ('inf')")
        assert connection.execute(f"SELECT {Column('x', 'float').count} FROM t").fetchone() == (2,)
