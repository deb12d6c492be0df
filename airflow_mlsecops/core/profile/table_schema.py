"""A table's schema as it is pinned: names and types, in order.

>>> digest_of((("id", "int64"), ("label", "string")))[:16]
'a3aaf3f1c420cbf3'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.digest import Sha256, sha256_bytes

Schema = tuple[tuple[str, str], ...]
"""Names and types of columns, in order."""

_SAME = {"large_string": "string", "string_view": "string", "large_binary": "binary", "binary_view": "binary"}
"""Arrow's types that hold the same values, and differ in how a writer laid them out in memory."""


def type_name(of: Any) -> str:
    """The name of an Arrow type; that of the values for a dictionary, which is only an encoding."""
    import pyarrow.types as types

    name = str(of.value_type if types.is_dictionary(of) else of)
    return _SAME.get(name, name)


def schema_of(arrow: Any) -> Schema:
    """From an Arrow schema."""
    return tuple((field.name, type_name(field.type)) for field in arrow)


def digest_of(schema: Schema) -> Sha256:
    """SHA-256 of the canonical JSON of ``[{"name", "type"}, …]``."""
    return sha256_bytes(canonical_json([{"name": name, "type": kind} for name, kind in schema]))


def difference(expected: Schema, found: Schema) -> str:
    """The first things that differ, in words; empty if nothing does."""
    want, have = dict(expected), dict(found)
    told = [
        *_listed("missing", [name for name in want if name not in have]),
        *_listed("new", [name for name in have if name not in want]),
        *(
            f"column {name!r} is {have[name]}, expected {want[name]}"
            for name in want
            if have.get(name, want[name]) != want[name]
        ),
    ]
    if not told and expected != found:
        told = ["the columns stand in another order"]
    return "; ".join(told[:5]) + (f"; and {len(told) - 5} more" if len(told) > 5 else "")


def _listed(what: str, names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return [f"{what} columns: {', '.join(map(repr, names[:10]))}{more}"] if names else []
