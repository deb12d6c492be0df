"""The evidence store on a real S3 server: down, closed, without its bucket, and with several writers."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError, MlsecopsError, StoreUnavailableError
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.pinning import Access
from airflow_mlsecops.core.store import EvidenceStore, open_store
from tests.support.evidence import NOW, artifact, bundle, trust
from tests.support.s3_server import S3Server, closed_port, run_s3_server

pytestmark = pytest.mark.s3

MODEL = artifact()
SIGNED = bundle()


def _attempts(store: EvidenceStore) -> list[Callable[[], Any]]:
    return [
        lambda: store.put(SIGNED),
        lambda: store.put_blob(b"blob"),
        lambda: store.get_blob(sha256_bytes(b"blob")),
        lambda: store.find(MODEL.digest),
        lambda: store.subjects(),
        lambda: store.get(SIGNED.digest),
        lambda: collect(store, MODEL.digest, trust(), NOW),
    ]


def test_a_server_that_nobody_answers_for_is_worth_another_try(s3_server: S3Server) -> None:
    access = s3_server.access(endpoint=f"http://127.0.0.1:{closed_port()}")

    for attempt in _attempts(open_store("s3://versioned/x", access)):
        with pytest.raises(StoreUnavailableError) as caught:
            attempt()
        assert caught.value.transient


def test_a_server_that_goes_down_is_noticed_and_never_read_as_empty(tmp_path: Path) -> None:
    with run_s3_server(tmp_path) as server:
        store = open_store("s3://versioned/evidence", server.access())
        store.put(SIGNED)
        assert len(collect(store, MODEL.digest, trust(), NOW).verified) == 1

    for attempt in _attempts(store):
        with pytest.raises(StoreUnavailableError):
            attempt()


def test_a_wrong_secret_is_a_configuration_error_that_does_not_tell_it(s3_server: S3Server) -> None:
    for attempt in _attempts(open_store("s3://versioned/x", s3_server.access(secret_key="wrong-secret-value"))):
        with pytest.raises(ConfigurationError, match="denied") as caught:
            attempt()
        assert not caught.value.transient
        assert "wrong-secret-value" not in "".join(traceback.format_exception(caught.value))


def test_a_bucket_that_does_not_exist_is_not_an_empty_store(s3_server: S3Server) -> None:
    for attempt in _attempts(open_store("s3://no-such-bucket/x", s3_server.access())):
        with pytest.raises(ConfigurationError, match="no such bucket"):
            attempt()


def test_two_roots_in_one_bucket_do_not_see_each_other(s3_server: S3Server) -> None:
    root = f"s3://plain/{s3_server.prefix()}"
    one, two = open_store(root + "a", s3_server.access()), open_store(root + "ab", s3_server.access())

    one.put(SIGNED)

    assert two.find(MODEL.digest) == []
    assert open_store(root + "a/", s3_server.access()).subjects() == [MODEL.digest]


class _ConflictingClient:
    """A real client in whose way another writer comes: the first answers are those that S3 then gives."""

    def __init__(self, client: Any, code: str, times: int) -> None:
        self._client, self._code, self.left = client, code, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **arguments: Any) -> Any:
        from botocore.exceptions import ClientError

        if self.left:
            self.left -= 1
            raise ClientError({"Error": {"Code": self._code, "Message": "try again"}}, "PutObject")
        return self._client.put_object(**arguments)


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "SlowDown", "InternalError", "ServiceUnavailable"])
def test_a_conflict_whose_outcome_is_unknown_is_worth_another_try(s3_server: S3Server, code: str) -> None:
    client = _ConflictingClient(s3_server.client(), code, times=1)
    store = open_store(f"s3://versioned/{s3_server.prefix()}", Access(s3=lambda: client))

    with pytest.raises(StoreUnavailableError):
        store.put(SIGNED)

    assert store.put(SIGNED) == SIGNED.digest
    assert [found.bundle for found in store.find(MODEL.digest)] == [SIGNED]


def test_an_unexpected_error_is_not_swallowed(s3_server: S3Server) -> None:
    def broken() -> Any:
        class Client:
            def get_paginator(self, _: str) -> Any:
                raise ZeroDivisionError("a bug")

        return Client()

    with pytest.raises(ZeroDivisionError):
        open_store("s3://versioned/x", Access(s3=broken)).find(MODEL.digest)


_RACER = """
import sys
from tests.support.s3_server import S3Server
from airflow_mlsecops.core.store import open_store
endpoint, access_key, secret_key, root, name = sys.argv[1:]
server = S3Server(endpoint, access_key, secret_key, "versioned", "plain", 0)
backend = open_store(root, server.access())._backend
backend.list("blobs/")
print("ready", flush=True)
sys.stdin.readline()
print(sum(backend.create(f"blobs/{number}", name.encode() * 500) for number in range(40)), flush=True)
"""


@pytest.mark.parametrize("bucket", ["versioned", "plain"])
def test_of_two_processes_exactly_one_writes_each_object(s3_server: S3Server, bucket: str) -> None:
    root = f"s3://{bucket}/{s3_server.prefix()}"
    arguments = [s3_server.endpoint, s3_server.access_key, s3_server.secret_key, root]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, *arguments, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name in "ab"
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        wrote = [int(racer.communicate()[0]) for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()

    assert sum(wrote) == 40
    backend = open_store(root, s3_server.access())._backend
    assert len(backend.list("blobs/")) == 40
    contents = [backend.read(f"blobs/{number}", 10_000) for number in range(40)]
    assert sorted({content[:1] for content in contents}) in ([b"a"], [b"b"], [b"a", b"b"])
    assert contents.count(b"a" * 500) == wrote[0]


def test_errors_are_ours(s3_server: S3Server) -> None:
    with pytest.raises(MlsecopsError):
        open_store("s3://versioned/x", Access(s3=lambda: s3_server.client(secret_key="x"))).subjects()
