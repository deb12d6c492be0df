"""Great Expectations on Spark, for Parquet that one machine can't judge. Rules and findings are those of any engine.

Spark mends what it reads: it fills a column that a part hasn't with nulls, and takes ``A`` for ``a``. So the parts'
schemas are compared first, on the driver, and names are told apart by case.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.controls.gx_pandas import COUNTS_ONLY, quiet_context, refuse_own_sql, run_suite_on
from airflow_mlsecops.core.controls.partitions import PartitionColumn, arrow_field, partition_columns
from airflow_mlsecops.core.controls.parts import part_files, table_format
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
    partitions = partition_columns(path, parts)
    types = _checked_columns(parts, partitions)
    with _session(settings) as session:
        from pyspark.errors import PySparkException

        try:
            frame = _read(session, path, parts, partitions)
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


def _read(session: Any, path: Path, parts: list[Path], partitions: Sequence[PartitionColumn]) -> Any:
    """The parts as one frame; Spark is told the types of the columns that folders name, and guesses none."""
    files = [_named(part) for part in parts]
    if not partitions:
        return session.read.parquet(*files)
    from pyspark.sql.types import LongType, StringType

    schema = session.read.parquet(files[0]).schema
    for column in partitions:
        schema = schema.add(column.name, LongType() if column.whole else StringType())
    return session.read.option("basePath", f"file://{path.resolve()}").schema(schema).parquet(*files)


def _named(part: Path) -> str:
    """A file as Hadoop names it: not percent-encoded, but what would be a pattern is quoted."""
    return "file://" + re.sub(r"([\\{}\[\]*?])", r"\\\1", str(part.resolve()))


def _checked_columns(parts: list[Path], partitions: Sequence[PartitionColumn]) -> dict[str, str]:
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
    whole = schemas[0]
    for column in partitions:
        whole = whole.append(arrow_field(column))
    names: list[str] = list(whole.names)
    if len(set(names)) != len(names) or not names:
        raise DataError(f"{parts[0].name} has a column twice, or none", "give each column its own name")
    check_names(names)
    return dict(schema_of(whole))


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
    ours = sys.executable if settings.master.startswith("local") else ""
    python = settings.config.get("spark.pyspark.python") or os.environ.get("PYSPARK_PYTHON") or ours
    for name, value in {**settings.config, **_ALWAYS}.items():
        builder = builder.config(name, value)
    on_main = threading.current_thread() is threading.main_thread()
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        try:
            with workers_python(python):
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


@contextmanager
def workers_python(executable: str) -> Iterator[None]:
    """Start Spark within this, and its workers run that Python; with an empty name the one that they would anyway.

    Spark reads it from the environment as it starts. Of ``spark.pyspark.python`` only ``spark-submit`` takes notice.
    """
    before = os.environ.get("PYSPARK_PYTHON")
    if executable:
        os.environ["PYSPARK_PYTHON"] = executable
    try:
        yield
    finally:
        if before is not None:
            os.environ["PYSPARK_PYTHON"] = before
        elif executable:
            del os.environ["PYSPARK_PYTHON"]


def _validate(frame: Any, expectations: list[Any]) -> dict[int, Any]:
    """GX's results by the index that stands in each expectation's meta."""
    import great_expectations as gx

    source = quiet_context().data_sources.add_spark("pinned", persist=False)
    batch = source.add_dataframe_asset("table").add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite(name="run", expectations=expectations)
    validated = batch.get_batch({"dataframe": frame}).validate(suite, result_format=COUNTS_ONLY)
    return {result.expectation_config.meta["index"]: result for result in validated.results}
