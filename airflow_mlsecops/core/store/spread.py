"""Doing many small things with a store: one after the other where it is near, several at once where it is far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_FAR_SECONDS = 0.003
_AT_ONCE = 10
"""boto3 keeps as many connections, and closes what comes back to it beyond them."""


def spread(function: Callable[[_T], _R], items: Sequence[_T], *, at_once: bool = False) -> list[_R]:
    """``[function(item) for item in items]``, in threads as soon as one call took as long as a network does.

    Args:
        function: called with each item; it doesn't depend on another item's call.
        items: what to call it with.
        at_once: use threads in any case. They live no longer than the call, because a fork would lose them.

    Raises:
        Exception: what the first failing call raised.
    """
    results: list[_R] = []
    while len(results) < len(items) and not at_once:
        started = time.perf_counter()
        results.append(function(items[len(results)]))
        at_once = time.perf_counter() - started > _FAR_SECONDS
    rest = items[len(results) :]
    if len(rest) < 2:
        return results + [function(item) for item in rest]
    with ThreadPoolExecutor(min(len(rest), _AT_ONCE)) as pool:
        return results + list(pool.map(function, rest))
