"""For ``@task`` functions that hold a frame: write it, pin it, validate it, sign what was found.

Example::

    @task
    def extract() -> dict:
        frame = polars.read_database(...)
        return validate_frame(frame, "s3://lake/orders/{run}.parquet", suite="/suites/orders.yaml")

The frame never travels through XCom. What does is the reference of the file that holds it.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow_mlsecops.hooks.mlsecops import DEFAULT_CONN_ID, MlsecopsHook
from airflow_mlsecops.hooks.snapshots import publish
from airflow_mlsecops.operators.base import permanent_errors_fail
from airflow_mlsecops.operators.validate_data import ValidateDataOperator

__all__ = ["validate_frame"]


def validate_frame(
    frame: Any, uri: str, *, suite: Any, name: str = "", mlsecops_conn_id: str = DEFAULT_CONN_ID, **options: Any
) -> dict[str, Any]:
    """Write a frame as Parquet to ``uri``, validate these very bytes, and return their reference with the verdict.

    Args:
        frame: a pandas or Polars data frame, an Arrow table, or anything else with an Arrow stream.
        uri: where it is written; nothing else may lie there. The name ends in ``.parquet``.
        suite: as for :class:`~airflow_mlsecops.operators.validate_data.ValidateDataOperator`.
        name: what people call the data set; by default the file's name.
        mlsecops_conn_id: the connection.
        options: ``engine``, ``min_rows``, ``min_nonnull``, ``relax``, ``memory_limit``, ``spark`` and ``on_fail``, as
            for the operator.

    Raises:
        AirflowFailException: if it can't be written or judged; on a FAIL, unless ``on_fail`` says otherwise.
        AirflowSkipException: on a FAIL with ``on_fail="skip"``.
    """
    from airflow.sdk import get_current_context

    from airflow_mlsecops.core.errors import ConfigurationError
    from airflow_mlsecops.core.validation.frames import write_frame

    hook = MlsecopsHook(mlsecops_conn_id)
    with permanent_errors_fail(), TemporaryDirectory(prefix="mlsecops-") as folder:
        if not uri.lower().endswith((".parquet", ".pq")):
            raise ConfigurationError(f"{uri} doesn't end in .parquet", "the frame is written as Parquet")
        spool = Path(folder) / "frame.parquet"
        artifact = publish(spool, write_frame(frame, spool), uri, hook, name=name)
        operator = ValidateDataOperator(task_id="validate_frame", artifact=artifact, suite=suite, **options)
        return operator.work(hook, get_current_context())
