"""The three sweeps over the rows, written for numba: loops over numbers, no objects.

They are plain Python until :func:`compiled` hands them to numba. Compiled code is kept beside this file, as Python
keeps its own, or in the user's cache folder where that isn't writable; where neither is, each process compiles anew.
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


# Numbers that compiled code reads stand in this file: it is the one by whose changes the cache knows that it is old.
MARGIN = 2e-6
"""Twice the tolerance: a row whose label isn't moved has no class that is more probable by more."""

LARGE = 0.04
"""A margin that few classes have over the given one."""

STEPS = 8
"""Into how many equal steps margins between 0 and 1 are counted."""

LEVELS = 2 + STEPS
"""In how many ways rows are counted as ``above``."""


def gather(probabilities: Any, labels: Any, high: Any, low: Any, counts: Any) -> None:
    """Count labels, and sum ``floor(p(label) * 2**53)`` exactly, in two halves that can't overflow."""
    for row in range(len(labels)):
        label = labels[row]
        whole = math.floor(probabilities[row, label] * 9007199254740992.0)
        counts[label] += 1
        high[label] += whole >> 26
        low[label] += whole & 0x3FFFFFF


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


def scan(probabilities: Any, bits: Any) -> tuple[float, int]:
    """The sum of a row, in any order, for it is only held against a tolerance; and the greatest of its bits."""
    added = 0.0
    best = bits[0]
    for k in range(len(probabilities)):
        added += probabilities[k]
        best = max(best, bits[k])
    return added, best


def sweep(  # noqa: C901 - one loop over memory; a call per row would cost more than the row
    probabilities: Any,
    bits: Any,
    labels: Any,
    limits: Any,
    least: float,
    confident: Any,
    above: Any,
    flags: Any,
    nearness: Any,
) -> tuple[int, int]:
    """Count the confident joint and set the bits 8 (confident_learning), 16 (predicted_neq_given) and 128 (moved).

    Args:
        probabilities: (rows, classes).
        bits: the same memory as unsigned integers, which are compared several at a time. Numbers from 0 on are ordered
            as their bits are; what is negative or isn't a number is greater than all of them.
        labels: (rows,).
        limits: (classes + 1,) bits of the least number that reaches the threshold of each class; the last are those
            of the greatest number that passes for a probability.
        least: the least of the thresholds.
        confident: (classes, classes) counts confident rows by label and guess.
        above: (LEVELS, classes, classes) counts moved rows by label: by each class that is more probable by more
            than ``MARGIN``, and than ``LARGE``; then by the most probable class, for each step of how much more it is.
        flags: (rows,) uint8, zeros.
        nearness: (rows,) uint8: ``(greatest other - given + 1) * 127`` rounded up or more, at most 127 where the
            given class is the most probable; the last sweep passes far rows by.

    Returns:
        how many rows are no probabilities, and how many confident rows are off the diagonal and moved.
    """
    classes = probabilities.shape[1]
    largest = limits[classes]
    lowest = limits[:classes].min()
    bad = 0
    errors = 0
    for row in range(len(labels)):
        label = labels[row]
        added, best = scan(probabilities[row], bits[row])
        fine = abs(added - 1.0) <= 1e-4
        p = probabilities[row, label] * 1.0
        others = added - p + 1e-9  # no other class has more, if none is negative
        if fine and best > largest:
            best = largest ^ largest  # nothing, and of the type of bits: a signed 0 would make all of it floating point
            others = 1.000001
            for k in range(classes):
                fine = fine and -1e-6 <= probabilities[row, k] <= 1.000001
                best = max(best, bits[row, k] if bits[row, k] <= largest else best)
        if not fine:
            bad += 1
            continue
        given = bits[row, label]
        if given == best:
            nearness[row] = min(int((others - p + 1.0) * 127.0) + 1, 127)
            if best < lowest:
                continue
            if others < least:  # most rows: nothing to search for
                confident[label, label] += given >= limits[label]
                continue
        top = 0
        while bits[row, top] != best:
            top += 1
        margin = probabilities[row, top] - p
        near = p + 1e-6
        moved = top != label and (probabilities[row, top] > near or (probabilities[row, top] == near and top < label))
        if given != best:
            nearness[row] = int((margin + 1.0) * 127.0) + 1
        if moved:
            flags[row] = 128 | 16
            above[2 + min(int(margin * STEPS), STEPS - 1), label, top] += 1
            for k in range(classes):
                above[0, label, k] += probabilities[row, k] - p > MARGIN
                above[1, label, k] += probabilities[row, k] - p > LARGE
        if best < lowest:
            continue
        reached = 0
        for k in range(classes):
            reached += (bits[row, k] >= limits[k]) & (bits[row, k] <= largest)
        if reached > 0:
            guess = top
            if reached == 1:
                guess = 0
                while bits[row, guess] < limits[guess] or bits[row, guess] > largest:
                    guess += 1
            confident[label, guess] += 1
            if moved and guess != label:
                flags[row] |= 8
                errors += 1
    return bad, errors


def gate(screen: Any, cut_value: Any, label: int) -> int:
    """The least ``nearness`` with which a row of this label can be a candidate of any group.

    With d = greatest other - given: no p(k) - given is above d, -given isn't, and minus the normalized margin is
    (d - 1) / 2.
    """
    classes = screen.shape[0]
    least = min(screen[label].min(), cut_value[label * classes + label])
    least = min(least, cut_value[classes * classes], 2.0 * cut_value[classes * classes + 1] + 1.0)
    return int((min(max(least, -1.0), 1.1) + 1.0) * 127.0 - 1e-4) + 1  # by 1e-4 single precision may differ


def collect(  # noqa: C901 - as above
    probabilities: Any,
    labels: Any,
    nearness: Any,
    keys: Any,
    first: int,
    limits: Any,
    starts: Any,
    fill: Any,
    cut_value: Any,
    cut_key: Any,
    screen: Any,
    values: Any,
    rows: Any,
    ids: Any,
) -> None:
    """Put candidates for pruning into the buffers of their groups; a full one is cut to what it keeps.

    Args:
        probabilities: (rows, classes).
        labels: (rows,).
        nearness: (rows,), of :func:`sweep`.
        keys: (rows,) ids that break ties; empty: the position breaks them.
        first: position of the chunk's first row.
        limits: (groups,) how many each group keeps.
        starts: (groups + 1,) where the buffer of each group begins.
        fill: (groups,) how many candidates it holds.
        cut_value: (groups,) only greater values come in, or equal ones ...
        cut_key: (groups,) ... with a smaller key.
        screen: (classes, classes) the same cuts of the groups off the diagonal, which all probabilities of a row are
            held against at once; infinite on the diagonal.
        values: the candidates' values.
        rows: their positions.
        ids: their keys.
    """
    classes = probabilities.shape[1]
    groups = classes * classes
    last_two = limits[groups] > 0 or limits[groups + 1] > 0
    gates = fill[:classes].copy()  # room for a whole number of each class
    for k in range(classes):
        gates[k] = gate(screen, cut_value, k)
    for row in range(len(labels)):
        label = labels[row]
        base = label * classes
        if nearness[row] < gates[label]:
            continue
        given = probabilities[row, label] * 1.0
        key = keys[row] if len(keys) else first + row
        hits = 0
        which = 0  # the class, where there is one
        for k in range(classes):
            hit = probabilities[row, k] - given >= screen[label, k]
            hits += hit
            which += k if hit else 0
        slot = classes if hits == 0 else which if hits == 1 else 0
        other = -1.0
        if last_two:
            for k in range(classes):
                if k != label and probabilities[row, k] > other:
                    other = probabilities[row, k]
        while slot < classes + 3:
            if slot < classes:
                group = base + slot
                value = probabilities[row, slot] - given
                if slot == label or value < screen[label, slot]:
                    slot += 1
                    continue
                hits -= 1
                if hits == 0:
                    slot = classes - 1  # no other class of this row can come in
            elif slot == classes:
                group = base + label
                value = -given
            else:
                if not last_two:
                    break
                group = groups + slot - classes - 1
                value = -given if slot == classes + 1 else -((given - other + 1.0) / 2.0)
            slot += 1
            if value < cut_value[group] or (value == cut_value[group] and key >= cut_key[group]):
                continue
            if starts[group] + fill[group] == starts[group + 1]:
                end = starts[group + 1]
                select(values, rows, ids, starts[group], end, limits[group])
                fill[group] = limits[group]
                last = starts[group] + limits[group] - 1
                cut_value[group] = values[last]
                cut_key[group] = ids[last]
                if group < groups and group != base + label:
                    screen[label, group - base] = values[last]
                for k in range(classes if group >= groups else 1):
                    gates[k if group >= groups else label] = gate(screen, cut_value, k if group >= groups else label)
                if value < cut_value[group] or (value == cut_value[group] and key >= cut_key[group]):
                    continue
            place = starts[group] + fill[group]
            values[place] = value
            rows[place] = first + row
            ids[place] = key
            fill[group] += 1


def cut(values: Any, rows: Any, ids: Any, limits: Any, starts: Any, fill: Any) -> int:
    """Cut each buffer to what its group keeps, and bring all of them together at the front.

    Args:
        values: the candidates' values.
        rows: their positions.
        ids: their keys.
        limits: (groups,) how many each group keeps.
        starts: (groups + 1,) where its buffer begins.
        fill: (groups,) how many candidates it holds; afterwards how many it keeps.

    Returns:
        how many are kept in all.
    """
    end = 0
    for group in range(len(limits)):
        begin = starts[group]
        if fill[group] > limits[group]:
            select(values, rows, ids, begin, begin + fill[group], limits[group])
            fill[group] = limits[group]
        for k in range(fill[group]):
            values[end + k] = values[begin + k]
            rows[end + k] = rows[begin + k]
            ids[end + k] = ids[begin + k]
        end += fill[group]
    return end


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
    for name in ("select", "scan", "gate", "gather", "sweep", "collect", "cut"):
        function = getattr(globals()[name], "py_func", globals()[name])
        options = {"nogil": True, "fastmath": {"reassoc"} if name == "scan" else False}
        try:
            made[name] = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder can hold the compiled code
            made[name] = numba.njit(**options)(function)
    globals().update(made)  # what a compiled function calls must be compiled too
    return made


def places(limits: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(groups + 1,) where the buffer of each group begins: room for twice what is kept, at most for all its rows."""
    import numpy as np

    classes = len(counts)
    of_group = np.concatenate([np.repeat(counts, classes), [counts.sum()] * 2])
    room = np.where(limits > 0, np.minimum(2 * limits + 32, of_group), 0)
    return np.concatenate([[0], np.cumsum(room)]).astype(np.int64)


def compiled_sweep(
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    thresholds: NDArray[np.float64],
    confident: NDArray[np.int64],
    above: NDArray[np.int64],
    flags: NDArray[np.uint8],
    nearness: NDArray[np.uint8],
) -> tuple[int, int]:
    """:func:`sweep`, with numbers and limits also as their bits."""
    import numpy as np

    kind, whole = probabilities.dtype, np.dtype(f"u{probabilities.dtype.itemsize}")
    limits = np.append(thresholds, 1.000001).astype(kind)
    short = limits[:-1] < thresholds
    limits[:-1][short] = np.nextafter(limits[:-1][short], kind.type(np.inf))  # none below reaches it
    matrix = np.ascontiguousarray(probabilities)
    found: tuple[int, int] = compiled()["sweep"](
        matrix,
        matrix.view(whole),
        labels,
        limits.view(whole),
        float(thresholds.min()),
        confident,
        above,
        flags,
        nearness,
    )
    return found
