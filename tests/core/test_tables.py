"""Tables are read strictly: whatever two readers could read differently is an error that says where."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.controls import tables
from airflow_mlsecops.core.controls.parts import part_files
from airflow_mlsecops.core.controls.tables import read_table
from airflow_mlsecops.core.errors import DataError

CANARY = "secret-4711"
FRAME = pd.DataFrame({"row_id": [1, 2, 3], "x": [0.5, None, 2.5], "name": ["a", None, CANARY]})


def parquet(table: pa.Table | pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(table) if isinstance(table, pd.DataFrame) else table, sink)
    return sink.getvalue()


CSV = FRAME.to_csv(index=False).encode()
PARQUET = parquet(FRAME)


@pytest.mark.parametrize(
    ("name", "data"),
    [("t.csv", CSV), ("t.CSV", CSV), ("t.csv.gz", gzip.compress(CSV)), ("t.parquet", PARQUET), ("t.pq", PARQUET)],
)
def test_reads_each_format_alike(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    pd.testing.assert_frame_equal(read_table(tmp_path / name), FRAME)
    assert list(read_table(tmp_path / name, columns=["name", "row_id"]).columns) == ["name", "row_id"]


BAD_FILES = {
    "unknown-extension": ("t.xlsx", b"x", "'t.xlsx'"),
    "no-extension": ("table", b"x", "'table'"),
    "empty-csv": ("t.csv", b"", "t.csv is empty"),
    "blank-csv": ("t.csv", b"\n \n", "t.csv is empty"),
    "empty-parquet": ("t.parquet", b"", "t.parquet is empty"),
    "empty-gzip": ("t.csv.gz", gzip.compress(b""), "t.csv.gz is empty"),
    "header-only": ("t.csv", b"a,b\n", "no rows"),
    "parquet-without-rows": ("t.parquet", parquet(FRAME.head(0)), "no rows"),
    "short-row": ("t.csv", f"a,b\n1,2\n{CANARY}\n".encode(), "Expected 2 columns, got 1"),
    "long-row": ("t.csv", f"a,b\n1,{CANARY},3\n".encode(), "Expected 2 columns, got 3"),
    "row-before-index": ("t.csv", b"a,b\n1,2,3\n1,2,3\n", "Expected 2 columns, got 3"),
    "open-quote": ("t.csv", f'a,b\n1,"{CANARY}\n2,3\n'.encode(), "quote that is never closed"),
    "utf-16": ("t.csv", "a,b\n1,2\n".encode("utf-16"), "NUL"),
    "latin-1-cell": ("t.csv", "a,city\n1,Zürich\n".encode("latin-1"), "not UTF-8 in column 'city'"),
    "latin-1-name": ("t.csv", "a,Größe\n1,2\n".encode("latin-1"), "first line"),
    "parquet-called-csv": ("t.csv", PARQUET, "NUL"),
    "csv-called-parquet": ("t.parquet", CSV, "not a whole Parquet file"),
    "csv-called-gzip": ("t.csv.gz", CSV, "t.csv.gz can't be read"),
    "truncated-gzip": ("t.csv.gz", gzip.compress(CSV)[:-9], "Truncated"),
    "truncated-parquet": ("t.parquet", PARQUET[:-1], "not a whole Parquet file"),
    "damaged-parquet-footer": (
        "t.parquet",
        PARQUET[:-60] + b"\xff" * 20 + PARQUET[-40:],
        "not a whole Parquet file",
    ),
    "column-twice-csv": ("t.csv", b"a,b,a\n1,2,3\n", "'a' more than once"),
    "column-twice-parquet": (
        "t.parquet",
        parquet(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["label", "label"])),
        "'label' more than once",
    ),
}


@pytest.mark.parametrize(("name", "data", "culprit"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_refuses(tmp_path: Path, name: str, data: bytes, culprit: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / name)
    assert caught.value.code == "data"
    assert culprit in caught.value.message
    assert caught.value.advice
    assert CANARY not in str(caught.value)


def test_a_flipped_bit_in_a_page_is_seen_where_pages_have_checksums(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"x": list(range(5000))}), sink, write_page_checksum=True, use_dictionary=False, compression="none"
    )
    data = bytearray(sink.getvalue())
    data[2000] ^= 1
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read_table(tmp_path / "t.parquet")


@settings(max_examples=60, deadline=None)
@given(end=st.integers(min_value=0, max_value=len(PARQUET) - 1))
def test_no_truncated_parquet_file_is_read(tmp_path_factory: pytest.TempPathFactory, end: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "t.parquet"
    path.write_bytes(PARQUET[:end])
    with pytest.raises(DataError):
        read_table(path)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8).map(
    lambda text: f"v{text}"
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20), data=st.data())
def test_what_was_written_is_read_and_a_row_of_another_length_never(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"

    def write(lines: list[tuple[str, ...]]) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("a", "b"), *lines])

    write([*rows])
    assert list(read_table(path).itertuples(index=False, name=None)) == rows
    odd = data.draw(st.integers(0, len(rows) - 1))
    length = data.draw(st.sampled_from([1, 3]))
    write([(*row, "v")[:length] if number == odd else row for number, row in enumerate(rows)])
    with pytest.raises(DataError, match=f"Expected 2 columns, got {length}"):
        read_table(path)


def test_types_are_inferred_from_all_rows_not_from_the_first_ones(tmp_path: Path) -> None:
    """A later fraction makes the column a float, and later text makes it text; neither is an error or a null."""
    lines = ["x,y", *(["1,2"] * 400_000), "1.5,oops"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    frame = read_table(tmp_path / "t.csv")
    assert frame["x"].dtype == "float64"
    assert frame["x"].iloc[-1] == 1.5
    assert frame["y"].iloc[-1] == "oops"
    assert frame["y"].notna().all()


def test_a_cell_may_be_large(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"x,y\n1,2\n{'v' * 5_000_000},3\n1,2\n")
    assert list(read_table(tmp_path / "t.csv")["x"].str.len()) == [1, 5_000_000, 1]


def test_nulls_and_booleans_are_those_of_pandas_and_dates_stay_text(tmp_path: Path) -> None:
    text = 'flag,day,at,null,q\ntrue,2020-01-31,10:00:00,NA,"x, ""y""\nz"\nFalse,2021-01-31,11:00:00,,plain\n'
    (tmp_path / "t.csv").write_text(text)
    frame = read_table(tmp_path / "t.csv")
    assert frame["null"].isna().all()
    pd.testing.assert_frame_equal(frame.drop(columns="null"), pd.read_csv(tmp_path / "t.csv").drop(columns="null"))
    assert list(frame["day"]) == ["2020-01-31", "2021-01-31"]
    assert frame["flag"].dtype == "bool"


def test_a_column_that_pandas_wrote_as_index_is_a_column(tmp_path: Path) -> None:
    FRAME.assign(row_id=[7, 3, 9]).set_index("row_id").to_parquet(tmp_path / "t.parquet")
    assert set(read_table(tmp_path / "t.parquet").columns) == {"row_id", "x", "name"}


def test_missing_columns_are_named_and_so_are_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(CSV)
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "t.csv", columns=["row_id", "label"])
    assert "'label'" in caught.value.message
    assert "'row_id'" not in caught.value.message
    assert "'row_id', 'x', 'name'" in caught.value.advice


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing lies at gone\.csv"):
        read_table(tmp_path / "gone.csv")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_parts_are_read_in_the_order_of_their_names(tmp_path: Path, ending: str) -> None:
    for name, rows in (("b", [3, 4]), ("a", [1, 2]), ("c", [])):
        frame = pd.DataFrame({"row_id": pd.Series(rows, dtype="int64")})
        target = tmp_path / f"{name}.{ending}"
        frame.to_csv(target, index=False) if ending == "csv" else frame.to_parquet(target, index=False)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / f".a.{ending}.crc").write_bytes(b"crc")
    frame = read_table(tmp_path)
    assert list(frame["row_id"]) == [1, 2, 3, 4]
    assert list(frame.index) == [0, 1, 2, 3]


def test_whole_numbers_and_fractions_meet_in_csv_parts_as_they_do_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("x\n1.5\n")
    assert list(read_table(tmp_path)["x"]) == [1.0, 1.5]


def _two(first: tuple[str, bytes], second: tuple[str, bytes]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name, data in (first, second):
            (folder / name).write_bytes(data)

    return write


def _nested(folder: Path) -> None:
    (folder / "2024").mkdir()
    (folder / "2024" / "a.csv").write_bytes(CSV)


BAD_FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no-parts": (lambda folder: (folder / "_SUCCESS").touch(), "no part files"),
    "mixed-formats": (_two(("a.csv", CSV), ("b.parquet", PARQUET)), "mixes formats: a.csv, b.parquet"),
    "a-stranger": (_two(("a.csv", CSV), ("notes.txt", b"x")), "'notes.txt'"),
    "a-hidden-part": (_two(("a.csv", CSV), ("_b.csv", b"other\n1\n")), "_b.csv"),
    "other-columns": (_two(("a.csv", b"x,y\n1,2\n"), ("b.csv", b"x,z\n1,2\n")), "'y', 'z'"),
    "an-empty-part": (_two(("a.csv", CSV), ("b.csv", b"")), "b.csv is empty"),
    "other-types": (
        _two(("a.parquet", parquet(pa.table({"x": [1]}))), ("b.parquet", parquet(pa.table({"x": [1.5]})))),
        "'x' is int64 in a.parquet and double in b.parquet",
    ),
    "text-among-numbers": (_two(("a.csv", b"x\n1\n"), ("b.csv", b"x\noops\n")), "different types"),
    "nested": (_nested, "'2024', that isn't named column=value"),
    "rows-nowhere": (_two(("a.csv", b"x\n"), ("b.csv", b"x\n")), "no rows"),
}


@pytest.mark.parametrize(("write", "culprit"), BAD_FOLDERS.values(), ids=BAD_FOLDERS.keys())
def test_refuses_folder(tmp_path: Path, write: Callable[[Path], None], culprit: str) -> None:
    write(tmp_path)
    with pytest.raises(DataError) as caught:
        read_table(tmp_path)
    assert culprit in caught.value.message
    assert caught.value.advice


def test_the_parts_of_one_file_are_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(CSV)
    assert part_files(path) == [path]
    with pytest.raises(DataError, match=r"'t\.tsv'"):
        part_files(path.rename(tmp_path / "t.tsv"))


def test_a_small_gzip_that_holds_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MAX_CSV_BYTES", 1_000_000)
    monkeypatch.setattr(tables, "_CHUNK_BYTES", 1000)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"x\n" + b"1\n" * 20_000_000))
    with pytest.raises(DataError, match=r"t\.csv\.gz has more than 1000000 bytes"):
        read_table(tmp_path / "t.csv.gz")
