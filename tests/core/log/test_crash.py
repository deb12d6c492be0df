"""Kill the writer at every step of a commit, 660 times: nothing is lost, and the next writer completes it.

A step is one change of the store: an object created, the head or the checkpoint swapped, an object removed. On a
folder a step has steps of its own (write, flush, link, rename, flush the folder), at which a real process is killed by
SIGKILL (278 of the kills). After each kill another writer appends; then:

- what was acknowledged before is there, at its place, unchanged;
- what the dead writer had put into the store is in the log, once, or it hadn't come so far that anything lies there;
- the whole log verifies, from the checkpoint that was kept before the crash, and holds exactly what the store holds.
"""

from __future__ import annotations

import os
import shutil
import signal
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.log import Checkpoint, Entry, verify_log
from airflow_mlsecops.core.log import log as log_module
from airflow_mlsecops.core.log.tiles import decode_entries
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore, local
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.store.local import LocalBackend
from tests.support.evidence import NOW, approval_statement, artifact, bundle
from tests.support.log_faults import Killed, SteppedBackend, kill_this_process
from tests.support.logs import MemoryLogBackend, log_trust, new_log, write_files


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a dead writer for dead at once; else every recovery would wait for seconds where nobody can tell."""
    monkeypatch.setattr(log_module, "STALE_SECONDS", 0.0)


BATCH = 3
BEFORE = {"empty": 0, "small": 5, "tile-fills": 254, "tile-full": 256, "second-tile": 510}
"""How many entries the log has before the crash: with 254 and 510 the batch fills a tile, with 256 it opens one."""


@cache
def evidence(number: int) -> Bundle:
    """One of many bundles about two artifacts each, so that a put has a middle."""
    subjects = [artifact(f"one {number}"), artifact(f"two {number}")]
    return bundle(Statement.build(subjects, approval_statement(subjects[0], "a", "approved", NOW).predicate_type, {}))


def writer(backend: Backend) -> EvidenceStore:
    return EvidenceStore(backend, new_log(backend, admit_all=False))


@cache
def objects_before(count: int) -> dict[str, bytes]:
    """A store of so many bundles, all logged."""
    backend = MemoryLogBackend()
    writer(backend).put_all([evidence(number) for number in range(count)])
    return backend.objects


LOST = [evidence(number) for number in range(1000, 1000 + BATCH)]
NEXT = evidence(2000)


def entries_of(backend: Backend, checkpoint: Checkpoint) -> list[bytes]:
    return [data for _, data in EvidenceStore(backend).log_reader(log_trust()).entries(checkpoint)]


def recover(backend: Backend, count: int, *, bundles: bool = True) -> None:
    """What happens after a crash: somebody looks, the next one writes, somebody looks again."""
    reader = EvidenceStore(backend).log_reader(log_trust())
    kept = reader.checkpoint()
    crashed = verify_log(backend, log_trust(), kept, bundles=bundles)
    assert not crashed.faults, list(map(str, crashed.faults))
    assert not crashed.missing
    assert not crashed.unlogged  # what lies there is logged, or waits to be

    writer(backend).put(NEXT)

    after = verify_log(backend, log_trust(), kept, bundles=bundles)
    assert after, (list(map(str, after.faults)), after.missing, after.unlogged)
    assert after.unpublished == 0
    assert after.checkpoint is not None
    waiting = [backend.read(key, 1 << 20) for key in backend.list("log/pending/")]
    for announced in waiting:  # only what its writer didn't put into the store to the end
        entries = map(Entry.parse, decode_entries(announced))
        assert not all(backend.peek(entry.keys[0], 1 << 20) for entry in entries)
    logged = entries_of(backend, after.checkpoint)
    assert logged[:count] == [Entry.of(evidence(number)).encode() for number in range(count)]
    assert len(set(logged)) == len(logged)
    assert Entry.of(NEXT).encode() in logged
    for lost in LOST:
        entry = Entry.of(lost)
        lies = [backend.peek(key, 1 << 20) is not None for key in entry.keys]
        if after.queued == 0:
            assert lies == [entry.encode() in logged] * len(lies)


def try_again(backend: Backend, count: int, *, bundles: bool = True) -> None:
    """The dead writer's task is retried: everything is there, and once."""
    writer(backend).put_all(LOST)
    done = verify_log(backend, log_trust(), bundles=bundles)
    assert done, (list(map(str, done.faults)), done.missing, done.unlogged)
    assert done.checkpoint is not None
    assert done.checkpoint.size == count + BATCH + 1


# --- in this process: every change of the store, before and after it -------------------------------------------------


def kill_at(step: int, count: int, *, after: bool) -> tuple[bool, MemoryLogBackend]:
    """Put :data:`LOST` with a writer that dies at a step; say whether it came so far."""
    backend = MemoryLogBackend(objects_before(count))
    stepped = SteppedBackend(backend, step, lambda: None, after=after)
    try:
        writer(stepped).put_all(LOST)
    except Killed:
        return True, backend
    return False, backend


@pytest.mark.parametrize("count", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_writer_that_is_killed_at_a_change_of_the_store_loses_nothing(count: int, after: bool) -> None:
    step = 0
    while True:
        step += 1
        killed, backend = kill_at(step, count, after=after)
        if not killed:
            break
        recover(backend, count)
        try_again(backend, count)
    # announce, deposit, head, tiles, entries, index, checkpoint, take off
    assert step > 1 + 2 * BATCH + 1 + 2 + BATCH + 1 + 1


@pytest.mark.parametrize("count", [0, 254])
def test_one_who_completes_the_work_of_a_dead_writer_can_die_of_it_too(count: int) -> None:
    """Kill the first at each step from the commit on, and the next at each step of what it does about that."""
    first_step = 0
    kills = 0
    while True:
        first_step += 1
        killed, crashed = kill_at(first_step, count, after=True)
        if not killed:
            break
        if not any(key == "log/head" or key == "log/checkpoint" for key in crashed.objects):
            continue
        for second_step in range(1, 200, 1 if count == 0 else 4):
            backend = crashed.copy()
            stepped = SteppedBackend(backend, second_step, lambda: None, after=True)
            try:
                writer(stepped).put(evidence(3000))
            except Killed:
                kills += 1
                recover(backend, count)
            else:
                break
    assert kills > 70


# --- a process of its own: SIGKILL ------------------------------------------------------------------------------------


def in_a_child(work: Callable[[], object]) -> int:
    """Run ``work`` in a fork; return the wait status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def was_killed(status: int) -> bool:
    assert (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL) or status == 0, status
    return status != 0


CALLS: Sequence[tuple[object, str]] = (
    (os, "link"),
    (os, "replace"),
    (os, "fsync"),
    (local, "_write"),
    (local, "sync_folder"),
    (Path, "unlink"),
)
"""What a folder's changes are made of. ``fsync`` comes between the bytes of a file and its name."""


def die_at_system_call(step: int, *, after: bool) -> None:
    """In a child: count these calls in all threads, and be killed at one of them."""
    count = iter(range(1, 1 << 30))

    def stepped(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **named: object) -> object:
            mine = next(count) == step
            if mine and not after:
                kill_this_process()
            try:
                return call(*arguments, **named)
            finally:
                if mine:
                    kill_this_process()

        return wrapped

    for owner, name in CALLS:
        setattr(owner, name, stepped(getattr(owner, name)))


@pytest.mark.parametrize(("count", "after"), [(0, False), (0, True), (254, False)])
def test_a_process_that_is_killed_at_a_system_call_loses_nothing(tmp_path: Path, count: int, after: bool) -> None:
    (tmp_path / "before").mkdir()
    few = count < 10  # else the many bundles from before are left out: only reading them takes long
    before = {key: data for key, data in objects_before(count).items() if few or not key.startswith("bundles/")}
    write_files(tmp_path / "before", before)
    step = 0
    while True:
        step += 1
        root = tmp_path / str(step)
        shutil.copytree(tmp_path / "before", root, copy_function=os.link)  # no file is ever changed, only replaced
        backend = LocalBackend(root)

        def work(step: int = step, backend: Backend = backend) -> None:
            die_at_system_call(step, after=after)
            writer(backend).put_all(LOST)

        if not was_killed(in_a_child(work)):
            break
        recover(backend, count, bundles=few)
        try_again(backend, count, bundles=few)
    assert step > 50
