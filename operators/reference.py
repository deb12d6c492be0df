"""Keep what travels through XCom small: digests, counts and verdicts, at most 4 KiB whatever fails."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact

MAX_BYTES = 4096
_MAX_ARTIFACT_BYTES = 3584
"""So that what a task says about an artifact still fits beside it."""
_SHORT = 40
"""Texts are cut down to this many bytes, if it takes that much."""
_FOR_PEOPLE = frozenset({"name", "summary", "reasons", "policy", "approver"})
"""What may be cut. Without the end of a URI or a digest, a reference would refer to something else."""


def size_of(value: Any) -> int:
    """Bytes as JSON in its longest form, in which whatever isn't ASCII is written as an escape."""
    return len(json.dumps(value))


def bounded(reference: Mapping[str, Any], limit: int = MAX_BYTES) -> dict[str, Any]:
    """The reference, its texts for people cut as far as it takes, the longest one first.

    Raises:
        ConfigurationError: if what must not be cut is too long, such as the URI of the artifact.
    """
    value: dict[str, Any] = json.loads(json.dumps(reference))
    while (excess := size_of(value) - limit) > 0:
        size, holder, key = max(_texts(value), key=lambda found: found[0], default=(0, value, ""))
        if size <= _SHORT:
            raise ConfigurationError(
                f"the reference to the artifact takes more than {limit} bytes", "give the data a shorter path"
            )
        holder[key] = _cut(holder[key], max(_SHORT, size - excess))
    return value


def check_fits(artifact: Artifact) -> None:
    """Refuse an artifact that no task could hand on, before any work is done.

    Raises:
        ConfigurationError: if its URI is too long.
    """
    bounded({"artifact": artifact.to_dict()}, _MAX_ARTIFACT_BYTES)


def _texts(value: Any, for_people: bool = False) -> Iterator[tuple[int, Any, Any]]:
    """Each text that may be cut: its size, what holds it, and its key there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        cut = for_people or key in _FOR_PEOPLE
        if isinstance(item, str) and cut:
            yield size_of(item), value, key
        elif isinstance(item, (dict, list)):
            yield from _texts(item, cut and isinstance(item, list))


def _cut(text: str, size: int) -> str:
    """As much of the text's beginning as fits into so many bytes of JSON, with an ellipsis."""
    left = size - size_of("…")
    for kept, letter in enumerate(text):
        left -= size_of(letter) - 2
        if left < 0:
            return f"{text[:kept]}…"
    return text
