"""A Spark session on this machine, for the tests that compare engines."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.validation.gx_spark import workers_python


@contextmanager
def spark_session(warehouse: Path, *, threads: int) -> Iterator[Any]:
    """A session with as many threads, as many partitions after a shuffle, and the workers' Python this one.

    Without Java the test is skipped, loudly.
    """
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        pytest.skip("NO JAVA: Spark isn't tested here; scripts/system-packages installs it (default-jre-headless)")
    from pyspark.sql import SparkSession

    interrupt = signal.getsignal(signal.SIGINT)  # Spark takes Ctrl-C over, and doesn't give it back
    builder = (
        SparkSession.builder.master(f"local[{threads}]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", str(threads))
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.warehouse.dir", str(warehouse))
    )
    with workers_python(sys.executable):
        session = builder.getOrCreate()
    yield session
    session.stop()
    signal.signal(signal.SIGINT, interrupt)
