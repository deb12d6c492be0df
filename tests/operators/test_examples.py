"""Example Dags that the end-to-end tests don't run: here they do, each task as a worker runs it."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from tests.operators.test_bucket import EXAMPLES
from tests.support.deployment import ROLES, Deployment
from tests.support.doc_pages import ROOT
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow


def dags_of(file: Path) -> dict[str, dict[str, Any]]:
    """The tasks of every Dag in a file."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(file))
    assert bag.import_errors == {}
    return {dag_id: dag.task_dict for dag_id, dag in bag.dags.items()}


def test_a_promoted_model_reaches_those_who_wait_for_it(model: Path, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment", roles=(*ROLES, "promote", "alarm"))
    for place in ("policies", "examples"):
        (tmp_path / place).mkdir()
    (tmp_path / "policies" / "digits_release.yaml").write_text(
        "version: 1\nname: digits-release\nrequire: [{evidence: signature, of: model}]\n"
    )
    dags = dags_of(Path(shutil.copy(EXAMPLES / "example_promote_model.py", tmp_path / "examples")))

    def run(dag_id: str, task_id: str, **given: Any) -> OpRun:
        done = run_op(dags[dag_id][task_id], connections=deployment.connections, **given)
        assert done.state == "success", done.logs
        return done

    signed = run_op(SignArtifactOperator(task_id="sign", artifact=str(model)), connections=deployment.connections)
    assert signed.state == "success"
    gate = run("example_promote_model", "gate", conf={"model": str(model)})
    promoted = run("example_promote_model", "promote", xcoms={("gate", "return_value"): gate.xcoms["return_value"]})
    (event,) = promoted.outlet_events
    used = run(
        "example_use_promoted_model",
        "use",
        asset_events=[{"uri": "mlsecops://production/digits", "extra": event["extra"]}],
    )
    assert used.xcoms["return_value"] == model.stat().st_size

    found = run("example_wait_for_model", "wait_for_model")
    again = run(
        "example_wait_for_model", "use", xcoms={("wait_for_model", "return_value"): found.xcoms["return_value"]}
    )
    assert again.xcoms["return_value"] == model.stat().st_size
    digest = promoted.xcoms["return_value"]["artifact"]["digest"]
    run("example_wait_for_model", "wait_for_evidence", conf={"digest": digest})


def test_a_table_and_a_frame_of_it_are_validated(tmp_path: Path, deployment: Deployment) -> None:
    base = tmp_path / "shop.db"
    with sqlite3.connect(base) as connection:
        connection.execute("CREATE TABLE orders (id integer PRIMARY KEY, price double precision)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [(1, 20.0), (2, 120.0), (3, 500.0)])
    connection.close()
    tasks = dags_of(EXAMPLES / "example_validate_database.py")["example_validate_database"]
    connections = {**deployment.connections, "warehouse": {"conn_type": "sqlite", "host": str(base)}}
    conf = {"lake": str(tmp_path / "lake")}
    orders = run_op(tasks["orders"], connections=connections, conf=conf, run_id="first")
    assert orders.state == "success", orders.logs
    given: dict[tuple[str, str] | tuple[str, str, int], Any] = {
        ("orders", "return_value"): orders.xcoms["return_value"]
    }
    dear = run_op(tasks["expensive"], connections=connections, conf=conf, run_id="first", xcoms=given)
    assert dear.state == "success", dear.logs
    for done, rows in ((orders, 3), (dear, 2)):
        digest = done.xcoms["return_value"]["artifact"]["digest"]
        (item,) = deployment.about(digest).of("test-result")
        result = control_run.parse(item.statement)
        assert (result.verdict, result.metrics["rows"]) == (Verdict.PASS, rows)


def test_every_example_dag_is_run_by_a_test() -> None:
    """By name, so that a new one can't be forgotten; the others' tests are those of the pipeline and of each part."""
    tests = [
        path for path in (ROOT / "tests").rglob("test_*.py") if path.name not in ("test_docs.py", "test_docs_site.py")
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in tests)
    missing = [path.name for path in sorted((ROOT / "dags").rglob("*.py")) if not re.search(rf"\b{path.stem}\b", text)]
    assert missing == []
