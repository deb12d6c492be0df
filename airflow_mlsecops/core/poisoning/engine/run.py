"""Run the filters over a source: two sweeps to count, a plan, one sweep to choose.

1. Count the labels and sum self-confidence, exactly: the thresholds.
2. One sweep: argmax, confident guess, confident joint, and which rows the model moves.
3. Calibrate the K x K joint; say how many rows each group prunes.
4. One sweep: keep the first so many of each group, ties by key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.poisoning.engine import array_passes
from airflow_mlsecops.core.poisoning.engine.calibration import TOLERANCE, Plan, plan_of, thresholds_of
from airflow_mlsecops.core.poisoning.engine.filters import BIT, DEFAULT_FILTER, MOVED, Issues, checked_filters
from airflow_mlsecops.core.poisoning.engine.groups import ArrayGroups, CompiledGroups, Groups, merged
from airflow_mlsecops.core.poisoning.engine.kernels import LEVELS, compiled, compiled_sweep
from airflow_mlsecops.core.poisoning.engine.sources import ArraySource, Source, checked_keys

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Engine = Literal["auto", "numba", "numpy"]


def find_issues(
    labels: Any,
    probabilities: Any,
    *,
    keys: Any = None,
    filters: Sequence[str] = (DEFAULT_FILTER,),
    engine: Engine = "auto",
    threads: int = 1,
) -> Issues:
    """Flag rows whose label the probabilities speak against.

    Args:
        labels: (rows,) integers 0 … classes - 1.
        probabilities: (rows, classes), out of sample; float32 or float64, also memory-mapped.
        keys: (rows,) unique integers that name the rows and break ties; by default their positions.
        filters: some of :data:`~airflow_mlsecops.core.poisoning.engine.filters.FILTERS`, all in one call.
        engine: ``auto`` is numba where it is installed, else NumPy. The answer is the same.
        threads: how many work side by side. The answer is the same.

    Raises:
        DataError: if labels or probabilities are none.
        ConfigurationError: if a filter, the engine or the number of threads is unknown.
    """
    return find_issues_in(ArraySource(labels, probabilities, keys), filters=filters, engine=engine, threads=threads)


def find_issues_in(
    source: Source, *, filters: Sequence[str] = (DEFAULT_FILTER,), engine: Engine = "auto", threads: int = 1
) -> Issues:
    """As :func:`find_issues`, over any source, which is read three times; memory doesn't grow with its rows' width."""
    import numpy as np

    wanted, chosen = checked_filters(filters), _engine(engine)
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 256:
        raise ConfigurationError(f"threads is {threads!r}, expected 1 … 256", "1 is the default")
    if source.rows < 2 or source.classes < 2:
        raise DataError(f"{source.rows} rows of {source.classes} classes can't be judged", "expected 2 of each")
    spans = _spans(source.rows, threads)
    counts, thresholds = _thresholds(source, chosen, spans)
    flags, nearness = np.zeros(source.rows, dtype=np.uint8), np.empty(source.rows, dtype=np.uint8)
    plan = _counted(source, chosen, spans, counts, thresholds, (flags, nearness), wanted)
    if plan.prune.any():
        _pruned(source, chosen, spans, plan, (flags, nearness))
    finish(flags, wanted)
    return Issues(wanted, flags, _keys(source), replace(plan, above=None), chosen)  # ten times the size of the rest


def _engine(engine: str) -> str:
    if engine not in ("auto", "numba", "numpy"):
        raise ConfigurationError(f"engine is {engine!r}", "expected auto, numba or numpy")
    if engine == "auto":
        return "numba" if find_spec("numba") else "numpy"
    return engine


def _spans(rows: int, threads: int) -> list[tuple[int, int]]:
    edges = [rows * number // threads for number in range(threads + 1)]
    return [(begin, end) for begin, end in pairwise(edges) if begin < end]


def _each(spans: list[tuple[int, int]], work: Callable[[int, int], Any]) -> list[Any]:
    if len(spans) == 1:
        return [work(*spans[0])]
    with ThreadPoolExecutor(len(spans)) as pool:
        return list(pool.map(work, *zip(*spans, strict=True)))


def _thresholds(
    source: Source, engine: str, spans: list[tuple[int, int]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    import numpy as np

    gather = compiled()["gather"] if engine == "numba" else array_passes.gather

    def work(begin: int, end: int) -> Any:
        sums = np.zeros((3, source.classes), dtype=np.int64)
        with np.errstate(invalid="ignore"):  # what isn't a number is told in the next sweep
            for chunk in source.chunks(begin, end):
                gather(chunk.probabilities, chunk.labels, *sums)
        return sums

    high, low, counts = sum(_each(spans, work))
    if np.count_nonzero(counts) < 2:
        raise DataError("all rows have the same label, expected at least 2 classes", "there is nothing to tell apart")
    exact = [(int(upper) << 26) + int(lower) for upper, lower in zip(high, low, strict=True)]
    return counts, thresholds_of(exact, counts)


def _counted(
    source: Source,
    engine: str,
    spans: list[tuple[int, int]],
    counts: NDArray[np.int64],
    thresholds: NDArray[np.float64],
    of_rows: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    filters: tuple[str, ...],
) -> Plan:
    import numpy as np

    classes = source.classes
    sweep: Callable[..., tuple[int, int]] = compiled_sweep if engine == "numba" else array_passes.sweep
    levels = LEVELS if engine == "numba" else 0  # the other one counts none of them

    def work(begin: int, end: int) -> Any:
        counted, bad, errors, first = np.zeros((1 + levels, classes, classes), dtype=np.int64), 0, 0, begin
        confident, above = counted[0], counted[1:]
        for chunk in source.chunks(begin, end):
            flags, nearness = (array[first : first + len(chunk.labels)] for array in of_rows)
            found = sweep(chunk.probabilities, chunk.labels, thresholds - TOLERANCE, confident, above, flags, nearness)
            bad, errors, first = bad + found[0], errors + found[1], first + len(chunk.labels)
        return counted, bad, errors

    parts = _each(spans, work)
    bad = sum(part[1] for part in parts)
    if bad:
        raise DataError(
            f"{bad} of {source.rows} rows hold no probabilities: not a number, outside 0 … 1, or not summing to one",
            "predict_proba must return one probability per class",
        )
    counted = sum(part[0] for part in parts)
    above = counted[1:] if levels else None
    return plan_of(counts, thresholds, counted[0].copy(), sum(part[2] for part in parts), filters, above)


def _pruned(
    source: Source,
    engine: str,
    spans: list[tuple[int, int]],
    plan: Plan,
    of_rows: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    flags, nearness = of_rows

    def work(begin: int, end: int) -> Groups:
        groups: Groups = CompiledGroups(plan, nearness) if engine == "numba" else ArrayGroups(plan)
        for chunk in source.chunks(begin, end):
            groups.add(chunk, begin)
            begin += len(chunk.labels)
        return groups

    mark(flags, *merged([groups.taken() for groups in _each(spans, work)], plan), len(plan.counts))


def mark(flags: NDArray[np.uint8], rows: NDArray[Any], groups: NDArray[Any], classes: int) -> None:
    """Set the bits of the four filters that prune.

    Args:
        flags: (rows,) of all rows.
        rows: (chosen,) positions of rows that groups chose; no group chose one twice.
        groups: (chosen,) which.
        classes: how many there are.
    """
    import numpy as np

    of_group = np.full(classes * classes + 2, BIT[DEFAULT_FILTER], dtype=np.uint8)
    of_group[: classes * classes : classes + 1] = BIT["prune_by_class"]
    of_group[-2:] = BIT["low_self_confidence"], BIT["low_normalized_margin"]
    bits = of_group[groups]
    for bit in np.unique(bits):  # a row may be chosen by several filters, and then once for each
        flags[rows[bits == bit]] |= bit


def finish(flags: NDArray[np.uint8], filters: tuple[str, ...]) -> None:
    """Drop prunings of rows that the model doesn't move, derive ``both``, and keep only what was asked for."""
    import numpy as np

    pruning = BIT[DEFAULT_FILTER] | BIT["prune_by_class"]
    table = np.zeros(256, dtype=np.uint8)
    asked = sum(BIT[name] for name in filters)
    for value in range(256):
        new = value if value & MOVED else value & ~pruning
        both = BIT["both"] if new & pruning == pruning else 0
        table[value] = (new | both) & asked
    step = 1 << 20
    for begin in range(0, len(flags), step):
        part = flags[begin : begin + step]
        part[:] = np.frombuffer(part.tobytes().translate(table.tobytes()), dtype=np.uint8)


def _keys(source: Source) -> NDArray[np.int64] | None:
    import numpy as np

    if not source.keyed:
        return None
    return checked_keys(
        np.concatenate([chunk.keys for chunk in source.chunks() if chunk.keys is not None]), source.rows
    )
