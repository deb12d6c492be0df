"""A sample of rows that depends on their numbers alone, so that both engines look at the same rows.

Row ``r`` is in when ``(r * M + C) mod 2^32`` is below a threshold, with Knuth's multiplicative constant M (The Art of
Computer Programming, vol. 3, section 6.4). A table of no more rows than asked for is looked at whole. Whoever decides
where each row of the table goes could put rows between the sampled ones; then ask for all rows.
"""

from __future__ import annotations

_MULTIPLIER, _OFFSET, _MODULUS = 2_654_435_761, 374_761_393, 2**32


def threshold(rows: int, wanted: int) -> int:
    """Below which a row is in."""
    return _MODULUS if rows <= wanted else int(wanted / rows * _MODULUS)


def chosen_sql(number: str, limit: int) -> str:
    """The predicate that a row is in."""
    return f"(({number}) * {_MULTIPLIER} + {_OFFSET}) % {_MODULUS} < {limit}"


def is_chosen(number: int, limit: int) -> bool:
    """Whether a row is in."""
    return (number * _MULTIPLIER + _OFFSET) % _MODULUS < limit
