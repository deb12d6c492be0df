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
from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.pinning.pin import pin
from airflow_mlsecops.core.validation.plans import Answer, Ask, Plan, Table, count_where
from airflow_mlsecops.core.validation.reading import reading
from airflow_mlsecops.core.validation.security.frames import as_keys, normal_forms
from airflow_mlsecops.core.validation.security.normal_sql import with_normal
from airflow_mlsecops.core.validation.security.values import arguments_of, scratch_name
from airflow_mlsecops.core.validation.source import Source, literal

if TYPE_CHECKING:
    import pandas

DEFAULTS = {"max_share": 0.0, "train": "train", "test": "test"}


def options(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the defaults.

    Raises:
        ConfigurationError: unless exactly one of ``split_column`` and ``other`` is given, the latter with its digest.
    """
    other = kwargs.get("other")
    if (other is None) == (kwargs.get("split_column") is None):
        raise ConfigurationError("expected either split_column or other", "name where the training rows are")
    if other is not None and set(other) != {"path", "sha256"}:
        raise ConfigurationError("other has to have path and sha256", "pin it with: mlsecops pin PATH")
    return {name: kwargs.get(name, default) for name, default in DEFAULTS.items()}


def judge_overlap(frame: pandas.DataFrame, kwargs: Mapping[str, Any]) -> Answer:
    """Decide about a frame."""
    chosen, column = options(kwargs), kwargs["column"]
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
    chosen, column = options(kwargs), table.columns[kwargs["column"]]
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
        tests = trains = table.relation
        found["train"] = ask(train)
        if split is None:
            trains = scratch_name("other", kwargs["other"])
            try:
                other = _read_other(kwargs)
            except DataError as error:
                found["trouble"] = error.message
                return
            found["train"] = other.num_rows - other[column.name].null_count
            source.connection.register(trains, other)
        sides = [f"(SELECT {column.sql} AS v, n FROM {with_normal(source, each, column)} WHERE {where})"
                 for each, where in ((tests, in_test), (trains, in_train))]  # fmt: skip
        with reading():
            _keep(source, sides[0], sides[1], bad_values, few_tests=ask(test) <= found["train"])

    def decide(ask: Ask) -> Answer:
        if "trouble" in found:
            return Answer(False, trouble=found["trouble"])
        unexpected = int(ask(f"SELECT coalesce(sum(c), 0) FROM {bad_values}"))
        return _answer(chosen, table.rows, ask(test), unexpected, found["train"] > 0, ())

    return Plan(decide, (test, train), (), bad, prepare)


def _keep(source: Source, tests: str, trains: str, bad: str, *, few_tests: bool) -> None:
    """Make the table of test values that are among the training ones.

    The larger side is read once: hashes of the smaller one find the candidates in it, the forms themselves decide.
    """
    run = source.connection.execute
    small, large = (tests, trains) if few_tests else (trains, tests)
    run(f"CREATE OR REPLACE TABLE small_{bad} AS SELECT hash(n) AS h FROM {small}")
    found = f"SELECT v, n, count(*) AS c FROM {large} WHERE hash(n) IN (SELECT h FROM small_{bad}) GROUP BY v, n"
    run(f"CREATE OR REPLACE TABLE maybe_{bad} AS {found}")
    if few_tests:
        sure = f"SELECT v, count(*) AS c FROM {tests} WHERE n IN (SELECT n FROM maybe_{bad}) GROUP BY v"
    else:
        sure = f"SELECT v, c FROM maybe_{bad} WHERE n IN (SELECT n FROM {trains})"
    run(f"CREATE OR REPLACE TABLE {bad} AS {sure}")
    for table in ("small", "maybe"):
        run(f"DROP TABLE {table}_{bad}")


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
    return Answer(share <= chosen["max_share"], seen if trained else 0, bad, observed, elements, rows)
