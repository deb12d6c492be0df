"""JSON that is read strictly and written canonically.

Writing follows RFC 8785 (JSON Canonicalization Scheme), so that equal values are equal bytes and a digest of them
means something. Reading refuses what two parsers could read differently: duplicate keys, NaN and infinities (also as
numbers too large for a double), lone surrogates, too large or too deep input.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

import rfc8785

from airflow_mlsecops.core.errors import StatementError

MAX_JSON_BYTES = 16 * 1024 * 1024
"""Statements and bundles are small; full reports are blobs. What is larger isn't read at all."""

_LARGEST_INT = 2**53 - 1
"""Beyond it a double, which is what other parsers take numbers for, can't tell neighbours apart."""
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def canonical_json(value: Any) -> bytes:
    """Encode ``value`` as canonical JSON (RFC 8785).

    Raises:
        StatementError: if the value can't be JSON (NaN, infinity, integers beyond 2**53, unknown types).
    """
    try:
        if _is_simple(value):
            # Then Python's encoder writes what RFC 8785 asks for, and a manifest of many files takes a tenth the time.
            return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError, TypeError, RecursionError) as error:
        raise StatementError(
            f"value can't be written as canonical JSON: {error}", "use finite numbers, strings, lists and objects"
        ) from error


def _is_simple(value: Any) -> bool:
    """Whether ``value`` is made of ASCII keys (code points sort as UTF-16 does), text and whole numbers alone."""
    kind = type(value)  # exactly: an enum's text, say, is for the careful encoder
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-_LARGEST_INT <= value <= _LARGEST_INT)
    if kind is dict:
        return all(type(key) is str and key.isascii() and _is_simple(item) for key, item in value.items())
    return kind is list and all(map(_is_simple, value))


def strict_json(data: bytes, what: str = "document", limit: int = MAX_JSON_BYTES) -> Any:
    """Decode JSON, refusing duplicates, non-finite numbers, bad Unicode and anything over ``limit`` bytes.

    Raises:
        StatementError: with ``what`` in the message.
    """
    if len(data) > limit:
        raise StatementError(
            f"{what} has {len(data)} bytes, more than the {limit} that are read", "look where it comes from"
        )
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
        if _SURROGATE_ESCAPE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # fails on half of a pair
    except (ValueError, RecursionError) as error:
        raise StatementError(
            f"{what} is not valid JSON: {error}", "it may be truncated or overwritten; restore it"
        ) from error
    return value


def jsonable(value: Any) -> Any:
    """Turn numpy scalars, tuples and sets into what canonical JSON takes.

    Non-finite floats become ``None``. What isn't Unicode in a string (file names have it) becomes an escape that can be
    read, so that a NO whose reason quotes it can still be written down.
    """
    if isinstance(value, dict):
        return {_unicode(str(key)): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return [jsonable(item) for item in sorted(value, key=str)]
    if isinstance(value, str):
        return _unicode(value)
    if value is None or isinstance(value, bool):
        return value
    if hasattr(value, "item") and callable(value.item) and getattr(value, "ndim", 0) == 0:
        value = value.item()  # a numpy scalar
        if value is None or isinstance(value, (str, bool)):
            return _unicode(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return value if abs(value) <= 2**53 - 1 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _unicode(str(value))


def _unicode(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"duplicate key {name[:80]!r}")
    return result


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is beyond a double")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
