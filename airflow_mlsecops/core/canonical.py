"""JSON that is read strictly and written canonically.

Writing follows RFC 8785 (JSON Canonicalization Scheme), so that equal values are equal bytes and a digest of them
means something. Reading refuses what two parsers could read differently: duplicate keys, NaN and infinities, too large
or too deep input.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import rfc8785

from airflow_mlsecops.core.errors import StatementError

MAX_JSON_BYTES = 16 * 1024 * 1024
"""Statements and bundles are small; full reports are blobs. What is larger isn't read at all."""


def canonical_json(value: Any) -> bytes:
    """Encode ``value`` as canonical JSON (RFC 8785).

    Raises:
        StatementError: if the value can't be JSON (NaN, infinity, integers beyond 2**53, unknown types).
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError, TypeError, RecursionError) as error:
        raise StatementError(
            f"value can't be written as canonical JSON: {error}", "use finite numbers, strings, lists and objects"
        ) from error


def strict_json(data: bytes, what: str = "document", limit: int = MAX_JSON_BYTES) -> Any:
    """Decode JSON, refusing duplicates, non-finite numbers, bad UTF-8 and anything over ``limit`` bytes.

    Raises:
        StatementError: with ``what`` in the message.
    """
    if len(data) > limit:
        raise StatementError(
            f"{what} has {len(data)} bytes, more than the {limit} that are read", "look where it comes from"
        )
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise StatementError(
            f"{what} is not valid JSON: {error}", "it may be truncated or overwritten; restore it"
        ) from error


def jsonable(value: Any) -> Any:
    """Turn numpy scalars, tuples and sets into what canonical JSON takes; non-finite floats become ``None``."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return [jsonable(item) for item in sorted(value, key=str)]
    if value is None or isinstance(value, (str, bool)):
        return value
    if hasattr(value, "item") and callable(value.item) and getattr(value, "ndim", 0) == 0:
        value = value.item()  # a numpy scalar
        if value is None or isinstance(value, (str, bool)):
            return value
    if isinstance(value, int):
        return value if abs(value) <= 2**53 - 1 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"duplicate key {next(n for n in names if names.count(n) > 1)!r}")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
