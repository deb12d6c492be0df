"""A derived data set without the accused rows, or with other labels on them, and an account of what was done.

What isn't touched stays as it is: of a CSV file the other records keep their very bytes, of a Parquet file their types.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.csv_records import rewritten_csv
from airflow_mlsecops.core.errors import ConfigurationError, DataError, StatementError
from airflow_mlsecops.core.poisoning.labelled_table import read_labelled

Rule = Literal["remove", "relabel"]
RULES: tuple[Rule, ...] = ("remove", "relabel")
_FIELDS: dict[str, Any] = {"row_id": str, "given": str, "suggested": str, "quality": (int, float), "detectors": list}


@dataclass(frozen=True)
class Sanitized:
    """What was made.

    Attributes:
        data: the derived file.
        account: canonical JSON: rule, counts, and each touched row with its old label, its new one and its accusers.
        touched: how many rows were removed or relabelled.
        rows: how many rows the derived file has.
    """

    data: bytes
    account: bytes
    touched: int
    rows: int


def suspects_from(data: bytes) -> list[dict[str, Any]]:
    """The list that the detection wrote, checked.

    Raises:
        StatementError: if it is something else.
    """
    rows = strict_json(data, "suspects.json", limit=1 << 30)
    if not isinstance(rows, list):
        raise StatementError("suspects.json is no list", "it isn't what the detection wrote")
    for row in rows:
        for name, kind in _FIELDS.items():
            if not isinstance(row, dict) or not isinstance(row.get(name), kind):
                raise StatementError(f"a suspect has no usable {name!r}", "it isn't what the detection wrote")
    return rows


def sanitize(
    path: Path,
    suspects: Sequence[Mapping[str, Any]],
    *,
    rule: Rule,
    label_column: str,
    id_column: str | None = None,
    detectors: Sequence[str] | None = None,
    max_share: float = 0.2,
) -> Sanitized:
    """Apply the rule to the accused rows.

    Args:
        path: a private copy of the verified bytes: one CSV or Parquet file.
        suspects: see :func:`suspects_from`.
        rule: ``remove`` the rows, or ``relabel`` them with the suggested label.
        label_column: of the labels.
        id_column: of the ids; by default rows are named by their number.
        detectors: only rows that one of these accuses; by default all.
        max_share: more rows than this share of all aren't touched: somebody has to look first.

    Raises:
        DataError: if a suspect can't be found or its label isn't the one that was judged, no class would keep its
            rows, or too many rows are accused.
        ConfigurationError: if the rule, the share, the detectors or the format is unknown.
    """
    if rule not in RULES or not 0 < max_share < 1:
        raise ConfigurationError(
            f"rule is {rule!r}, max_share is {max_share!r}", "expected remove or relabel, and a share between 0 and 1"
        )
    chosen = [row for row in suspects if detectors is None or set(detectors) & set(row["detectors"])]
    if detectors is not None and not chosen and suspects:
        known = sorted({name for row in suspects for name in row["detectors"]})
        raise ConfigurationError(f"no suspect is accused by {list(detectors)}", f"these accuse: {', '.join(known)}")
    table = read_labelled(path, label_column=label_column, id_column=id_column, learn=False)
    given = {row_id: table.classes[k] for row_id, k in zip(table.row_ids, table.labels, strict=True)}
    for row in chosen:
        if given.get(row["row_id"]) != row["given"]:
            raise DataError(
                "a suspect row isn't there or has another label than the one that was judged",
                "sanitize the very data set that the detection judged",
            )
    if len(chosen) > max_share * len(given):
        raise DataError(
            f"{len(chosen)} of {len(given)} rows are accused, more than {max_share:.0%}", "look at the report first"
        )
    new = {row["row_id"]: (row["suggested"] if rule == "relabel" else None) for row in chosen}
    left = {label for row_id, label in given.items() if row_id not in new} | {label for label in new.values() if label}
    if lost := set(table.classes) - left:
        raise DataError(f"{len(lost)} classes would lose all their rows", "look at the report first")
    order = table.numbers
    by_number = {order[place]: new[row_id] for place, row_id in enumerate(table.row_ids) if row_id in new}
    data = _rewritten(path, by_number, label_column)
    return Sanitized(
        data, _account(chosen, rule, len(given)), len(chosen), len(given) - (rule == "remove") * len(chosen)
    )


def _account(chosen: Sequence[Mapping[str, Any]], rule: Rule, rows: int) -> bytes:
    touched = [
        {
            "row_id": row["row_id"],
            "given": row["given"],
            "new": row["suggested"] if rule == "relabel" else None,
            "quality": row["quality"],
            "detectors": list(row["detectors"]),
        }
        for row in sorted(chosen, key=lambda row: row["row_id"])
    ]
    return canonical_json({"rule": rule, "rows_before": rows, "touched": len(touched), "rows": touched})


def _rewritten(path: Path, changes: Mapping[int, str | None], label_column: str) -> bytes:
    if path.is_file() and path.name.lower().endswith(".csv"):
        return rewritten_csv(path.read_bytes(), changes, label_column)
    if path.is_file() and path.name.lower().endswith((".parquet", ".pq")):
        return _rewritten_parquet(path, changes, label_column)
    raise ConfigurationError(f"{path.name} can't be rewritten", "expected one .csv or .parquet file")


def _rewritten_parquet(path: Path, changes: Mapping[int, str | None], label_column: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    column = table.schema.get_field_index(label_column)
    labels = table.column(column).to_pylist()
    known: dict[str, Any] = {}
    for value in labels:
        whole = isinstance(value, float) and value.is_integer()
        known.setdefault(str(int(value) if whole else value), value)
    for number, label in changes.items():
        if label is not None:
            labels[number] = known[label]
    field = table.schema.field(column)
    table = table.set_column(column, field, pa.array(labels, type=field.type))
    keep = pa.array([changes.get(number, "") is not None for number in range(table.num_rows)])
    sink = io.BytesIO()
    pq.write_table(table.filter(keep), sink)
    return sink.getvalue()
