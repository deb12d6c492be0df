"""Assets of a stage: mistyped ones are import errors, and a promotion tells of no other stage than its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import Asset

from airflow_mlsecops.assets import model_at
from airflow_mlsecops.operators.promote_model import PromoteModelOperator
from tests.operators.test_bucket import tasks
from tests.support.deployment import Deployment
from tests.support.run_op import run_op

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize(("name", "stage"), [("digits", "production"), ("fraud/scoring-2", "canary.eu")])
def test_an_asset_names_model_and_stage(name: str, stage: str) -> None:
    assert model_at(name, stage).uri == f"mlsecops://{stage}/{name}"
    assert Asset(f"mlsecops://{stage}/{name}/").uri == model_at(name, stage).uri  # Airflow drops the last slash


@pytest.mark.parametrize(
    "uri",
    [
        "mlsecops://production",
        "mlsecops://Production/digits",
        "mlsecops:///digits",
        "mlsecops://user@production/digits",
        "mlsecops://production:80/digits",
        "mlsecops://production/digits?version=1",
        "mlsecops://production/../digits",
        "mlsecops://production/di%67its",
        "mlsecops://production/d\u0456gits",
        f"mlsecops://production/{'d' * 201}",
    ],
)
def test_what_names_no_stage_is_refused_when_the_dag_is_read(uri: str) -> None:
    with pytest.raises(ValueError, match="expected mlsecops://STAGE/MODEL"):
        Asset(uri)


@pytest.mark.parametrize(
    ("outlet", "fits"), [("production/digits", True), ("canary/digits", False), ("production/d", False)]
)
def test_a_promotion_tells_of_its_own_stage_alone(
    model: Path, deployment: Deployment, tmp_path: Path, outlet: str, fits: bool
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nname: production\nrequire: [{evidence: signature, of: model}]\n")
    promote = PromoteModelOperator(
        task_id="promote", artifact=str(model), model_name="digits", version="1", stage="production",
        policy=str(policy), outlets=[Asset(f"mlsecops://{outlet}"), Asset("s3://models/digits")],
    )  # fmt: skip
    done = run_op(promote, connections=deployment.connections)
    # Nothing was released, so it fails either way; what counts is at what.
    assert (done.state, f"outlet mlsecops://{outlet} isn't digits at production" in str(done.error)) == (
        "failed",
        not fits,
    )


def test_the_examples_dags_meet_at_the_asset() -> None:
    (asset,) = tasks("example_promote_model")["promote"].outlets
    assert asset == model_at("digits", "production")
