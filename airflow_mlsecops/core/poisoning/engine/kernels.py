"""The three sweeps over the rows, written for numba: loops over numbers, no objects, none calls another.

They are plain Python until :func:`compiled` hands them to numba. Compiled code is kept beside this file, as Python keeps
its own, or in the user's cache folder where that isn't writable; where neither is, it is compiled anew in each process.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def gather(probabilities: Any, labels: Any, high: Any, low: Any, counts: Any) -> None:
    """Count labels, and sum ``floor(p(label) * 2**53)`` exactly, in two halves that can't overflow."""
    for row in range(len(labels)):
        label = labels[row]
        whole = math.floor(probabilities[row, label] * 9007199254740992.0)
        counts[label] += 1
        high[label] += whole >> 26
        low[label] += whole & 0x3FFFFFF


def sweep(probabilities: Any, labels: Any, thresholds: Any, confident: Any, flags: Any) -> tuple[int, int]:
    """Count the confident joint and set the bits 8 (confident_learning), 16 (predicted_neq_given) and 128 (moved).

    Returns:
        how many rows are no probabilities, and how many confident rows are off the diagonal and moved.
    """
    classes = probabilities.shape[1]
    bad = 0
    errors = 0
    for row in range(len(labels)):
        label = labels[row]
        best = probabilities[row, 0]
        least = best
        top = 0
        total = 0.0
        reached = 0
        for k in range(classes):
            p = probabilities[row, k]
            total += p
            least = min(least, p)
            reached += p >= thresholds[k]
            if p > best:
                best = p
                top = k
        if not (abs(total - 1.0) <= 1e-4 and least >= -1e-6 and best <= 1.000001):
            bad += 1
            continue
        given = probabilities[row, label] + 1e-6
        moved = top != label and (best > given or (best == given and top < label))
        if moved:
            flags[row] = 128 | 16
        if reached > 0:
            guess = top
            if reached == 1:
                guess = 0
                while probabilities[row, guess] < thresholds[guess]:
                    guess += 1
            confident[label, guess] += 1
            if moved and guess != label:
                flags[row] |= 8
                errors += 1
    return bad, errors


def collect(
    probabilities: Any,
    labels: Any,
    keys: Any,
    first: int,
    begin: int,
    starts: Any,
    fill: Any,
    cut_value: Any,
    cut_key: Any,
    values: Any,
    rows: Any,
    ids: Any,
) -> tuple[int, int]:
    """Put candidates for pruning into the buffers of their groups; stop where a buffer is full.

    Args:
        keys: (rows,) ids that break ties; empty: the position breaks them.
        first: position of the chunk's first row.
        begin: ``row * (classes + 2) + slot`` to begin at.
        starts: (groups + 1,) where the buffer of each group begins.
        fill: (groups,) how many candidates it holds.
        cut_value: (groups,) only greater values come in, or equal ones ...
        cut_key: (groups,) ... with a smaller key.
        values: the candidates' values; ``rows``: their positions; ``ids``: their keys.

    Returns:
        where to begin next, and the group that is full; -1 at the end.
    """
    classes = probabilities.shape[1]
    groups = classes * classes
    named = len(keys) > 0
    last_two = starts[groups + 2] > starts[groups]
    slot = begin % (classes + 2)
    for row in range(begin // (classes + 2), len(labels)):
        label = labels[row]
        given = probabilities[row, label]
        base = label * classes
        key = keys[row] if named else first + row
        for k in range(slot, classes):
            value = probabilities[row, k] - given if k != label else -given
            if value < cut_value[base + k] or (value == cut_value[base + k] and key >= cut_key[base + k]):
                continue
            group = base + k
            if starts[group] + fill[group] == starts[group + 1]:
                return row * (classes + 2) + k, group
            place = starts[group] + fill[group]
            values[place], rows[place], ids[place] = value, first + row, key
            fill[group] += 1
        if last_two:
            other = -1.0
            for k in range(classes):
                if k != label and probabilities[row, k] > other:
                    other = probabilities[row, k]
            for k in range(max(slot, classes), classes + 2):
                group = groups + k - classes
                value = -given if k == classes else -((given - other + 1.0) / 2.0)
                if value < cut_value[group] or (value == cut_value[group] and key >= cut_key[group]):
                    continue
                if starts[group] + fill[group] == starts[group + 1]:
                    return row * (classes + 2) + k, group
                place = starts[group] + fill[group]
                values[place], rows[place], ids[place] = value, first + row, key
                fill[group] += 1
        slot = 0
    return len(labels) * (classes + 2), -1


def select(values: Any, rows: Any, ids: Any, begin: int, end: int, keep: int) -> None:
    """Bring the ``keep`` first of a buffer to its front: greatest value first, ties by the smaller key (quickselect).

    No two candidates are equal in both, so what comes to the front depends on nothing else.
    """
    low = begin
    high = end - 1
    target = begin + keep - 1
    seed = 88172645463325252
    while low < high:
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF  # a pivot that the data's order can't foresee cheaply
        pivot = low + seed % (high - low + 1)
        value = values[pivot]
        key = ids[pivot]
        left = low
        right = high
        while left <= right:
            while values[left] > value or (values[left] == value and ids[left] < key):
                left += 1
            while values[right] < value or (values[right] == value and ids[right] > key):
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                rows[left], rows[right] = rows[right], rows[left]
                ids[left], ids[right] = ids[right], ids[left]
                left += 1
                right -= 1
        if target <= right:
            high = right
        elif target >= left:
            low = left
        else:
            break


@cache
def compiled() -> dict[str, Callable[..., Any]]:
    """The sweeps, compiled; the first call of each with a new type of array compiles it.

    Raises:
        MissingExtraError: if numba isn't installed.
    """
    try:
        import numba
    except ImportError as error:
        raise MissingExtraError(
            f"numba can't be imported: {error}", "install airflow-mlsecops[numba], or choose the engine 'numpy'"
        ) from error
    made = {}
    for function in (gather, sweep, collect, select):
        try:
            made[function.__name__] = numba.njit(nogil=True, cache=True)(function)
        except RuntimeError:  # no folder can hold the compiled code
            made[function.__name__] = numba.njit(nogil=True)(function)
    return made


def places(limits: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(groups + 1,) where the buffer of each group begins: room for twice what is kept, at most for all its rows."""
    import numpy as np

    classes = len(counts)
    of_group = np.concatenate([np.repeat(counts, classes), [counts.sum()] * 2])
    room = np.where(limits > 0, np.minimum(2 * limits + 16, of_group), 0)
    return np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
