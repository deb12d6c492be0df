"""Keep what travels through XCom small: digests, counts and verdicts, at most 4 KiB whatever fails."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError

MAX_BYTES = 4096
_SHORT = 40
"""Texts are cut down to this many bytes, if it takes that much."""
_EXACT = frozenset({"uri", "digest", "evidence", "version", "versions", "kind", "form", "verdict", "control"})
"""Never cut: with less of it, a reference would refer to something else."""


def size_of(value: Any) -> int:
    """Bytes as JSON in its longest form, in which whatever isn't ASCII is written out."""
    return len(json.dumps(value))


def bounded(reference: Mapping[str, Any]) -> dict[str, Any]:
    """The reference, its texts for people cut as far as it takes: the longest one first.

    Raises:
        ConfigurationError: if what must not be cut is too long, such as the URI of the artifact.
    """
    value: dict[str, Any] = json.loads(json.dumps(reference))
    while (excess := size_of(value) - MAX_BYTES) > 0:
        longest = max(_texts(value), key=lambda found: size_of(found[0][found[1]]), default=None)
        if longest is None or size_of(longest[0][longest[1]]) <= _SHORT:
            raise ConfigurationError(
                f"the reference to the artifact takes {size_of(value)} bytes, more than {MAX_BYTES}",
                "give the data a shorter path",
            )
        holder, key = longest
        holder[key] = _cut(holder[key], max(_SHORT, size_of(holder[key]) - excess))
    return value


def _texts(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each text that may be cut, by what holds it and its key there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        if isinstance(item, str) and key not in _EXACT:
            yield value, key
        else:
            yield from _texts(item)


def _cut(text: str, size: int) -> str:
    """As much of the text's beginning as fits into so many bytes of JSON, with an ellipsis."""
    left = size - size_of("…")
    kept = 0
    for letter in text:
        left -= size_of(letter) - 2
        if left < 0:
            break
        kept += 1
    return text[:kept] + "…"
