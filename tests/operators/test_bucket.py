"""A bucket of Parquet on a server that speaks S3's protocol: the how-to's Dag, and a quarantine on a bucket."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import control_run, provenance
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op
from tests.support.s3_server import REGION, S3Server, closed_port, s3_server

__all__ = ["s3_server"]

pytestmark = [pytest.mark.airflow, pytest.mark.s3]

EXAMPLES = Path(__file__).resolve().parents[2] / "dags" / "examples"
SUITE = {
    "name": "events",
    "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "user"}}],
}


def tasks(name: str) -> Any:
    """The tasks of an example Dag, as Airflow's Dag processor reads it."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(EXAMPLES / f"{name}.py"))
    assert bag.import_errors == {}
    return bag.dags[name].task_dict


@pytest.fixture(params=["versions", "no versions"])
def bucket(request: pytest.FixtureRequest, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket's name; the server is what the environment's credentials are for."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    return s3_server.bucket if request.param == "versions" else s3_server.plain_bucket


@pytest.fixture
def prefix(s3_server: S3Server, bucket: str) -> str:
    """Two parts in a prefix of their own, of whose six rows three fail; without a slash at its end."""
    prefix = s3_server.prefix() + "events"
    for name, users, amounts in (("p0", ["a", None, "c"], [1, 2, 3]), ("p1", ["d", None, "f"], [4, 5, -6])):
        file = io.BytesIO()
        pq.write_table(pa.table({"user": users, "amount": amounts}), file)
        s3_server.client().put_object(Bucket=bucket, Key=f"{prefix}/{name}.parquet", Body=file.getvalue())
    return prefix


def objects(server: S3Server, bucket: str, prefix: str) -> dict[str, pa.Table]:
    """Key -> table of everything under a prefix."""
    client = server.client()
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return {key: pq.read_table(io.BytesIO(client.get_object(Bucket=bucket, Key=key)["Body"].read())) for key in keys}


def test_the_how_tos_dag(s3_server: S3Server, bucket: str, prefix: str, deployment: Deployment) -> None:
    task = tasks("example_validate_bucket")["validate"]
    run = run_op(task, connections=deployment.connections, conf={"bucket": bucket, "prefix": prefix})
    assert run.state == "failed"
    assert "1 of 6" in run.logs
    ((key, kept),) = objects(s3_server, bucket, f"{prefix}-quarantine/").items()
    assert kept["__row"].to_pylist() == [1, 4, 5]
    assert [[each["index"] for each in row] for row in kept["__reasons"].to_pylist()] == [[0], [0], [1]]

    source = pin(f"s3://{bucket}/{prefix}/", access=s3_server.access()).artifact
    (item,) = deployment.about(source.digest).of("test-result")
    (output,) = item.statement.predicate[control_run.CONTROL_RUN]["outputs"]
    assert output["uri"] == f"s3://{bucket}/{key}"
    assert key.endswith(f"/quarantine-{output['digest']['sha256']}.parquet")


def validate(bucket: str, prefix: str, deployment: Deployment, **kwargs: Any) -> OpRun:
    given: dict[str, Any] = {"artifact": f"s3://{bucket}/{prefix}/", "on_fail": "continue", "suite": SUITE, **kwargs}
    return run_op(ValidateDataOperator(task_id="validate", **given), connections=deployment.connections)


def test_remainder_on_the_bucket(s3_server: S3Server, bucket: str, prefix: str, deployment: Deployment) -> None:
    where = {name: f"s3://{bucket}/{prefix}-{name}/" for name in ("quarantine", "remainder")}
    places = {f"{name}_uri": uri for name, uri in where.items()}
    first, second = (validate(bucket, prefix, deployment, **places) for _ in range(2))
    assert first.state == second.state == "success"
    # The second try wrote nothing: one object each, on a bucket with versions one version.
    versions = s3_server.client().list_object_versions(Bucket=bucket, Prefix=f"{prefix}-").get("Versions", [])
    assert len(versions) == 2
    remainder = Artifact.from_dict(first.xcoms["remainder"]["artifact"])
    assert remainder == Artifact.from_dict(second.xcoms["remainder"]["artifact"])
    ((_, table),) = objects(s3_server, bucket, f"{prefix}-remainder/").items()
    assert table["amount"].to_pylist() == [1, 3, 4, -6]
    made = [provenance.parse(item.statement) for item in deployment.about(remainder.digest).of("provenance")]
    assert len(made) == 2
    assert validate(bucket, prefix, deployment, artifact=first.xcoms["remainder"], on_fail="fail").state == "success"


def test_a_prefix_within_the_data_set_is_refused(bucket: str, prefix: str, deployment: Deployment) -> None:
    for place in (f"s3://{bucket}/{prefix}", f"s3://{bucket}/{prefix}/bad/"):
        run = validate(bucket, prefix, deployment, quarantine_uri=place)
        assert run.state == "failed"
        assert "the data set must not change" in str(run.error)


def test_a_bucket_that_is_not_there(bucket: str, prefix: str, deployment: Deployment) -> None:
    run = validate(bucket, prefix, deployment, quarantine_uri="s3://no-such-bucket-here/q", retries=1)
    assert run.state in ("failed", "up_for_retry")
    assert deployment.bundles() == []


def test_a_server_that_is_down_is_retried(
    bucket: str, prefix: str, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, s3_server: S3Server
) -> None:
    """It goes away once the data are read: no verdict is signed, because what it would name isn't there."""
    from airflow_mlsecops.operators import beside

    whole = beside.keep_beside

    def away(hook: Any, *args: Any, **kwargs: Any) -> Any:
        access = s3_server.access(endpoint=f"http://127.0.0.1:{closed_port()}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hook, "access", access)
            return whole(hook, *args, **kwargs)

    monkeypatch.setattr("airflow_mlsecops.operators.validate_data.keep_beside", away)
    run = validate(bucket, prefix, deployment, quarantine_uri=f"s3://{bucket}/{prefix}-q", retries=1)
    assert run.state == "up_for_retry"
    assert deployment.bundles() == []
