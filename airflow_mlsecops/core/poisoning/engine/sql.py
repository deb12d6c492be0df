"""The same computation as SQL, for where the data lie: DuckDB and Spark, bit for bit what the compiled engine says.

Only counts, sums of integers and the ids of flagged rows come back. Every floating-point operation is one that all
engines do alike (IEEE 754: subtract, compare, halve), and no floating-point number is summed over rows.

1. Count labels, sum ``floor(p(label) * 2**53)`` as whole numbers: the thresholds. Count what can't be judged.
2. Count the confident joint: ``GROUP BY label, guess, moved``.
3. Calibrate the K x K joint, in Python, as every engine does.
4. Choose: ``row_number() OVER (PARTITION BY group ORDER BY value DESC, id)``, over rows that can be among the first:
   counts by steps of 1/1024 say from which step on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.poisoning.engine.calibration import TOLERANCE, Plan, plan_of, thresholds_of
from airflow_mlsecops.core.poisoning.engine.filters import Issues, checked_filters
from airflow_mlsecops.core.poisoning.engine.kernels import MARGIN
from airflow_mlsecops.core.poisoning.engine.run import finish, mark

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STEPS = 1024
_NEVER = 2**30


@dataclass(frozen=True)
class Dialect:
    """How a database says what SQL dialects say differently.

    Attributes:
        name: of the engine.
        quote: the character around names.
        array: (expressions) -> an array.
        element: (array, 0-based index) -> its element.
        explode: (source, array) -> source with one row for each element, as columns ``j`` (0-based) and ``v``.
        whole: the type in which whole numbers up to 2**80 are summed.
        run: statement -> columns by name.
    """

    name: str
    quote: str
    array: Callable[[Sequence[str]], str]
    element: Callable[[str, str], str]
    explode: Callable[[str, str], str]
    whole: str
    run: Callable[[str], dict[str, NDArray[Any]]]

    def quoted(self, name: str) -> str:
        """A column's name, whatever is in it."""
        return f"{self.quote}{name.replace(self.quote, self.quote * 2)}{self.quote}"


@dataclass(frozen=True)
class Columns:
    """The table: its name, and which columns hold what."""

    table: str
    key: str
    label: str
    probabilities: Sequence[str]


def find_issues_sql(dialect: Dialect, columns: Columns, filters: Sequence[str]) -> Issues:
    """Run the filters as SQL.

    Returns:
        issues whose ``keys`` and ``flags`` are those of the flagged rows, by key.

    Raises:
        DataError: if a label, a probability or an id can't be used.
    """
    import numpy as np

    wanted, statements = checked_filters(filters), _Statements(dialect, columns)
    counts, thresholds = _counted(statements)
    found = dialect.run(statements.joint(thresholds))
    confident = np.zeros((len(counts),) * 2, dtype=np.int64)
    reached = found["guess"] >= 0
    np.add.at(confident, (found["s"][reached], found["guess"][reached]), found["n"][reached])
    off = reached & (found["moved"] > 0) & (found["guess"] != found["s"])
    plan = plan_of(counts, thresholds, confident, int(found["n"][off].sum()), wanted)
    return _flagged(statements, plan, wanted)


def _counted(statements: _Statements) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    import numpy as np

    run, classes = statements.dialect.run, statements.classes
    health = {name: int(values[0]) for name, values in run(statements.health()).items()}
    if health["n"] < 2 or classes < 2:
        raise DataError(f"{health['n']} rows of {classes} classes can't be judged", "expected 2 of each")
    for what, message, advice in _HEALTH:
        if health[what]:
            raise DataError(f"{health[what]} of {health['n']} rows {message.format(last=classes - 1)}", advice)
    found = run(statements.counts())
    counts, sums = np.zeros(classes, dtype=np.int64), [0] * classes
    for label, number, total in zip(found["s"], found["n"], found["total"], strict=True):
        counts[int(label)], sums[int(label)] = int(number), int(total)
    if np.count_nonzero(counts) < 2:
        raise DataError("all rows have the same label, expected at least 2 classes", "there is nothing to tell apart")
    return counts, thresholds_of(sums, counts)


_HEALTH = (
    ("no_label", "have a label that is missing or isn't one of 0 … {last}", "encode the labels as numbers"),
    ("no_key", "have no id", "give each row an id"),
    ("twice", "share their id with another row", "ids must be unique, or a suspect couldn't be found again"),
    (
        "bad",
        "hold no probabilities: not a number, outside 0 … 1, or not summing to one",
        "predict_proba must return one probability per class",
    ),
)


def _flagged(statements: _Statements, plan: Plan, wanted: tuple[str, ...]) -> Issues:
    import numpy as np

    run, classes = statements.dialect.run, len(plan.counts)
    moved = run(statements.moved(plan.thresholds))
    chosen = run(statements.chosen(plan, _bounds(statements, plan))) if plan.prune.any() else None
    names = moved["id"] if chosen is None else np.concatenate([moved["id"], chosen["id"]])
    keys, place = np.unique(names, return_inverse=True)
    flags = np.zeros(len(keys), dtype=np.uint8)
    flags[place[: len(moved["id"])]] = np.where(moved["off_diagonal"] > 0, 128 | 16 | 8, 128 | 16)
    if chosen is not None:
        mark(flags, place[len(moved["id"]) :], chosen["grp"].astype(np.int64), classes)
    finish(flags, wanted)
    return Issues(wanted, flags[flags > 0], keys[flags > 0], plan, statements.dialect.name)


def _bounds(statements: _Statements, plan: Plan) -> NDArray[np.int64]:
    """(groups,) the step of 1/1024 from which on a row can be among the first of its group."""
    import numpy as np

    classes, run = len(plan.counts), statements.dialect.run
    bounds = np.full(len(plan.prune), _NEVER, dtype=np.int64)
    off_diagonal = plan.prune[:-2].copy()
    off_diagonal[:: classes + 1] = 0
    if off_diagonal.any():
        found = run(statements.above(plan.thresholds))
        above = np.zeros(classes * classes, dtype=np.int64)
        above[found["s"].astype(np.int64) * classes + found["j"].astype(np.int64)] = found["n"]
        bounds[:-2][(off_diagonal > 0) & (above >= off_diagonal)] = 0  # only margins above the tolerance
        few = np.flatnonzero((off_diagonal > 0) & (above < off_diagonal))
        if len(few):
            _lower(bounds, plan, run(statements.steps(few)))
    if plan.prune[:: classes + 1].any() or plan.prune[-2:].any():
        found = run(statements.confidence_steps())
        diagonal = {"grp": found["s"].astype(np.int64) * (classes + 1), "b": found["b"], "n": found["n"]}
        _lower(bounds, plan, diagonal)
        _lower(bounds, plan, {**found, "grp": np.full(len(found["n"]), classes * classes)})
        found = run(statements.margin_steps())
        _lower(bounds, plan, {**found, "grp": np.full(len(found["n"]), classes * classes + 1)})
    return bounds


def _lower(bounds: NDArray[np.int64], plan: Plan, found: dict[str, NDArray[Any]]) -> None:
    steps: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for group, step, number in zip(found["grp"], found["b"], found["n"], strict=True):
        steps[int(group)].append((int(step), int(number)))
    for group, counted in steps.items():
        left = int(plan.prune[group])
        for step, number in sorted(counted, reverse=True) if left else ():
            bounds[group] = step
            left -= number
            if left <= 0:
                break


def _double(value: float) -> str:
    return f"CAST('{value!r}' AS DOUBLE)"


class _Statements:
    """The statements over one table."""

    def __init__(self, dialect: Dialect, columns: Columns) -> None:
        self.dialect, self.classes = dialect, len(columns.probabilities)
        quoted = dialect.quoted
        self._ps = [f"p{number}" for number in range(self.classes)]
        cells = [
            f"CAST({quoted(name)} AS DOUBLE) AS {p}" for name, p in zip(columns.probabilities, self._ps, strict=True)
        ]
        self._rows = (
            f"(SELECT {quoted(columns.key)} AS id, CAST({quoted(columns.label)} AS INT) AS s, "  # noqa: S608 - quoted
            f"{quoted(columns.label)} AS given_label, {', '.join(cells)} FROM {columns.table}) r0"
        )
        given = dialect.element(dialect.array(self._ps), "s")
        self._given = f"(SELECT *, {given} AS g FROM {self._rows}) r1"  # noqa: S608 - built of names of ours

    def health(self) -> str:
        """Count rows that can't be judged."""
        total = " + ".join(self._ps)
        fine = " AND ".join(f"{p} >= {_double(-1e-6)} AND {p} <= {_double(1.000001)}" for p in self._ps)
        return (
            f"SELECT count(*) AS n, count(*) - count(id) AS no_key, count(id) - count(DISTINCT id) AS twice, "  # noqa: S608
            f"coalesce(sum(CASE WHEN s >= 0 AND s < {self.classes} AND s = given_label THEN 0 ELSE 1 END), 0) "
            f"AS no_label, "
            f"coalesce(sum(CASE WHEN abs({total} - 1) <= {_double(1e-4)} AND {fine} THEN 0 ELSE 1 END), 0) AS bad "
            f"FROM {self._rows}"
        )

    def counts(self) -> str:
        """Rows of each label, and the exact sum of their self-confidence."""
        scaled = f"CAST(floor(g * {_double(2.0**53)}) AS BIGINT)"
        return (
            f"SELECT s, count(*) AS n, CAST(sum(CAST({scaled} AS {self.dialect.whole})) AS STRING) AS total "  # noqa: S608
            f"FROM {self._given} GROUP BY s"
        )

    def _judged(self, thresholds: NDArray[np.float64]) -> str:
        """Rows with guess (-1: none) and moved (0 or 1)."""
        limits = [_double(float(limit)) for limit in thresholds - TOLERANCE]
        reached = " + ".join(
            f"CASE WHEN {p} >= {limit} THEN 1 ELSE 0 END" for p, limit in zip(self._ps, limits, strict=True)
        )
        first = " ".join(
            f"WHEN {p} >= {limit} THEN {k}" for k, (p, limit) in enumerate(zip(self._ps, limits, strict=True))
        )
        top = " ".join(f"WHEN {p} = best THEN {k}" for k, p in enumerate(self._ps))
        best = f"(SELECT *, greatest({', '.join(self._ps)}) AS best, {reached} AS reached FROM {self._given}) r2"  # noqa: S608
        named = (
            f"(SELECT *, CASE {top} END AS top, CASE {first} END AS first_reached, g + {_double(TOLERANCE)} AS near "  # noqa: S608
            f"FROM {best}) r3"
        )
        return (
            f"(SELECT *, CASE WHEN reached = 0 THEN -1 WHEN reached = 1 THEN first_reached ELSE top END AS guess, "  # noqa: S608
            f"CASE WHEN top <> s AND (best > near OR (best = near AND top < s)) THEN 1 ELSE 0 END AS moved "
            f"FROM {named}) r4"
        )

    def joint(self, thresholds: NDArray[np.float64]) -> str:
        """Rows by label, guess and moved."""
        return f"SELECT s, guess, moved, count(*) AS n FROM {self._judged(thresholds)} GROUP BY s, guess, moved"  # noqa: S608

    def moved(self, thresholds: NDArray[np.float64]) -> str:
        """Ids of the moved rows."""
        off = "CASE WHEN guess >= 0 AND guess <> s THEN 1 ELSE 0 END AS off_diagonal"
        return f"SELECT id, {off} FROM {self._judged(thresholds)} WHERE moved = 1"  # noqa: S608

    def _margins(self, source: str) -> str:
        margins = self.dialect.array([f"{p} - g" for p in self._ps])
        return self.dialect.explode(source, margins)

    def above(self, thresholds: NDArray[np.float64]) -> str:
        """Moved rows by label and by class that is more probable by twice the tolerance."""
        moved = f"(SELECT * FROM {self._judged(thresholds)} WHERE moved = 1) r5"  # noqa: S608
        return f"SELECT s, j, count(*) AS n FROM {self._margins(moved)} WHERE v > {_double(MARGIN)} GROUP BY s, j"  # noqa: S608

    def steps(self, groups: NDArray[np.int64]) -> str:
        """Rows of some groups by steps of the margin."""
        listed = ", ".join(str(int(group)) for group in groups)
        return (
            f"SELECT s * {self.classes} + j AS grp, CAST(floor(v * {_STEPS}) AS INT) AS b, count(*) AS n "  # noqa: S608
            f"FROM {self._margins(self._given)} WHERE s * {self.classes} + j IN ({listed}) GROUP BY 1, 2"
        )

    def confidence_steps(self) -> str:
        """Rows by label and steps of minus the self-confidence."""
        return f"SELECT s, CAST(floor(-g * {_STEPS}) AS INT) AS b, count(*) AS n FROM {self._given} GROUP BY 1, 2"  # noqa: S608

    def _scored(self) -> str:
        others = ", ".join(f"CASE WHEN s = {k} THEN {_double(-1.0)} ELSE {p} END" for k, p in enumerate(self._ps))
        return f"(SELECT *, -((g - greatest({others}) + 1) / 2) AS m FROM {self._given}) r6"  # noqa: S608

    def margin_steps(self) -> str:
        """Rows by steps of minus the normalized margin."""
        return f"SELECT CAST(floor(m * {_STEPS}) AS INT) AS b, count(*) AS n FROM {self._scored()} GROUP BY 1"  # noqa: S608

    def chosen(self, plan: Plan, bounds: NDArray[np.int64]) -> str:
        """Group and id of the rows that each group prunes."""
        classes = self.classes
        limits = self.dialect.array([str(int(limit)) for limit in plan.prune])
        lows = self.dialect.array([str(int(low)) for low in bounds])
        step = f"CAST(floor(v * {_STEPS}) AS INT)"
        values = self.dialect.array([*(f"{p} - g" for p in self._ps), "-g", "-g", "m"])
        of_label = f"WHEN j < {classes} THEN s * {classes} + j WHEN j = {classes} THEN s * {classes + 1}"
        group = f"CASE {of_label} ELSE {classes * classes} + j - {classes + 1} END"
        exploded = self.dialect.explode(self._scored(), values)
        candidates = f"(SELECT id, v, {group} AS grp FROM {exploded} WHERE NOT (j = s)) r7"  # noqa: S608
        kept = f"(SELECT * FROM {candidates} WHERE {step} >= {self.dialect.element(lows, 'grp')}) r8"  # noqa: S608
        ranked = f"(SELECT id, grp, row_number() OVER (PARTITION BY grp ORDER BY v DESC, id) AS place FROM {kept}) r9"  # noqa: S608
        return f"SELECT id, grp FROM {ranked} WHERE place <= {self.dialect.element(limits, 'grp')}"  # noqa: S608
