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


def total(probabilities: Any) -> float:
    """The sum of a row, in any order: it is only held against a tolerance."""
    added = 0.0
    for k in range(len(probabilities)):
        added += probabilities[k]
    return added


def sweep(  # noqa: C901 - one loop over memory; a call per row would cost more than the row
    probabilities: Any,
    bits: Any,
    labels: Any,
    thresholds: Any,
    largest: int,
    cell: Any,
    cell_bits: Any,
    confident: Any,
    above: Any,
    flags: Any,
    nearness: Any,
) -> tuple[int, int]:
    """Count the confident joint and set the bits 8 (confident_learning), 16 (predicted_neq_given) and 128 (moved).

    Args:
        probabilities: (rows, classes).
        labels: (rows,).
        bits: the same memory as integers. Numbers from 0 on are ordered as their bits are, and integers are compared
            several at a time; what isn't a number is a large one, what is negative is a negative one.
        thresholds: (classes,) bits of the least number that reaches the threshold of the class.
        largest: bits of the greatest number that passes for a probability.
        cell: (1,) one number.
        cell_bits: the same memory as an integer.
        confident: (classes, classes) counts confident rows by label and guess.
        above: (classes, classes) counts moved rows by label and by each class that is more probable by 2e-6.
        flags: (rows,) uint8, zeros.
        nearness: (rows,) uint8: ``(greatest other - given + 1) * 127`` rounded up or more; the last sweep passes
            far rows by.

    Returns:
        how many rows are no probabilities, and how many confident rows are off the diagonal and moved.
    """
    classes = probabilities.shape[1]
    bad = 0
    errors = 0
    for row in range(len(labels)):
        label = labels[row]
        given = bits[row, label]
        other = bits[row, 0] * 0
        least = given
        reached = 0
        for k in range(classes):
            other = max(other, bits[row, k] if k != label else 0)
            least = min(least, bits[row, k])
            reached += bits[row, k] >= thresholds[k]
        best = max(given, other)
        fine = abs(total(probabilities[row]) - 1.0) <= 1e-4 and best <= largest
        if fine and least < 0:
            for k in range(classes):
                fine = fine and probabilities[row, k] >= -1e-6
        if not fine:
            bad += 1
            continue
        cell_bits[0] = other
        p = probabilities[row, label]
        nearness[row] = int((cell[0] - p + 1.0) * 127.0) + 1
        if given == best and (reached == 0 or (reached == 1 and given >= thresholds[label])):
            confident[label, label] += reached  # most rows: nothing to search for
            continue
        top = 0
        while bits[row, top] != best:
            top += 1
        near = p + 1e-6
        moved = top != label and (probabilities[row, top] > near or (probabilities[row, top] == near and top < label))
        if moved:
            flags[row] = 128 | 16
            for k in range(classes):
                above[label, k] += probabilities[row, k] - p > 2e-6
        if reached > 0:
            guess = top
            if reached == 1:
                guess = 0
                while bits[row, guess] < thresholds[guess]:
                    guess += 1
            confident[label, guess] += 1
            if moved and guess != label:
                flags[row] |= 8
                errors += 1
    return bad, errors


def gate(screen: Any, cut_value: Any, label: int) -> float:
    """The least ``nearness`` with which a row of this label can be a candidate of any group.

    With d = greatest other - given: no p(k) - given is above d, -given isn't, and minus the normalized margin is
    (d - 1) / 2.
    """
    classes = screen.shape[0]
    least = min(screen[label].min(), cut_value[label * classes + label])
    least = min(least, cut_value[classes * classes], 2.0 * cut_value[classes * classes + 1] + 1.0)
    return float((least + 1.0) * 127.0 - 0.01)


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
    gates = screen[:, 0].copy()
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
        for k in range(classes):
            hits += probabilities[row, k] - given >= screen[label, k]
        slot = 0 if hits > 0 else classes
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
    for name in ("select", "total", "gate", "gather", "sweep", "collect"):
        function = getattr(globals()[name], "py_func", globals()[name])
        options = {"nogil": True, "fastmath": {"reassoc"} if name == "total" else False}
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

    kind, whole = probabilities.dtype, np.dtype(f"i{probabilities.dtype.itemsize}")
    limits = thresholds.astype(kind)
    limits = np.where(limits < thresholds, np.nextafter(limits, kind.type(np.inf)), limits)  # none below reaches it
    largest = np.array([1.000001], dtype=kind)
    matrix, cell = np.ascontiguousarray(probabilities), np.zeros(1, dtype=kind)
    found: tuple[int, int] = compiled()["sweep"](
        matrix,
        matrix.view(whole),
        labels,
        limits.view(whole),
        int(largest.view(whole)[0]),
        cell,
        cell.view(whole),
        confident,
        above,
        flags,
        nearness,
    )
    return found
