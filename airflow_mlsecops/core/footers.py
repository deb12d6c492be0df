"""Let DuckDB believe no footer.

What a Parquet file's footer says of its data is its writer's word, and DuckDB takes it: a maximum is read from there,
and row groups in which by their footer nothing matches aren't read. A footer that lies would hide rows from a control.
And statistics leave NaN out: DuckDB 2.0.1 concludes that there is none, and takes NaN for a value.
"""

from __future__ import annotations

from typing import Any

_TRUSTING = (
    "filter_pushdown",
    "join_filter_pushdown",
    "partial_aggregate_pushdown",
    "row_group_pruner",
    "statistics_propagation",
    "top_n",
)


def distrust_footers(connection: Any) -> None:
    """Switch off, in a connection of DuckDB, the optimizers that believe statistics."""
    known = {name for (name,) in connection.execute("SELECT name FROM duckdb_optimizers()").fetchall()}
    # The names are ours; an older DuckDB doesn't have them all.
    connection.execute(f"SET disabled_optimizers = '{','.join(name for name in _TRUSTING if name in known)}'")
