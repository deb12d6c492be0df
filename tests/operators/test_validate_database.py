"""Tables and queries as a task validates them: what is signed, what lies where afterwards, and what is never told."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from tests.support.deployment import Deployment
from tests.support.postgres import PASSWORD, READER, Postgres, postgres_server
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

SUITE = {
    "name": "orders",
    "expectations": [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "price", "min_value": 0}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "name"}},
    ],
}
TABLE = [
    "CREATE TABLE orders (id integer PRIMARY KEY, name text, price double precision)",
    "INSERT INTO orders VALUES (1, 'tell-nobody', 0.5), (2, 'b', 2.5)",
]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    path = tmp_path / "lake.db"
    with sqlite3.connect(path) as connection:
        for statement in TABLE:
            connection.execute(statement)
    connection.close()
    return path


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        server.run(*TABLE, f"GRANT SELECT ON orders TO {READER}")
        yield server


def validate(deployment: Deployment, connection: dict[str, Any], source: dict[str, Any], **kwargs: Any) -> OpRun:
    operator = ValidateDataOperator(
        task_id="validate", source={"conn_id": "lake", **source}, **{"suite": SUITE, **kwargs}
    )
    return run_op(operator, connections={**deployment.connections, "lake": connection})


def of_sqlite(path: Path) -> dict[str, Any]:
    return {"conn_type": "sqlite", "host": str(path)}


def results(digest: str, deployment: Deployment) -> list[control_run.ControlResult]:
    return [control_run.parse(item.statement) for item in deployment.about(digest).of("test-result")]


def signed_parameters(digest: str, deployment: Deployment) -> dict[str, Any]:
    (item,) = deployment.about(digest).of("test-result")
    (configuration,) = item.statement.predicate["configuration"]
    return dict(configuration["annotations"])


def everything_in(folder: Path) -> bytes:
    return b"".join(
        path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "key.pem"
    )


@pytest.mark.parametrize(("engine", "named"), [("auto", "fused"), ("fused", "fused"), ("gx", "gx-sql")])
def test_the_statement_is_about_the_snapshot(
    deployment: Deployment, lake: Path, tmp_path: Path, engine: str, named: str
) -> None:
    target = tmp_path / "snapshots" / "orders.parquet"
    run = validate(deployment, of_sqlite(lake), {"table": "orders", "snapshot_uri": str(target)}, engine=engine)
    assert run.state == "success", run.logs
    artifact = run.xcoms["return_value"]["artifact"]
    assert artifact["digest"] == sha256_bytes(target.read_bytes())
    assert artifact["uri"] == target.as_uri()
    assert pq.read_table(target).to_pydict()["name"] == ["tell-nobody", "b"]
    (result,) = results(artifact["digest"], deployment)
    assert result.verdict is Verdict.PASS
    parameters = signed_parameters(artifact["digest"], deployment)
    assert parameters["engine"] == named
    assert parameters["engine_why"]
    assert {key: parameters["source"][key] for key in ("conn_id", "table", "database", "ordered_by")} == {
        "conn_id": "lake",
        "table": "orders",
        "database": "sqlite",
        "ordered_by": ["id"],
    }
    # The next task takes it as any artifact.
    again = ValidateDataOperator(task_id="again", artifact=run.xcoms["return_value"], suite=SUITE)
    assert run_op(again, connections=deployment.connections).state == "success"


@pytest.mark.parametrize("engine", ["auto", "gx"])
def test_a_fail_is_signed_and_quotes_no_cell(deployment: Deployment, lake: Path, tmp_path: Path, engine: str) -> None:
    target = tmp_path / "orders.parquet"
    source = {"query": "SELECT id, name, price - 1 AS price FROM orders", "snapshot_uri": str(target)}
    run = validate(deployment, of_sqlite(lake), source, engine=engine)
    assert run.state == "failed"
    assert "1 of 2 (50.00 %) are not as expected" in run.logs
    (result,) = results(sha256_bytes(target.read_bytes()), deployment)
    assert result.verdict is Verdict.FAIL
    for told in (run.logs.encode(), json.dumps(run.raw_xcoms).encode(), everything_in(deployment.root)):
        assert b"tell-nobody" not in told
    assert b"price - 1" not in everything_in(deployment.root)  # a query may hold values: its digest is signed


def test_postgres_validates_and_its_password_is_nowhere(
    deployment: Deployment, postgres: Postgres, tmp_path: Path
) -> None:
    for what, engine, named in (("table", "auto", "fused"), ("query", "gx", "gx-sql")):
        target = tmp_path / f"{engine}.parquet"
        asked = {"table": "public.orders", "query": "SELECT * FROM orders WHERE id > 1"}[what]
        source = {what: asked, "snapshot_uri": str(target)}
        run = validate(deployment, postgres.connection(), source, engine=engine)
        assert run.state == "success", run.logs
        parameters = signed_parameters(sha256_bytes(target.read_bytes()), deployment)
        assert (parameters["engine"], parameters["source"]["database"]) == (named, "postgresql")
        for told in (run.logs, json.dumps(run.raw_xcoms), json.dumps(run.rendered)):
            assert PASSWORD not in told
    for told in (PASSWORD, READER, str(postgres.socket)):
        assert told.encode() not in everything_in(deployment.root)


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"password": "wrong-but-secret"}, "up_for_retry"),
        ({"host": "/nowhere"}, "up_for_retry"),
        ({"schema": ""}, "failed"),
    ],
)
def test_a_database_that_is_away_is_tried_again_and_leaks_nothing(
    deployment: Deployment, postgres: Postgres, tmp_path: Path, changed: dict[str, str], state: str
) -> None:
    source = {"table": "orders", "snapshot_uri": str(tmp_path / "x.parquet")}
    run = validate(deployment, postgres.connection(**changed), source, retries=1)
    assert run.state == state
    for secret in (PASSWORD, "wrong-but-secret"):
        assert secret not in run.logs
    assert not (tmp_path / "x.parquet").exists()
    assert not deployment.bundles()


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"table": "nowhere"}, "no such table"),
        ({"query": "DELETE FROM orders"}, "only reading is allowed"),
        ({"query": "SELECT 1 AS a; SELECT 2 AS b"}, "the database says NO"),
        ({"table": "orders", "query": "SELECT 1"}, "both or neither"),
    ],
)
def test_what_cannot_be_read_fails_at_once_and_signs_nothing(
    deployment: Deployment, lake: Path, tmp_path: Path, source: dict[str, str], why: str
) -> None:
    target = tmp_path / "x.parquet"
    run = validate(deployment, of_sqlite(lake), {**source, "snapshot_uri": str(target)}, retries=1)
    assert run.state == "failed"
    assert why in run.logs
    assert not target.exists()
    assert not deployment.bundles()


def test_no_rows_are_a_signed_fail(deployment: Deployment, lake: Path, tmp_path: Path) -> None:
    for engine in ("auto", "gx"):
        target = tmp_path / f"{engine}.parquet"
        source = {"query": "SELECT * FROM orders WHERE id > 9", "snapshot_uri": str(target)}
        assert validate(deployment, of_sqlite(lake), source, engine=engine).state == "failed"
        result = results(sha256_bytes(target.read_bytes()), deployment)[-1]
        assert result.verdict is Verdict.FAIL


def test_a_retry_finds_its_own_file_and_no_other_file_is_written_over(
    deployment: Deployment, lake: Path, tmp_path: Path
) -> None:
    target = tmp_path / "orders.parquet"
    source = {"table": "orders", "snapshot_uri": str(target)}
    assert validate(deployment, of_sqlite(lake), source).state == "success"
    assert validate(deployment, of_sqlite(lake), source).state == "success"
    before = target.read_bytes()
    with sqlite3.connect(lake) as connection:
        connection.execute("DELETE FROM orders WHERE id = 1")
    connection.close()
    run = validate(deployment, of_sqlite(lake), source)
    assert run.state == "failed"
    assert "something else lies at" in run.logs
    assert target.read_bytes() == before


def test_the_source_is_a_template_and_the_dag_is_checked_when_it_is_parsed(
    deployment: Deployment, lake: Path, tmp_path: Path
) -> None:
    source = {"table": "{{ dag_run.conf['table'] }}", "snapshot_uri": f"{tmp_path}/{{{{ ti.task_id }}}}.parquet"}
    operator = ValidateDataOperator(task_id="validate", source={"conn_id": "lake", **source}, suite=SUITE)
    connections = {**deployment.connections, "lake": of_sqlite(lake)}
    assert run_op(operator, connections=connections, conf={"table": "orders"}).state == "success"
    assert (tmp_path / "validate.parquet").exists()
    for arguments in ({}, {"artifact": "/x.csv", "source": source}):
        with pytest.raises(ValueError, match="either an artifact or a source"):
            ValidateDataOperator(task_id="v", suite=SUITE, **arguments)  # type: ignore[arg-type]


def test_a_connection_of_another_type_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    source = {"table": "t", "snapshot_uri": str(tmp_path / "x.parquet")}
    run = validate(deployment, {"conn_type": "mysql", "host": "h"}, source)
    assert run.state == "failed"
    assert "'mysql'" in run.logs


def test_spark_judges_the_copy_in_the_folder_that_it_is_given(
    deployment: Deployment, lake: Path, tmp_path: Path
) -> None:
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        pytest.skip("no Java for Spark: scripts/system-packages installs it (apt-get install default-jre-headless)")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    config = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
        "spark.my.secret": "hush-hush",
    }
    operator = ValidateDataOperator(
        task_id="validate",
        source={"conn_id": "lake", "table": "orders", "snapshot_uri": str(tmp_path / "orders.parquet")},
        suite=SUITE,
        engine="spark",
        spark={"conn_id": "cluster", "scratch": str(scratch), "config": config},
    )
    spark = {"conn_type": "spark", "host": "local[1]"}
    run = run_op(operator, connections={**deployment.connections, "lake": of_sqlite(lake), "cluster": spark})
    assert run.state == "success", run.logs
    artifact = run.xcoms["return_value"]["artifact"]
    assert signed_parameters(artifact["digest"], deployment)["engine"] == "gx-spark"
    assert list(scratch.iterdir()) == []
    assert "hush-hush" not in run.logs + json.dumps(run.rendered) + json.dumps(run.raw_xcoms)
    assert b"hush-hush" not in everything_in(deployment.root)


@pytest.mark.parametrize(
    ("spark", "why"),
    [
        ({"master": "spark://h:7077"}, "scratch"),
        ({"conn_id": "gone"}, "there is no connection 'gone'"),
        ({"master": "local", "conn_id": "gone"}, "both master and conn_id"),
        ({"cores": 3}, "'cores'"),
    ],
)
def test_a_cluster_that_is_not_told_rightly(
    deployment: Deployment, tmp_path: Path, spark: dict[str, Any], why: str
) -> None:
    operator = ValidateDataOperator(task_id="v", artifact="/x.parquet", suite=SUITE, engine="spark", spark=spark)
    run = run_op(operator, connections=deployment.connections)
    assert run.state == "failed"
    assert why in run.logs
