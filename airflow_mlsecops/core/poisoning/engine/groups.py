"""The candidates for pruning: of each group of rows the ones with the greatest values, ties by the smaller key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_mlsecops.core.poisoning.engine.kernels import compiled, places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.engine.calibration import Plan
    from airflow_mlsecops.core.poisoning.engine.sources import Chunk


MARGIN = 2e-6
"""Twice the tolerance: what is counted as ``above``."""


class Groups(Protocol):
    """Collects candidates from chunks, in any order, from any number of collectors."""

    def add(self, chunk: Chunk, first: int) -> None:
        """Look at a chunk whose first row has the position ``first``."""
        ...

    def taken(self) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """Values, positions and keys of what is kept of each group, in no particular order."""
        ...


class CompiledGroups:
    """Buffers with room for twice what is kept; a full one is cut by quickselect."""

    def __init__(self, plan: Plan, nearness: NDArray[np.uint8]) -> None:
        import numpy as np

        self._nearness = nearness
        self._limits = plan.prune
        self._starts = places(plan.prune, plan.counts)
        self._fill = np.zeros(len(plan.prune), dtype=np.int64)
        self._cut_value = np.where(plan.prune > 0, -np.inf, np.inf)
        self._cut_key = np.full(len(plan.prune), np.iinfo(np.int64).max)
        if plan.above is not None:  # enough rows lie above this margin, so none below it is taken
            enough = (plan.prune > 0)[:-2] & (plan.above.ravel() >= plan.prune[:-2])
            enough[:: len(plan.counts) + 1] = False
            self._cut_value[:-2][enough], self._cut_key[:-2][enough] = MARGIN, -1
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

    def taken(self) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """See :class:`Groups`."""
        select, kept = compiled()["select"], []
        for start, fill, limit in zip(
            self._starts[:-1].tolist(), self._fill.tolist(), self._limits.tolist(), strict=True
        ):
            if fill > limit:
                select(self._values, self._rows, self._ids, start, start + fill, limit)
            part = slice(start, start + min(fill, limit))
            kept.append((self._values[part], self._rows[part], self._ids[part]))
        return kept


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

    def taken(self) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """See :class:`Groups`."""
        return self._kept


def confidence_and_margin(chunk: Chunk) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Self-confidence and normalized margin of each row."""
    import numpy as np

    rows = np.arange(len(chunk.labels))
    others = chunk.probabilities.astype(np.float64)
    given = others[rows, chunk.labels].copy()
    others[rows, chunk.labels] = -1.0
    return given, (given - others.max(axis=1) + 1.0) / 2.0


def merged(collectors: list[Groups], plan: Plan) -> list[NDArray[np.int64]]:
    """Positions of the rows that each group prunes, over all collectors."""
    import numpy as np

    parts = [collector.taken() for collector in collectors]
    if len(parts) == 1:
        return [rows for _, rows, _ in parts[0]]
    chosen = []
    for group, limit in enumerate(plan.prune):
        values, rows, keys = (np.concatenate([part[group][column] for part in parts]) for column in range(3))
        chosen.append(rows[np.lexsort((keys, -values))[:limit]])
    return chosen
