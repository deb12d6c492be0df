"""Test examples that stand in the training data too, after case, punctuation, width and the invisible are taken away.

The training rows are those of the same table with ``split_column = train``, or another data set that is pinned by its
digest (``other``). What counts is the share of test rows whose text is among them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.controls.tables import read_arrow_table
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.pinning.pin import pin
from airflow_mlsecops.core.validation.plans import Answer, Ask, Plan, Table
from airflow_mlsecops.core.validation.reading import reading
from airflow_mlsecops.core.validation.security.frames import as_keys, normal_forms
from airflow_mlsecops.core.validation.security.hashes import hash_rows, read_rows
from airflow_mlsecops.core.validation.security.normal_sql import with_normal
from airflow_mlsecops.core.validation.security.values import arguments_of, rows_of_table, scratch_name, with_defaults
from airflow_mlsecops.core.validation.source import ROW, Column, Source, count_where, literal

if TYPE_CHECKING:
    import pandas

DEFAULTS = {"max_share": 0.0, "train": "train", "test": "test"}


def judge_overlap(frame: pandas.DataFrame, kwargs: Mapping[str, Any]) -> Answer:
    """Decide about a frame."""
    chosen, column = with_defaults(kwargs, DEFAULTS), kwargs["column"]
    forms = normal_forms(frame, column)
    if kwargs.get("other") is not None:
        train = set(normal_forms(_read_other(kwargs).to_pandas(), column))
        test = forms
    else:
        splits = as_keys(frame, kwargs["split_column"]).reindex(forms.index)
        train, test = set(forms[splits == chosen["train"]]), forms[splits == chosen["test"]]
    rows = tuple(int(row) for row in test.index[test.isin(train)])
    return _answer(chosen, len(frame), len(test), len(rows), bool(train), rows)


def plan_overlap(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """The plan."""
    chosen, column = with_defaults(kwargs, DEFAULTS), table.columns[kwargs["column"]]
    split = table.columns[kwargs["split_column"]] if kwargs.get("split_column") is not None else None
    if column.kind != "text" or (split is not None and split.kind not in ("text", "int", "bool")):
        return None
    bad_values = scratch_name("bad", "overlap", column.name, arguments_of(kwargs))
    in_test = "true" if split is None else f"CAST({split.sql} AS VARCHAR) = {literal(chosen['test'])}"
    in_train = "true" if split is None else f"CAST({split.sql} AS VARCHAR) = {literal(chosen['train'])}"
    bad = f"({column.sql} IN (SELECT v FROM {bad_values}) AND {in_test})"
    test, train = (count_where(f"{column.present} AND {each}") for each in (in_test, in_train))
    found: dict[str, Any] = {}

    def prepare(ask: Ask, source: Source) -> None:
        hashes = hash_rows(source, table, column)
        if split is None:
            try:
                other = _read_other(kwargs)
            except DataError as error:
                found["trouble"] = error.message
                return
            found["train"] = other.num_rows - other[column.name].null_count
            _beside(source, column, hashes, other, bad_values)
        else:
            found["train"] = ask(train)
            _within(source, column, hashes, (in_test, in_train), bad_values, few_tests=ask(test) <= found["train"])

    def decide(ask: Ask) -> Answer:
        if "trouble" in found:
            return Answer(False, trouble=found["trouble"])
        unexpected, rows = rows_of_table(ask, bad_values)
        return _answer(chosen, table.rows, ask(test), unexpected, found["train"] > 0, rows)

    return Plan(decide, (test, train), (), bad, prepare)


def _within(source: Source, column: Column, hashes: str, sides: tuple[str, str], bad: str, *, few_tests: bool) -> None:
    """Make the table of test rows that are among the training rows of the same table.

    Hashes of the smaller side find the rows of the larger one that may match, and those the ones of the smaller.
    """
    run = source.connection.execute
    small, large = sides if few_tests else sides[::-1]
    with reading():
        run(f"CREATE OR REPLACE TABLE side_{bad} (r BIGINT)")
        for scan, before in source.numbered:
            those = f"SELECT {ROW} + {before} FROM {scan} WHERE {column.present} AND {small}"
            run(f"INSERT INTO side_{bad} {those}")
        in_side = f"r IN (SELECT r FROM side_{bad})"
        run(f"CREATE OR REPLACE TABLE small_{bad} AS SELECT r, h FROM {hashes} WHERE {in_side}")
        run(f"CREATE OR REPLACE TABLE large_{bad} AS SELECT r, h FROM {hashes} WHERE h IN (SELECT h FROM small_{bad})"
            f" AND NOT {in_side}")  # fmt: skip
    read_rows(source, column, f"SELECT r FROM large_{bad}", f"there_{bad}", large)
    met = f"SELECT r FROM small_{bad} WHERE h IN (SELECT h FROM large_{bad})"
    read_rows(source, column, met, f"here_{bad}", small)
    tests, trains = (f"here_{bad}", f"there_{bad}") if few_tests else (f"there_{bad}", f"here_{bad}")
    with reading():
        run(f"CREATE OR REPLACE TABLE {bad} AS SELECT r, v FROM {tests} WHERE n IN (SELECT n FROM {trains})")
        for each in ("side", "small", "large", "here", "there"):
            run(f"DROP TABLE {each}_{bad}")


def _beside(source: Source, column: Column, hashes: str, other: Any, bad: str) -> None:
    """Make the table of rows that are among those of another data set."""
    run = source.connection.execute
    source.connection.register(f"other_{bad}", other)
    forms = with_normal(source, f"other_{bad}", column)
    with reading():
        run(f"CREATE OR REPLACE TABLE train_{bad} AS SELECT DISTINCT n FROM {forms}")
    met = f"SELECT r FROM {hashes} WHERE h IN (SELECT hash(n) FROM train_{bad})"
    read_rows(source, column, met, f"here_{bad}")
    with reading():
        run(f"CREATE OR REPLACE TABLE {bad} AS SELECT r, v FROM here_{bad} WHERE n IN (SELECT n FROM train_{bad})")
        for each in ("train", "here"):
            run(f"DROP TABLE {each}_{bad}")


def _read_other(kwargs: Mapping[str, Any]) -> Any:
    """The other data set's column, from a private copy whose digest was checked.

    Raises:
        DataError: if it isn't there, can't be read, or isn't the one that was pinned.
    """
    path, expected = Path(kwargs["other"]["path"]), kwargs["other"]["sha256"]
    with tempfile.TemporaryDirectory(prefix="mlsecops-") as folder:
        copy = Path(folder) / path.name
        try:
            shutil.copytree(path, copy) if path.is_dir() else shutil.copyfile(path, copy)
        except OSError as error:
            raise DataError(f"the other data set {path.name!r} can't be read", "check its path") from error
        found = pin(str(copy)).artifact.digest
        if found != expected:
            raise DataError(f"{path.name!r} has the SHA-256 {found}, expected {expected}", "pin what you mean again")
        return read_arrow_table(copy, columns=[kwargs["column"]])


def _answer(
    chosen: Mapping[str, Any], elements: int, seen: int, bad: int, trained: bool, rows: tuple[int, ...]
) -> Answer:
    """With nothing on one of the sides nothing was compared, so nothing was seen."""
    share = bad / seen if seen else 0.0
    observed = {"overlap": round(share, 6), "test_rows": seen}
    return Answer(share <= chosen["max_share"], seen if trained else 0, bad, observed, elements, rows=rows)
