"""The store of the deployment, really running: the command, the identities and the buckets of docker-compose.yml."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy import make_secrets
from deploy.bin import create_buckets, probe
from tests.deployment import compose_file
from tests.deployment.compose_file import ROOT
from tests.deployment.native import free_ports, store_command

pytestmark = pytest.mark.s3


@dataclass
class Store:
    """A running store and how to reach it."""

    port: int
    process: subprocess.Popen[bytes]
    settings: dict[str, str]
    environment: dict[str, str]

    def client(self, access_key: str, secret_key: str) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(retries={"max_attempts": 1}),
        )

    def role(self, name: str) -> Any:
        return self.client(self.settings[f"EVIDENCE_{name}_ACCESS_KEY"], self.settings[f"EVIDENCE_{name}_SECRET_KEY"])

    def admin(self) -> Any:
        return self.client(*create_buckets.admin_credentials(Path(self.environment["S3_IDENTITIES"]).read_text()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    (folder / "data").mkdir()
    make_secrets.make(folder, 50000)
    identities = folder / "secrets" / "s3_identities"
    (port,) = free_ports(1)
    weed = Path(sys.executable).with_name("weed")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([weed, *store_command(port, folder / "data", identities)], stdout=log, stderr=log)
    environment = {
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "S3_REGION": "us-east-1",
        "S3_IDENTITIES": str(identities),
        "EVIDENCE_BUCKET": "evidence",
        "ARTIFACT_BUCKET": "artifacts",
        "EVIDENCE_RETENTION_DAYS": "30",
        "EVIDENCE_RETENTION_MODE": "COMPLIANCE",
    }
    try:
        deadline = time.monotonic() + 120
        while problem := probe.complaint(f"http://127.0.0.1:{port}/healthz", []):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the store did not start: {problem}\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.2)
        create_buckets.main(environment)
        settings = make_secrets.read_settings((folder / ".env").read_text())
        yield Store(port, process, settings, environment)
    finally:
        # A gentle stop takes it a quarter of a minute, and nobody reads these data again.
        process.kill()
        process.wait()


def refused(action: Any, **arguments: Any) -> str:
    """Call a client's method and return the error code that the store answers with; fail when it doesn't refuse."""
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        action(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_nothing_listens_beyond_the_loopback_interface(store: Store) -> None:
    listening = [c.laddr for c in psutil.Process(store.process.pid).net_connections("inet") if c.status == "LISTEN"]
    assert store.port in {address.port for address in listening}
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_the_job_can_run_again(store: Store) -> None:
    said = create_buckets.main(store.environment)
    assert (
        said
        == "buckets: evidence (versions, Object Lock, COMPLIANCE for 30 days) and artifacts (versions, Object Lock)"
    )


def test_a_bucket_without_object_lock_is_refused(store: Store) -> None:
    store.admin().create_bucket(Bucket="plain")
    with pytest.raises(create_buckets.BucketError, match="plain exists without Object Lock"):
        create_buckets.main(store.environment | {"EVIDENCE_BUCKET": "plain"})


def test_evidence_is_written_once_and_stays(store: Store) -> None:
    writer, admin = store.role("WRITER"), store.admin()
    version = writer.put_object(Bucket="evidence", Key="a", Body=b"first", IfNoneMatch="*")["VersionId"]
    assert (
        refused(writer.put_object, Bucket="evidence", Key="a", Body=b"second", IfNoneMatch="*") == "PreconditionFailed"
    )
    for client in (writer, admin):
        for bypass in (False, True):
            arguments = {"Bucket": "evidence", "Key": "a", "VersionId": version, "BypassGovernanceRetention": bypass}
            assert refused(client.delete_object, **arguments) == "AccessDenied"
    writer.delete_object(Bucket="evidence", Key="a")
    assert writer.get_object(Bucket="evidence", Key="a", VersionId=version)["Body"].read() == b"first"


def test_the_writer_rules_no_bucket(store: Store) -> None:
    writer = store.role("WRITER")
    for bucket in ("evidence", "artifacts"):
        suspended = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Suspended"}}
        assert refused(writer.put_bucket_versioning, **suspended) in {"InvalidBucketState", "AccessDenied"}
        assert refused(writer.delete_bucket, Bucket=bucket) == "AccessDenied"
        assert refused(writer.put_bucket_policy, Bucket=bucket, Policy="{}") == "AccessDenied"
        assert store.admin().get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    arguments = {"Bucket": "evidence", "ObjectLockConfiguration": rule}
    assert refused(writer.put_object_lock_configuration, **arguments) == "AccessDenied"
    assert refused(writer.create_bucket, Bucket="mine") == "AccessDenied"
    assert refused(writer.put_object, Bucket="other", Key="a", Body=b"x") in {"AccessDenied", "NoSuchBucket"}


def test_the_reader_reads_and_no_more(store: Store) -> None:
    store.role("WRITER").put_object(Bucket="evidence", Key="r", Body=b"read me")
    reader = store.role("READER")
    assert reader.get_object(Bucket="evidence", Key="r")["Body"].read() == b"read me"
    assert "r" in {entry["Key"] for entry in reader.list_objects_v2(Bucket="evidence")["Contents"]}
    assert refused(reader.put_object, Bucket="evidence", Key="r", Body=b"x") == "AccessDenied"
    assert refused(reader.delete_object, Bucket="evidence", Key="r") == "AccessDenied"


def test_a_stranger_gets_nothing(store: Store) -> None:
    assert "answered 403" in probe.complaint(f"http://127.0.0.1:{store.port}/evidence/r", [])
    stranger = store.client("nobody", "nothing")
    assert refused(stranger.list_objects_v2, Bucket="evidence") == "InvalidAccessKeyId"
    impostor = store.client(store.settings["EVIDENCE_READER_ACCESS_KEY"], "guessed")
    assert refused(impostor.list_objects_v2, Bucket="evidence") == "SignatureDoesNotMatch"


def test_the_gateway_passes_on_that_port_alone() -> None:
    text = (ROOT / "deploy" / "haproxy.cfg").read_text()
    services = compose_file.load()["services"]
    (port,) = [word.removeprefix("-s3.port=") for word in services["s3"]["command"] if word.startswith("-s3.port=")]
    assert re.findall(r"^\s*bind (\S+)$", text, re.MULTILINE) == [":8333"]
    assert re.findall(r"^\s*server \S+ (\S+)", text, re.MULTILINE) == [f"127.0.0.1:{port}"]
    assert services["s3-gateway"]["network_mode"] == "service:s3"
    assert services["buckets"]["environment"]["S3_ENDPOINT_URL"] == "http://s3:8333"
