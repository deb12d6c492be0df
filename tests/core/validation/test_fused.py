"""The fused engine reads only what it may, believes no name, and needs no Great Expectations."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.controls.validation import validate_data
from airflow_mlsecops.core.errors import ConfigurationError, DataError, MissingExtraError
from airflow_mlsecops.core.pinning.pin import pin
from airflow_mlsecops.core.validation import engines
from airflow_mlsecops.core.validation.custom import MODULES, make_known
from airflow_mlsecops.core.validation.engines import choose, evaluate
from airflow_mlsecops.core.validation.plain import is_plain
from airflow_mlsecops.core.validation.regex import translate
from airflow_mlsecops.core.validation.source import literal, open_source
from tests.core.validation import pairs

NOT_NULL = "expect_column_values_to_not_be_null"


def suite(*items: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": "s",
        "expectations": [{"type": kind, "kwargs": kwargs, "severity": "critical"} for kind, kwargs in items],
    }


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    "attack",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO '/tmp/mlsecops-owned.csv'",
        "ATTACH '/tmp/mlsecops-owned.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '99GB'",
        "SELECT * FROM read_parquet('https://example.invalid/x.parquet')",
    ],
)
def test_the_connection_is_locked_down(tmp_path: Path, attack: str) -> None:
    with open_source(parquet(tmp_path / "t.parquet", x=[1])) as source:
        assert source is not None
        with pytest.raises(duckdb.Error):
            source.connection.execute(attack).fetchall()


@pytest.mark.parametrize(
    "name", ['a"b', "a'b", 'x"; DROP TABLE t; --', "a b", "select", "é", "count(*)", "\u202ex", "a\nb"]
)
def test_a_hostile_column_name_is_a_name(tmp_path: Path, name: str) -> None:
    path = parquet(tmp_path / "t.parquet", **{name: ["a", "'", None]})
    item = {"column": name, "value_set": ["'", "'); DROP"]}
    found = evaluate(
        path, suite((NOT_NULL, {"column": name}), ("expect_column_values_to_be_in_set", item)), engine="fused"
    )
    assert [(each.saw, each.unexpected, each.rows) for each in found.outcomes] == [(3, 1, (2,)), (2, 1, (0,))]
    assert found.by_gx == ()


@pytest.mark.parametrize("columns", [("file_row_number", "x"), ("Filename", "x")])
def test_names_that_duckdb_would_confuse_go_to_gx(tmp_path: Path, columns: tuple[str, str]) -> None:
    path = parquet(tmp_path / "t.parquet", **{columns[0]: [1, None], columns[1]: [1, 2]})
    found = evaluate(path, suite(*((NOT_NULL, {"column": name}) for name in columns)))
    assert [each.unexpected for each in found.outcomes] == [1, 0]
    assert found.engine == "gx"
    assert "stand twice" in found.why


@pytest.mark.parametrize("engine", ["auto", "gx"])
def test_names_that_gx_takes_for_each_other_are_refused(tmp_path: Path, engine: str) -> None:
    path = parquet(tmp_path / "t.parquet", A=[1, None], a=[1, 2])
    with pytest.raises(DataError, match="differ in upper and lower case only"):
        evaluate(path, suite((NOT_NULL, {"column": "a"})), engine=engine)


def test_rows_are_numbered_through_parts_and_bounded(tmp_path: Path) -> None:
    for name, values in (("a", [1, None]), ("b", [None, 2, None])):
        parquet(tmp_path / f"{name}.parquet", x=pa.array(values, pa.int64()))
    document = suite((NOT_NULL, {"column": "x"}), ("expect_column_values_to_be_unique", {"column": "x"}))
    assert evaluate(tmp_path, document).outcomes[0].rows == (1, 2, 4)
    bounded = evaluate(tmp_path, document, max_rows=2).outcomes[0]
    assert (bounded.rows, bounded.unexpected) == ((1, 2), 3)


def test_partitions_in_a_path_add_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "day=1"
    folder.mkdir()
    parquet(folder / "t.parquet", x=[1])
    assert evaluate(folder, suite((NOT_NULL, {"column": "x"}))).columns == ("x",)


def test_damaged_bytes_are_a_data_error(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", x=[str(number) * 50 for number in range(2000)])
    data = bytearray(path.read_bytes())
    data[50:4000] = b"\xff" * 3950
    path.write_bytes(data)
    with pytest.raises(DataError):
        evaluate(path, suite(("expect_column_value_lengths_to_be_between", {"column": "x", "max_value": 300})))


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1\x00\x00PAR1"])
def test_no_parquet_is_a_data_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(DataError):
        evaluate(tmp_path / "t.parquet", suite((NOT_NULL, {"column": "x"})))


WITHOUT_GX = """
import json, sys
from pathlib import Path
from airflow_mlsecops.core.controls.validation import validate_data
from airflow_mlsecops.core.pinning.pin import pin
path = Path(sys.argv[1])
report = validate_data(pin(str(path)).artifact, path, suite=json.loads(sys.argv[2]))
print(json.dumps([report.verdict, "great_expectations" in sys.modules, "pandas" in sys.modules]))
"""


def test_a_plain_suite_imports_neither_gx_nor_pandas(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", x=[1, 2])
    given_suite = json.dumps(suite((NOT_NULL, {"column": "x"})))
    command = [sys.executable, "-c", WITHOUT_GX, str(path), given_suite]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["pass", False, False]


def test_auto_says_why_and_fused_without_duckdb_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain, odd = suite((NOT_NULL, {"column": "x"})), suite(("expect_column_median_to_be_between", {"column": "x"}))
    assert choose("auto", plain) == ("fused", "1 of 1 expectations can be computed in one scan")
    assert choose("auto", odd)[0] == "gx"
    with pytest.raises(ConfigurationError, match="unknown engine"):
        choose("fast", plain)
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    assert choose("auto", plain)[0] == "gx"
    assert "isn't installed" in choose("auto", plain)[1]
    with pytest.raises(MissingExtraError, match=r"airflow-mlsecops\[duckdb\]"):
        choose("fused", plain)
    path = parquet(tmp_path / "t.parquet", x=[1])
    assert validate_data(pin(str(path)).artifact, path, suite=plain).parameters["engine"] == "gx"


def test_what_is_plain_is_right_for_gx() -> None:
    """The table that spares GX's import accepts nothing that GX refuses."""
    make_known(MODULES)
    plain = 0
    for seed in range(30):
        for item in pairs.suite(seed, pairs.table(seed), 60)["expectations"]:
            if is_plain(item):
                ExpectationConfiguration(type=item["type"], kwargs=item["kwargs"]).to_domain_obj()
                plain += 1
    assert plain > 500


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"column": ""},
        {"column": 1},
        {"column": "x", "mostly": 0},
        {"column": "x", "mostly": True},
        {"column": "x", "z": 1},
    ],
)
def test_what_is_not_plain_is_left_to_gx(kwargs: dict[str, Any]) -> None:
    assert not is_plain({"type": NOT_NULL, "kwargs": kwargs})


@settings(max_examples=300, deadline=None)
@given(
    pattern=st.sampled_from(pairs.REGEXES) | st.text("ab^$.*+?|()[]-\\dws{1,2}\n", max_size=12),
    texts=st.lists(
        st.text("ab1 \n\r٣é\u2028_-\x1c", max_size=6) | st.sampled_from(pairs.ODD_TEXTS), min_size=1, max_size=5
    ),
)
@pytest.mark.filterwarnings("ignore")
def test_a_translated_pattern_finds_the_same(pattern: str, texts: list[str]) -> None:
    made = translate(pattern)
    if made is None:
        return
    for text in texts:
        if made.ascii_only and not text.isascii():
            continue
        (found,) = DATABASE.execute(f"SELECT regexp_matches(?, {literal(made.pattern)})", [text]).fetchone() or (None,)
        assert found is (re.search(pattern, text) is not None), (pattern, made, text)


DATABASE = duckdb.connect(":memory:")


def test_nan_is_no_value_although_parquet_statistics_leave_it_out(tmp_path: Path) -> None:
    """Row groups whose least and greatest value are finite say nothing about NaN; DuckDB takes it for a proof."""
    path = parquet(tmp_path / "t.parquet", x=pa.array([float(i % 7) if i % 50 else float("nan") for i in range(5000)]))
    document = suite(
        (NOT_NULL, {"column": "x"}),
        ("expect_column_min_to_be_between", {"column": "x", "min_value": 0}),
        ("expect_column_max_to_be_between", {"column": "x", "max_value": 6}),
    )
    fused, gx = (evaluate(path, document, engine=engine).outcomes for engine in ("fused", "gx"))
    assert [(bool(o), o.saw, o.unexpected, o.rows) for o in fused] == [
        (bool(o), o.saw, o.unexpected, o.rows) for o in gx
    ]
    assert (bool(fused[0]), fused[0].unexpected, fused[0].rows[:2]) == (False, 100, (0, 50))
