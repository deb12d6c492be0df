"""A profile: counts and bins, in a form that is the same whatever the order of the rows and however they are split.

It holds no sums of floats, whose last digits depend on the order of adding, and no samples. Equal data sets have equal
profiles, byte for byte, as computed by one version of DuckDB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.profile.errors import ProfileError
from airflow_mlsecops.core.profile.table_schema import Schema, digest_of

VERSION = 1
SCHEMA = "https://airflow-mlsecops.readthedocs.io/schemas/data-profile-v1.json"
MAX_BYTES = 128 * 1024 * 1024
BINS = 1000
"""How many bins a histogram has at most: so much of the mass, a thousandth, can hide between two edges."""
NUMBER, TEXT, BOOL, OTHER = "number", "text", "bool", "other"


@dataclass(frozen=True)
class Histogram:
    """How often values lie between edges.

    Attributes:
        edges: finite, ascending.
        counts: one more than edges: up to and with the first edge, …, above the last one.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """How many values there are."""
        return sum(self.counts)


@dataclass(frozen=True)
class Categories:
    """How often each value is there.

    Attributes:
        counts: value, or its digest if masked -> rows; the most frequent values.
        other_values: how many values were folded.
        other_rows: how many rows hold one of those.
        masked: whether the values are digests; see :func:`~airflow_mlsecops.core.profile.categories.masked_name`.
    """

    counts: Mapping[str, int]
    other_values: int = 0
    other_rows: int = 0
    masked: bool = False


@dataclass(frozen=True)
class ColumnProfile:
    """One column.

    Attributes:
        name: its name.
        type: Arrow's name of its type.
        family: ``number``, ``text``, ``bool`` or ``other``: what can be compared.
        rows: how many rows there are.
        nulls: how many hold null or NaN.
        distinct: how many different values; estimated by HyperLogLog unless ``categories`` has all of them.
        distinct_exact: whether that was counted.
        low, high: of finite numbers; ``None`` if there are none, or if the profile is masked.
        histogram: of numbers, and of texts' lengths in code points; ``None`` without values.
        categories: of texts, booleans and whole numbers; ``None`` where there are too many.
    """

    name: str
    type: str
    family: str
    rows: int
    nulls: int
    distinct: int
    distinct_exact: bool
    low: float | None = None
    high: float | None = None
    histogram: Histogram | None = None
    categories: Categories | None = None


@dataclass(frozen=True)
class Profile:
    """A data set in numbers.

    Attributes:
        rows: how many there are.
        columns: in the table's order.
        label: the column with the labels; empty if none was named.
        masked: whether values are only there as digests.
    """

    rows: int
    columns: tuple[ColumnProfile, ...]
    label: str = ""
    masked: bool = False

    @property
    def schema(self) -> Schema:
        """Names and types."""
        return tuple((column.name, column.type) for column in self.columns)

    @property
    def schema_digest(self) -> Sha256:
        """What a suite pins a schema to."""
        return digest_of(self.schema)

    def column(self, name: str) -> ColumnProfile | None:
        """A column by its name; ``None`` if there is none."""
        return next((column for column in self.columns if column.name == name), None)

    def to_bytes(self) -> bytes:
        """Canonical JSON, valid by the published schema ``data-profile-v1``."""
        return canonical_json(
            {
                "$schema": SCHEMA,
                "version": VERSION,
                "rows": self.rows,
                "schema_sha256": self.schema_digest,
                "label": self.label or None,
                "masked": self.masked,
                "columns": [_written(column) for column in self.columns],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Profile:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            ProfileError: if it is anything else, also something that contradicts itself.
        """
        try:
            value = strict_json(data, "the profile", MAX_BYTES)
            if not isinstance(value, dict) or value["$schema"] != SCHEMA or value["version"] != VERSION:
                raise ProfileError("not a profile of version 1", "make it again with ProfileDatasetOperator")
            columns = tuple(_read(item, _count(value["rows"])) for item in value["columns"])
            profile = cls(value["rows"], columns, value["label"] or "", _flag(value["masked"]))
        except StatementError as error:
            raise ProfileError(error.message, error.advice) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProfileError(f"the profile is malformed: {error!r:.200}", "make it again") from error
        if not columns or len({column.name for column in columns}) != len(columns):
            raise ProfileError("the profile has no columns, or one of them twice", "make it again")
        if profile.schema_digest != value["schema_sha256"]:
            raise ProfileError("the profile's schema isn't the one that its digest says", "make it again")
        return profile


def _written(column: ColumnProfile) -> dict[str, Any]:
    histogram, categories = column.histogram, column.categories
    return {
        "name": column.name,
        "type": column.type,
        "family": column.family,
        "nulls": column.nulls,
        "distinct": {"count": column.distinct, "exact": column.distinct_exact},
        "min": column.low,
        "max": column.high,
        "histogram": histogram and {"edges": list(histogram.edges), "counts": list(histogram.counts)},
        "categories": categories
        and {
            "masked": categories.masked,
            "counts": [{"value": value, "rows": rows} for value, rows in categories.counts.items()],
            "other": {"values": categories.other_values, "rows": categories.other_rows},
        },
    }


def _read(item: Mapping[str, Any], rows: int) -> ColumnProfile:
    histogram, categories = item["histogram"], item["categories"]
    column = ColumnProfile(
        name=_text(item["name"]),
        type=_text(item["type"]),
        family=_text(item["family"]),
        rows=rows,
        nulls=_count(item["nulls"]),
        distinct=_count(item["distinct"]["count"]),
        distinct_exact=_flag(item["distinct"]["exact"]),
        low=None if item["min"] is None else _finite(item["min"]),
        high=None if item["max"] is None else _finite(item["max"]),
        histogram=None if histogram is None else _histogram(histogram),
        categories=None if categories is None else _categories(categories),
    )
    held = rows - column.nulls
    told = column.categories
    if column.family not in (NUMBER, TEXT, BOOL, OTHER) or held < 0:
        raise ValueError(f"column {column.name!r} has an unknown family, or more nulls than rows")
    if column.histogram is not None and column.histogram.total != held:
        raise ValueError(f"the histogram of {column.name!r} doesn't add up")
    if told is not None and sum(told.counts.values()) + told.other_rows != held:
        raise ValueError(f"the categories of {column.name!r} don't add up")
    return column


def _histogram(value: Mapping[str, Any]) -> Histogram:
    edges, counts = tuple(map(_finite, value["edges"])), tuple(map(_count, value["counts"]))
    if not edges or len(counts) != len(edges) + 1 or any(a >= b for a, b in pairwise(edges)):
        raise ValueError("edges have to ascend, and counts to be one more")
    return Histogram(edges, counts)


def _categories(value: Mapping[str, Any]) -> Categories:
    counts = {_text(item["value"]): _count(item["rows"]) for item in value["counts"]}
    if len(counts) != len(value["counts"]):
        raise ValueError("a category stands twice")
    return Categories(counts, _count(value["other"]["values"]), _count(value["other"]["rows"]), _flag(value["masked"]))


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{str(value)[:40]!r} is no count")
    return value


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:40]!r} is no finite number")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{str(value)[:40]!r} is neither true nor false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:40]!r} is no text")
    return value
