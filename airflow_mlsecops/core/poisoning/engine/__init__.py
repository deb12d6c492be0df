"""Confident learning, exact and the same everywhere: compiled, in NumPy, in DuckDB, on Spark.

Northcutt, Jiang, Chuang: "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021). The seven
filters flag what cleanlab 2.9 flags. Where rows tie, cleanlab's answer depends on how the processor sorts; here the
row with the smaller id goes first. So the answer depends on the rows alone: not on their order, on threads, on how they
are cut into chunks or on the engine. ``docs/adr/`` tells how sums are made exact.
"""

from airflow_mlsecops.core.poisoning.engine.filters import DEFAULT_FILTER, FILTERS, Issues
from airflow_mlsecops.core.poisoning.engine.run import find_issues, find_issues_in
from airflow_mlsecops.core.poisoning.engine.scores import quality_scores
from airflow_mlsecops.core.poisoning.engine.sources import ArraySource, ArrowSource, Chunk, ParquetSource, Source

__all__ = [
    "DEFAULT_FILTER",
    "FILTERS",
    "ArraySource",
    "ArrowSource",
    "Chunk",
    "Issues",
    "ParquetSource",
    "Source",
    "find_issues",
    "find_issues_in",
    "quality_scores",
]
