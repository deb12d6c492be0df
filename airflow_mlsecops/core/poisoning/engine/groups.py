"""The candidates for pruning: of each group of rows the ones with the greatest values, ties by the smaller key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_mlsecops.core.poisoning.engine.kernels import LARGE, LEVELS, MARGIN, STEPS, compiled, places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.engine.calibration import Plan
    from airflow_mlsecops.core.poisoning.engine.sources import Chunk


@dataclass(frozen=True)
class Taken:
    """What is kept of all groups.

    Attributes:
        values: (kept,).
        rows: (kept,) positions.
        keys: (kept,).
        groups: (kept,) ascending.
    """

    values: NDArray[Any]
    rows: NDArray[np.int64]
    keys: NDArray[np.int64]
    groups: NDArray[np.int64]


class Groups(Protocol):
    """Collects candidates from chunks, in any order, from any number of collectors."""

    def add(self, chunk: Chunk, first: int) -> None:
        """Look at a chunk whose first row has the position ``first``."""
        ...

    def taken(self) -> Taken:
        """What is kept, in no particular order within a group; asked once, at the end."""
        ...


class CompiledGroups:
    """Buffers with room for twice what is kept; a full one is cut by quickselect."""

    def __init__(self, plan: Plan, nearness: NDArray[np.uint8]) -> None:
        import numpy as np

        self._nearness = nearness
        self._limits = plan.prune
        self._starts = places(plan.prune, plan.counts)
        self._fill = np.zeros(len(plan.prune), dtype=np.int64)
        self._cut_value, self._cut_key = _first_cuts(plan)
        self._screen = self._cut_value[:-2].reshape(len(plan.counts), -1).copy()
        np.fill_diagonal(self._screen, np.inf)
        room = int(self._starts[-1])
        self._values, self._rows, self._ids = np.empty(room), np.empty(room, np.int64), np.empty(room, np.int64)

    def add(self, chunk: Chunk, first: int) -> None:
        """See :class:`Groups`."""
        import numpy as np

        compiled()["collect"](
            chunk.probabilities,
            chunk.labels,
            self._nearness[first : first + len(chunk.labels)],
            np.empty(0, np.int64) if chunk.keys is None else chunk.keys,
            first,
            self._limits,
            self._starts,
            self._fill,
            self._cut_value,
            self._cut_key,
            self._screen,
            self._values,
            self._rows,
            self._ids,
        )

    def taken(self) -> Taken:
        """See :class:`Groups`."""
        import numpy as np

        end = compiled()["cut"](self._values, self._rows, self._ids, self._limits, self._starts, self._fill)
        groups = np.repeat(np.arange(len(self._fill)), self._fill)
        return Taken(self._values[:end], self._rows[:end], self._ids[:end], groups)


def _first_cuts(plan: Plan) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(groups,) values and keys of which it is known, before any row is looked at, that none behind them is kept."""
    import numpy as np

    any_key = np.iinfo(np.int64).max
    values, keys = np.where(plan.prune > 0, -np.inf, np.inf), np.full(len(plan.prune), any_key)
    if plan.above is None:
        return values, keys
    wanted = plan.prune[:-2].copy()
    wanted[:: len(plan.counts) + 1] = 0
    more, much_more, *by_step = plan.above.reshape(LEVELS, -1)
    reached = np.cumsum(by_step[::-1], axis=0)[::-1]
    known = [(MARGIN, -1, more), (LARGE, -1, much_more)]  # greater ones were counted, no equal ones
    known += [(step / STEPS, any_key, reached[step]) for step in range(1, STEPS)]
    for margin, key, rows in known:  # ascending: the greatest margin that enough rows have counts
        enough = np.flatnonzero((wanted > 0) & (rows >= wanted))
        values[enough], keys[enough] = margin, key
    return values, keys


class ArrayGroups:
    """The same in NumPy: candidates are appended, and cut by a sort when there are too many."""

    def __init__(self, plan: Plan) -> None:
        import numpy as np

        self._plan = plan
        empty = (np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
        self._kept = [empty] * len(plan.prune)

    def add(self, chunk: Chunk, first: int) -> None:
        """See :class:`Groups`."""
        import numpy as np

        classes = len(self._plan.counts)
        places = np.arange(first, first + len(chunk.labels))
        keys = places if chunk.keys is None else chunk.keys
        for label in np.flatnonzero(self._plan.prune[:-2].reshape(classes, classes).any(axis=1)):
            rows = np.flatnonzero(chunk.labels == label)
            given = chunk.probabilities[rows, label].astype(np.float64)
            for k in np.flatnonzero(self._plan.prune[label * classes : (label + 1) * classes]):
                values = -given if k == label else chunk.probabilities[rows, k] - given
                self._take(int(label * classes + k), values, places[rows], keys[rows])
        if self._plan.prune[-2:].any():
            given, margin = confidence_and_margin(chunk)
            self._take(classes * classes, -given, places, keys)
            self._take(classes * classes + 1, -margin, places, keys)

    def _take(self, group: int, values: Any, rows: Any, keys: Any) -> None:
        import numpy as np

        limit = int(self._plan.prune[group])
        if not limit:
            return
        if len(values) > limit:  # all that ties with the last one stays in, until keys decide
            reach = values >= np.partition(values, len(values) - limit)[len(values) - limit]
            values, rows, keys = values[reach], rows[reach], keys[reach]
        old = self._kept[group]
        joined = [np.concatenate(pair) for pair in zip(old, (values, rows, keys), strict=True)]
        order = np.lexsort((joined[2], -joined[0]))[:limit]
        self._kept[group] = (joined[0][order], joined[1][order], joined[2][order])

    def taken(self) -> Taken:
        """See :class:`Groups`."""
        import numpy as np

        values, rows, keys = (np.concatenate([kept[column] for kept in self._kept]) for column in range(3))
        groups = np.repeat(np.arange(len(self._kept)), [len(kept[0]) for kept in self._kept])
        return Taken(values, rows, keys, groups)


def confidence_and_margin(chunk: Chunk) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Self-confidence and normalized margin of each row."""
    import numpy as np

    rows = np.arange(len(chunk.labels))
    others = chunk.probabilities.astype(np.float64)
    given = others[rows, chunk.labels].copy()
    others[rows, chunk.labels] = -1.0
    return given, (given - others.max(axis=1) + 1.0) / 2.0


def merged(parts: list[Taken], plan: Plan) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the rows that each group prunes, over all collectors, and their groups."""
    import numpy as np

    if len(parts) == 1:
        return parts[0].rows, parts[0].groups
    values, rows, keys, groups = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "rows", "keys", "groups")
    )
    order = np.lexsort((keys, -values, groups))
    rows, groups = rows[order], groups[order]
    rank = np.arange(len(groups)) - np.searchsorted(groups, groups)
    kept = rank < plan.prune[groups]
    return rows[kept], groups[kept]
