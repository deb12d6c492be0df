"""The example Dag of the quarantine: two tasks, two verdicts."""

from __future__ import annotations

from pathlib import Path

import make_demo_data
import pytest

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.report import Verdict
from tests.operators.test_bucket import tasks
from tests.support.deployment import Deployment
from tests.support.run_op import run_op

pytestmark = pytest.mark.airflow


def verdicts(digest: str, deployment: Deployment) -> list[Verdict]:
    return [control_run.parse(item.statement).verdict for item in deployment.about(digest).of("test-result")]


def test_example_quarantine(tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    data = make_demo_data.write_clean(tmp_path / "digits.csv")
    lines = data.read_text().splitlines(keepends=True)
    place = lines[0].split(",").index("pixel_1_0")
    for number in (3, 500):
        cells = lines[number + 1].split(",")
        cells[place] = "99"
        lines[number + 1] = ",".join(cells)
    data.write_text("".join(lines))
    dag = tasks("example_quarantine")

    first = run_op(dag["validate"], connections=deployment.connections, conf={"dataset": str(data)})
    assert first.state == "success"
    (clean,) = (tmp_path / "data" / "remainder").iterdir()
    assert clean.read_text() == "".join(line for number, line in enumerate(lines) if number not in (4, 501))

    second = run_op(
        dag["validate_remainder"],
        connections=deployment.connections,
        xcoms={("validate", "remainder"): first.xcoms["remainder"]},
    )
    assert second.state == "success"
    assert verdicts(pin(str(data)).artifact.digest, deployment) == [Verdict.FAIL]
    assert verdicts(Artifact.from_dict(first.xcoms["remainder"]["artifact"]).digest, deployment) == [Verdict.PASS]


def test_without_a_remainder_the_second_task_fails(deployment: Deployment) -> None:
    second = run_op(tasks("example_quarantine")["validate_remainder"], connections=deployment.connections)
    assert second.state == "failed"
    assert deployment.bundles() == []
