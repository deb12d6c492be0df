"""Great Expectations on Spark, for Parquet that one machine can't judge. Rules and findings are those of any engine.

Spark mends what it reads: it fills a column that a part hasn't with nulls, and takes ``A`` for ``a``. So the parts'
schemas are compared first, on the driver, and names are told apart by case.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.controls.gx_pandas import COUNTS_ONLY, quiet_context, refuse_own_sql, run_suite_on
from airflow_mlsecops.core.controls.tables import part_files, table_format
from airflow_mlsecops.core.errors import ConfigurationError, DataError, MissingExtraError
from airflow_mlsecops.core.profile.table_schema import schema_of
from airflow_mlsecops.core.validation.engines import check_names, check_rows
from airflow_mlsecops.core.validation.evaluation import Evaluation, evaluate_expanded

_ALWAYS = {
    "spark.sql.caseSensitive": "true",
    "spark.sql.parquet.mergeSchema": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""What the verdict depends on; an author's own settings don't change it."""


@dataclass(frozen=True)
class SparkSettings:
    """How Spark is reached.

    Attributes:
        master: Spark's master URL, e.g. ``local[2]``, ``spark://host:7077`` or ``yarn``.
        scratch: a folder that driver and executors see under one path, for the private copy of the data; needn't be
            given of a local master.
        config: further settings of the session; never shown, because they may hold secrets.
    """

    master: str = "local[*]"
    scratch: str = ""
    config: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.master:
            raise ConfigurationError("spark names no master", 'give one, e.g. "local[2]" or "spark://host:7077"')
        if not self.scratch and not self.master.startswith("local"):
            raise ConfigurationError(
                f"spark runs at {self.master}, and names no scratch folder",
                "name one that the executors see too: they read the private copy of the pinned bytes there",
            )


def evaluate_on_spark(
    path: Path, document: Mapping[str, Any], *, settings: SparkSettings, why: str, allow_empty: bool = False
) -> Evaluation:
    """Evaluate a suite on Spark.

    Args:
        path: a Parquet file, or a folder of parts, which the executors see too.
        document: of a suite that ``load_suite`` read.
        settings: how Spark is reached.
        why: why this engine.
        allow_empty: judge no rows, too.

    Raises:
        SuiteError: if an expectation brings SQL of its own.
        DataError: if the data aren't Parquet of one schema, hold no rows, or can't be read whole.
        ConfigurationError: if there is no Java, or no such master.
        MissingExtraError: without pyspark.
    """
    refuse_own_sql(document)
    parts = part_files(path)
    types = _checked_columns(parts)
    with _session(settings) as session:
        from pyspark.errors import PySparkException

        try:
            frame = session.read.parquet(*[part.resolve().as_uri() for part in parts])
            rows = int(frame.count())
            check_rows(rows, allow_empty)
            return evaluate_expanded(document, types, lambda expanded: _judged(frame, rows, types, expanded, why))
        except PySparkException as error:
            kind = error.getCondition() or type(error).__name__
            raise DataError(f"Spark can't read the data ({kind})", "look at Spark's log") from None


def _judged(frame: Any, rows: int, types: Mapping[str, str], document: Mapping[str, Any], why: str) -> Evaluation:
    outcomes = run_suite_on(list(types), document, lambda expectations: _validate(frame, expectations))
    everything = tuple(range(len(document["expectations"])))
    return Evaluation(tuple(outcomes), rows, tuple(types), "gx-spark", why, everything)


def _checked_columns(parts: list[Path]) -> dict[str, str]:
    """Columns and the names of their types, in order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if table_format(parts[0]) != "parquet":
        raise DataError("engine='spark' reads Parquet alone", "write Parquet, or take another engine")
    try:
        schemas = [pq.read_schema(part).remove_metadata() for part in parts]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError("a part is not a whole Parquet file", "write it again") from error
    for part, schema in zip(parts, schemas, strict=True):
        if not schema.equals(schemas[0]):
            raise DataError(f"{part.name} and {parts[0].name} have different columns", "write all from one schema")
    names: list[str] = list(schemas[0].names)
    if len(set(names)) != len(names) or not names:
        raise DataError(f"{parts[0].name} has a column twice, or none", "give each column its own name")
    check_names(names)
    return dict(schema_of(schemas[0]))


@contextmanager
def _session(settings: SparkSettings) -> Iterator[Any]:
    """A session of our own, stopped afterwards; Ctrl-C is given back, which Spark takes over."""
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingExtraError("engine='spark' needs pyspark", "install airflow-mlsecops[spark]") from error
    if SparkSession.getActiveSession() is not None:
        raise ConfigurationError("a Spark session is open in this process", "stop it: its settings would count here")
    builder = SparkSession.builder.master(settings.master).appName("airflow-mlsecops")
    # Checks of cells run in Python: here in this one, which has the package, on a cluster in the one that it is told.
    python = {"spark.pyspark.python": sys.executable} if settings.master.startswith("local") else {}
    for name, value in {**python, **settings.config, **_ALWAYS}.items():
        builder = builder.config(name, value)
    on_main = threading.current_thread() is threading.main_thread()
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        try:
            session = builder.getOrCreate()
        except (PySparkException, RuntimeError, OSError) as error:
            raise ConfigurationError(
                f"Spark can't be started ({type(error).__name__})", "is Java there, and the master right?"
            ) from error
        try:
            session.sparkContext.setLogLevel("OFF")  # its errors quote cells
            yield session
        finally:
            session.stop()
    finally:
        if on_main:
            signal.signal(signal.SIGINT, interrupt)


def _validate(frame: Any, expectations: list[Any]) -> dict[int, Any]:
    """GX's results by the index that stands in each expectation's meta."""
    import great_expectations as gx

    source = quiet_context().data_sources.add_spark("pinned", persist=False)
    batch = source.add_dataframe_asset("table").add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite(name="run", expectations=expectations)
    validated = batch.get_batch({"dataframe": frame}).validate(suite, result_format=COUNTS_ONLY)
    return {result.expectation_config.meta["index"]: result for result in validated.results}
