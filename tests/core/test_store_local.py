"""The evidence store on a folder: a missing mount, closed folders, killed writers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError, StoreUnavailableError
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.store import EvidenceStore, open_store
from tests.support.evidence import NOW, artifact, bundle, trust
from tests.support.privileges import open_folder, unprivileged

MODEL = artifact()
SIGNED = bundle()


def _assert_down(store: EvidenceStore) -> None:
    for read in (
        lambda: store.find(MODEL.digest),
        lambda: collect(store, MODEL.digest, trust(), NOW),
        lambda: store.subjects(),
        lambda: store.get(SIGNED.digest),
        lambda: store.get_blob(sha256_bytes(b"")),
    ):
        with pytest.raises(StoreUnavailableError) as caught:
            read()
        assert caught.value.transient


def test_a_root_that_is_not_there_is_not_an_empty_store(tmp_path: Path) -> None:
    _assert_down(open_store(str(tmp_path / "not-mounted")))


def test_a_root_that_is_a_file_is_not_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = open_store(str(tmp_path / "file"))

    _assert_down(store)
    with pytest.raises(StoreUnavailableError):
        store.put(SIGNED)


@pytest.mark.parametrize("closed", ["", "bundles", f"bundles/{MODEL.digest}", f"bundles/{MODEL.digest}/signature"])
def test_a_folder_that_may_not_be_read_is_not_an_empty_one(closed: str) -> None:
    with open_folder() as root:
        store = open_store(str(root))
        store.put(SIGNED)
        assert len(collect(store, MODEL.digest, trust(), NOW).verified) == 1
        (root / closed).chmod(0)

        with unprivileged(), pytest.raises(StoreUnavailableError):
            collect(store, MODEL.digest, trust(), NOW)


def test_a_bundle_that_may_not_be_read_is_not_left_out() -> None:
    with open_folder() as root:
        store = open_store(str(root))
        store.put(SIGNED)
        next(root.rglob("*.sigstore.json")).chmod(0)

        with unprivileged(), pytest.raises(StoreUnavailableError):
            collect(store, MODEL.digest, trust(), NOW)


def test_a_root_that_may_not_be_written_to_is_unavailable() -> None:
    with open_folder() as root:
        store = open_store(str(root))
        root.chmod(0o555)

        with unprivileged(), pytest.raises(StoreUnavailableError):
            store.put(SIGNED)
        assert list(root.iterdir()) == []


def test_what_was_written_is_read_only_and_whole(tmp_path: Path) -> None:
    open_store(str(tmp_path)).put(SIGNED)

    (path,) = tmp_path.rglob("*.json")
    assert path.stat().st_mode & 0o222 == 0
    assert path.read_bytes() == SIGNED.raw
    assert path.stat().st_nlink == 1


@pytest.mark.parametrize("spelling", ["{0}", "{0}/", "file://{0}"])
def test_every_spelling_of_a_root(tmp_path: Path, spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(spelling.format(tmp_path)).put(SIGNED)
    monkeypatch.chdir(tmp_path.parent)

    assert [found.bundle for found in open_store(tmp_path.name).find(MODEL.digest)] == [SIGNED]


@pytest.mark.parametrize("root", ["", " ", "ftp://host/x", "s3://", "s3:///x", "https://bucket"])
def test_a_root_that_names_no_place_is_a_configuration_error(root: str) -> None:
    with pytest.raises(ConfigurationError):
        open_store(root)


def test_opening_a_store_touches_nothing(tmp_path: Path) -> None:
    open_store(str(tmp_path / "later"))

    assert not (tmp_path / "later").exists()


_WRITER = """
import os, sys, threading
from airflow_mlsecops.core.store import local
root, data, step = sys.argv[1], sys.stdin.buffer.read(), sys.argv[2]

def stop(*args, **kwargs):
    print("here", flush=True)
    threading.Event().wait()

class HalfStream:
    '''Writes the first half, then stops: as a process that is killed in the middle of a write.'''
    def __init__(self, stream):
        self.stream = stream
    def __enter__(self):
        return self
    def __exit__(self, *args):
        self.stream.close()
    def write(self, data):
        self.stream.write(data[: len(data) // 2])
        self.stream.flush()
        stop()

fdopen = os.fdopen
if step == "write":
    local.os.fdopen = lambda *args, **kwargs: HalfStream(fdopen(*args, **kwargs))
elif step == "before-link":
    local.os.link = stop
elif step == "after-link":
    local.sync_folder = stop
local.LocalBackend(local.Path(root)).create(sys.argv[3], data)
"""


@pytest.mark.parametrize("step", ["write", "before-link", "after-link"])
def test_a_writer_that_is_killed_half_way_leaves_nothing_broken(tmp_path: Path, step: str) -> None:
    key = f"bundles/{MODEL.digest}/signature/{SIGNED.digest}.sigstore.json"
    command = [sys.executable, "-c", _WRITER, str(tmp_path), step, key]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write(SIGNED.raw)
        writer.stdin.close()
        assert writer.stdout.readline() == b"here\n"
        writer.kill()
    leftover = [path for path in tmp_path.rglob("*") if path.is_file() and path.name.startswith(".")]
    assert leftover  # the writer really was in the middle of it
    store = open_store(str(tmp_path))

    before = collect(store, MODEL.digest, trust(), NOW)
    store.put(SIGNED)
    after = collect(store, MODEL.digest, trust(), NOW)

    assert before.broken == after.broken == ()
    assert len(before.verified) == (1 if step == "after-link" else 0)
    assert [item.digest for item in after.verified] == [SIGNED.digest]


_RACER = """
import sys
from airflow_mlsecops.core.store.local import LocalBackend
from pathlib import Path
backend, name = LocalBackend(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
print(sum(backend.create(f"blobs/{number}", (name * 5000).encode()) for number in range(200)), flush=True)
"""


def test_of_two_processes_exactly_one_writes_each_object(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, str(tmp_path), name],
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

    assert sum(wrote) == 200
    contents = [path.read_bytes() for path in (tmp_path / "blobs").iterdir()]
    assert len(contents) == 200
    assert all(content in (b"a" * 5000, b"b" * 5000) for content in contents)


def test_reading_while_somebody_writes_never_sees_half_an_object(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put(SIGNED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    script = (
        "import sys\n"
        "from airflow_mlsecops.core.store import open_store\n"
        "from tests.support.evidence import artifact, bundle, control_statement, NOW\n"
        "from airflow_mlsecops.core.report import Verdict\n"
        "store = open_store(sys.argv[1])\n"
        "for number in range(60):\n"
        "    store.put(bundle(control_statement(artifact(), f'control-{number}', Verdict.PASS, NOW)))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=environment) as writer:
        while writer.poll() is None:
            assert all(found.bundle is not None for found in store.find(MODEL.digest))
            time.sleep(0.001)
    assert writer.returncode == 0
    assert len(store.find(MODEL.digest)) == 61
