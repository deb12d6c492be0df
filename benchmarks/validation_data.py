"""Rows for ``validation.py``: 12 columns of an ordinary order table, the same bytes for the same seed.

A few rows of 10 million break an expectation, as in real data, but fewer than their suite allows. With ``shuffled`` the
key comes in random order, so that nothing about it can be had from the order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 1_000_000
COUNTRIES = ["AT", "BR", "CH", "DE", "ES", "FR", "GB", "IT", "JP", "US"]
STATES = ["new", "paid", "sent", "returned"]


def write(folder: Path, rows: int, *, shuffled: bool = False, parts: int = 1) -> Path:
    """Write the table if it doesn't lie there yet; one file, or a folder of parts with the rows shared out."""
    name = f"orders-{rows}{'-shuffled' if shuffled else ''}"
    target = folder / (name if parts > 1 else f"{name}.parquet")
    if target.exists():
        return target
    keys = np.random.default_rng(1).permutation(rows) if shuffled else None
    unfinished = folder / f"unfinished-{name}"
    per_part = rows // parts
    if parts > 1:
        unfinished.mkdir(parents=True)
    for part in range(parts):
        place = unfinished / f"part-{part:04}.parquet" if parts > 1 else unfinished
        _write_part(place, part * per_part, per_part, keys)
    unfinished.rename(target)
    return target


def _write_part(place: Path, first: int, rows: int, keys: np.ndarray | None) -> None:
    writer = None
    for begin in range(first, first + rows, CHUNK):
        size = min(CHUNK, first + rows - begin)
        table = _chunk(begin, size, None if keys is None else keys[begin : begin + size])
        writer = writer or pq.ParquetWriter(place, table.schema, compression="snappy")
        writer.write_table(table, row_group_size=122_880)
    if writer is not None:
        writer.close()


def _chunk(begin: int, size: int, keys: np.ndarray | None) -> pa.Table:
    random = np.random.default_rng([7, begin])
    number = np.arange(begin, begin + size)
    key = number if keys is None else keys
    ordered = 1_700_000_000 + number * 3
    user = random.integers(0, 1_000_000, size)
    age = random.integers(18, 95, size)
    age[random.random(size) < 2e-6] = 400
    score = random.normal(0.0, 1.0, size)
    names = pa.array([f"user{each}@mail{each % 97}.example" for each in range(1_000_000)])
    notes = pa.array([f"order placed at desk {each}" for each in range(5_000)])
    return pa.table(
        {
            "order_id": key,
            "user_id": user,
            "email": names.take(pa.array(user)),
            "country": pa.array(COUNTRIES).take(pa.array(random.integers(0, len(COUNTRIES), size))),
            "state": pa.array(STATES).take(pa.array(random.integers(0, len(STATES), size))),
            "age": age,
            "amount": np.round(random.gamma(2.0, 40.0, size), 2),
            "score": pa.array(score, mask=random.random(size) < 0.05),
            "ordered_at": ordered,
            "sent_at": ordered + random.integers(1, 500_000, size),
            "note": notes.take(pa.array(random.integers(0, 5_000, size))),
            "label": random.integers(0, 2, size),
        }
    )


def _item(kind: str, **kwargs: object) -> dict[str, object]:
    return {"type": f"expect_{kind}", "kwargs": kwargs}


SUITE = {
    "name": "orders",
    "expectations": [
        _item("table_row_count_to_be_between", min_value=1),
        _item("table_column_count_to_equal", value=12),
        _item("column_values_to_not_be_null", column="order_id"),
        _item("column_values_to_be_unique", column="order_id"),
        _item("column_values_to_be_between", column="user_id", min_value=0, max_value=999_999),
        _item("column_values_to_match_regex", column="email", regex=r"^[a-z0-9]+@[a-z0-9.]+$"),
        _item("column_values_to_be_in_set", column="country", value_set=COUNTRIES),
        _item("column_values_to_be_in_set", column="state", value_set=STATES),
        _item("column_values_to_be_between", column="age", min_value=18, max_value=120, mostly=0.99),
        _item("column_values_to_be_between", column="amount", min_value=0, max_value=100_000),
        _item("column_values_to_not_be_null", column="score", mostly=0.9),
        _item("column_mean_to_be_between", column="score", min_value=-0.5, max_value=0.5),
        _item("column_pair_values_a_to_be_greater_than_b", column_A="sent_at", column_B="ordered_at"),
        _item("column_value_lengths_to_be_between", column="note", min_value=1, max_value=200),
        _item("column_distinct_values_to_be_in_set", column="label", value_set=[0, 1]),
    ],
}
"""15 ordinary expectations, in Great Expectations' form."""
