"""Names of categories: what a value is called when shares are compared, the same in SQL and in pandas."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from airflow_mlsecops.core.profile.compare import Seen
from airflow_mlsecops.core.profile.model import Categories

MAX_CATEGORIES = 1000
"""How many values keep a count of their own; rarer ones are folded."""
MAX_DISTINCT = 100_000
"""A column with more different values (estimated) is an id or free text: no categories are counted."""


def masked_name(column: str, value: str) -> str:
    """A digest in place of a value: the same value in another column has another one.

    It hides values from whoever looks at the profile, not from whoever guesses them: few values are quickly tried out.
    """
    return hashlib.sha256(f"{column}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()


def fold(column: str, counted: Iterable[tuple[str, int]], *, mask: bool) -> Categories:
    """The most frequent values by name; of equally frequent ones those whose name comes first."""
    named = [(masked_name(column, value) if mask else value, rows) for value, rows in counted]
    named.sort(key=lambda pair: (-pair[1], pair[0]))
    rest = named[MAX_CATEGORIES:]
    return Categories(dict(named[:MAX_CATEGORIES]), len(rest), sum(rows for _, rows in rest), mask)


def seen_on(baseline: Categories, column: str, saw: int, counted: Sequence[tuple[str, int]]) -> Seen:
    """Rows by the baseline's categories, and how many rows hold none of them.

    Args:
        baseline: what is compared with.
        column: the column's name.
        saw: how many values it has.
        counted: each value's name with its rows; not all of them if there are more than :data:`MAX_DISTINCT`.
    """
    if len(counted) > MAX_DISTINCT:
        return Seen(saw, trouble=f"{column!r} holds more than {MAX_DISTINCT} different values, too many to compare")
    found = dict.fromkeys(baseline.counts, 0)
    new = 0
    for value, rows in counted:
        name = masked_name(column, value) if baseline.masked else value
        if name in found:
            found[name] += rows
        else:
            new += rows
    return Seen(saw, tuple(found.values()), new)
