"""Appending to the log: once, in order, by many at the same time, and never silently not."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_mlsecops.core.errors import EvidenceBrokenError, SigningError, StoreUnavailableError
from airflow_mlsecops.core.log import Entry, EvidenceLog, LogTrust, verify_log
from airflow_mlsecops.core.log import log as log_module
from airflow_mlsecops.core.log.errors import LogBusyError, LogEntryError, LogSignatureError
from airflow_mlsecops.core.log.head import MAX_BATCH_ENTRIES
from airflow_mlsecops.core.log.tiles import MAX_ENTRY_BYTES, encode_entries
from airflow_mlsecops.core.log.waiting import QUEUE, Queue
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.store.local import LocalBackend
from tests.core.log.conftest import LogPlace
from tests.support.evidence import bundle
from tests.support.log_faults import FailingBackend
from tests.support.logs import (
    ORIGIN,
    MemoryLogBackend,
    log_entries,
    log_entry,
    log_key,
    log_trust,
    new_log,
)

NOW_KEY = f"{QUEUE}{{}}-0123456789abcdef"


def logged(backend: Backend) -> list[bytes]:
    """All entries, from a log that verifies."""
    verified = verify_log(backend, log_trust(), bundles=False)
    assert verified, list(map(str, verified.faults))
    assert verified.checkpoint is not None
    return [data for _, data in new_log(backend).reader.entries(verified.checkpoint)]


# --- one writer -------------------------------------------------------------------------------------------------------


def test_entries_stand_in_order_in_a_published_checkpoint_that_covers_them(log_place: LogPlace) -> None:
    entries = log_entries(7)
    log = new_log(log_place.backend())

    first, second = log.append(entries[:3]), log.append(entries[3:])

    assert (first.indices, second.indices) == ((0, 1, 2), (3, 4, 5, 6))
    assert (first.checkpoint.size, second.checkpoint.size) == (3, 7)
    assert new_log(log_place.backend()).reader.checkpoint() == second.checkpoint
    assert logged(log_place.backend()) == entries
    assert not any(key.startswith(QUEUE) for key in log_place.all_keys())


def test_what_is_logged_already_is_not_logged_again(log_place: LogPlace) -> None:
    entries = log_entries(5)
    new_log(log_place.backend()).append(entries)

    again = new_log(log_place.backend()).append([entries[4], entries[1], entries[4], log_entry("new").encode()])

    assert again.indices == (4, 1, 4, 5)
    assert again.checkpoint.size == 6
    same = new_log(log_place.backend()).append(entries)
    assert (same.indices, same.checkpoint.raw) == ((0, 1, 2, 3, 4), again.checkpoint.raw)


def test_a_log_that_crosses_tiles_keeps_only_the_full_ones(log_place: LogPlace) -> None:
    log, entries = new_log(log_place.backend()), log_entries(300)
    for start, stop in ((0, 200), (200, 255), (255, 256), (256, 257), (257, 300)):
        log.append(entries[start:stop])

    assert logged(log_place.backend()) == entries
    tiles = [key for key in log_place.all_keys() if key.startswith("log/tile/")]
    assert "log/tile/0/000" in tiles
    assert "log/tile/entries/000" in tiles
    assert not [key for key in tiles if "/000.p/" in key and not key.startswith("log/tile/1/")]


def test_more_than_fits_into_one_commit_is_split() -> None:
    backend = MemoryLogBackend()
    entries = [b"%d" % number for number in range(MAX_BATCH_ENTRIES + 3)]

    appended = new_log(backend).append(entries)

    assert appended.indices == tuple(range(len(entries)))
    assert appended.checkpoint.size == len(entries)
    large = [bytes([number]) * MAX_ENTRY_BYTES for number in range(40)]  # by bytes, too
    assert new_log(backend).append(large).checkpoint.size == len(entries) + 40


@pytest.mark.parametrize("entries", [[], [b"x" * (MAX_ENTRY_BYTES + 1)], [b"ok", b"x" * (MAX_ENTRY_BYTES + 1)]])
def test_nothing_and_too_much_are_refused_before_anything_is_written(entries: list[bytes]) -> None:
    backend = MemoryLogBackend()
    with pytest.raises(LogEntryError):
        new_log(backend).append(entries, deposit=lambda: pytest.fail("deposited"))
    assert backend.objects == {}


def test_a_signer_that_the_log_does_not_know_writes_nothing() -> None:
    backend = MemoryLogBackend()
    log = EvidenceLog(backend, log_trust(), log_key("stranger"))

    with pytest.raises(LogSignatureError, match="isn't among the log's keys"):
        log.append(log_entries(1), deposit=lambda: pytest.fail("deposited"))
    assert backend.objects == {}


def test_a_name_that_no_log_can_have_is_found_before_anything_is_written() -> None:
    backend = MemoryLogBackend()
    log = EvidenceLog(backend, LogTrust("two words", (log_key().public_key,)), log_key())

    with pytest.raises(LogSignatureError, match="can't name a log"):
        log.append(log_entries(1), deposit=lambda: pytest.fail("deposited"))
    assert backend.objects == {}


def test_a_log_whose_key_changed_goes_on() -> None:
    backend = MemoryLogBackend()
    new_log(backend).append(log_entries(2))
    both = log_trust("log", "new")

    appended = EvidenceLog(backend, both, log_key("new"), admit=lambda _: True).append(log_entries(3))

    assert appended.checkpoint.size == 3
    assert verify_log(backend, both, bundles=False)
    assert not verify_log(backend, log_trust(), bundles=False)


def test_a_log_of_another_name_is_not_appended_to() -> None:
    backend = MemoryLogBackend()
    new_log(backend).append(log_entries(2))
    other = EvidenceLog(backend, LogTrust("other.example/log", (log_key().public_key,)), log_key())

    with pytest.raises(LogSignatureError, match=r"other\.example/log"):
        other.append(log_entries(3))
    assert ORIGIN in backend.objects["log/checkpoint"].decode()


def test_a_key_that_cannot_sign_leaves_an_announcement_for_those_who_can(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, signer = MemoryLogBackend(), log_key("broken")
    monkeypatch.setattr(signer, "_sign", lambda _: b"no signature")
    with pytest.raises(SigningError):
        EvidenceLog(backend, log_trust("broken"), signer).append(log_entries(1))

    monkeypatch.setattr(log_module, "STALE_SECONDS", 0.0)
    new_log(backend).append(log_entries(1, "other"))
    assert set(logged(backend)) == {*log_entries(1), *log_entries(1, "other")}


# --- many writers -----------------------------------------------------------------------------------------------------


def test_threads_that_share_a_log_lose_nothing(log_place: LogPlace) -> None:
    log = new_log(log_place.backend())

    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda name: log.append(log_entries(3, f"{name}-")), range(16)))

    places = [index for part in parts for index in part.indices]
    assert sorted(places) == list(range(48))
    entries = logged(log_place.backend())
    for name, part in enumerate(parts):
        assert [entries[index] for index in part.indices] == log_entries(3, f"{name}-")
        assert max(part.indices) < part.checkpoint.size


def test_writers_that_share_only_the_store_lose_nothing(log_place: LogPlace) -> None:
    """Each has a log of its own, as on another machine; some entries are everybody's."""
    shared = log_entries(2, "shared")

    def write(name: int) -> tuple[int, ...]:
        return new_log(log_place.backend()).append([*log_entries(2, f"{name}-"), *shared]).indices[-2:]

    with ThreadPoolExecutor(6) as pool:
        places = set(pool.map(write, range(6)))

    assert len(places) == 1  # all were told the same
    entries = logged(log_place.backend())
    assert sorted(entries) == sorted([*shared, *(entry for name in range(6) for entry in log_entries(2, f"{name}-"))])


def _write_many(root: str, name: int, start: Callable[[], object]) -> None:
    log = new_log(LocalBackend(Path(root)))
    start()
    for number in range(12):
        log.append([log_entry(f"{name}-{number}").encode()])


def test_processes_lose_nothing(tmp_path: Path) -> None:
    log_key()  # made once, before the fork
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(6)
    writers = [context.Process(target=_write_many, args=(str(tmp_path), name, barrier.wait)) for name in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0] * 6
    entries = logged(LocalBackend(tmp_path))
    wanted = [log_entry(f"{name}-{number}").encode() for name in range(6) for number in range(12)]
    assert sorted(entries) == sorted(wanted)
    for name in range(6):  # each writer's own stand in its order
        mine = [entries.index(entry) for entry in wanted[name * 12 : name * 12 + 12]]
        assert mine == sorted(mine)


def test_many_who_wait_are_served_by_few_commits() -> None:
    """A hundred tasks at once must not each wait for a commit of their own."""
    memory = MemoryLogBackend()
    swaps: list[str] = []

    def swap(key: str, tag: str, data: bytes) -> bool:
        swaps.append(key)
        time.sleep(0.01)  # as far as a bucket is
        return memory._swap(key, tag, data)

    log = new_log(FailingBackend(memory, _swap=swap))
    log.append(log_entries(1))
    barrier = threading.Barrier(100)

    def write(name: int) -> int:
        barrier.wait()
        return log.append(log_entries(1, f"{name}-")).indices[0]

    with ThreadPoolExecutor(100) as pool:
        places = list(pool.map(write, range(100)))

    assert sorted(places) == list(range(1, 101))
    assert swaps.count("log/head") < 40


# --- deposits ---------------------------------------------------------------------------------------------------------


def test_what_is_deposited_is_announced_before_and_committed_after() -> None:
    backend = MemoryLogBackend()
    seen: list[tuple[int, bool]] = []

    def deposit() -> None:
        seen.append((len(Queue(backend).waiting()), "log/head" in backend.objects))

    new_log(backend).append(log_entries(2), deposit)

    assert seen == [(1, False)]


def test_a_deposit_that_is_refused_takes_its_announcement_with_it() -> None:
    backend = MemoryLogBackend()

    def refuse() -> None:
        raise EvidenceBrokenError("other bytes lie there")

    with pytest.raises(EvidenceBrokenError):
        new_log(backend).append(log_entries(2), refuse)
    assert backend.objects == {}


@pytest.mark.parametrize("error", [StoreUnavailableError("it is down"), KeyboardInterrupt(), MemoryError()])
def test_a_deposit_whose_end_nobody_knows_leaves_its_announcement(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes next sees whether it lies there."""
    monkeypatch.setattr(log_module, "STALE_SECONDS", 0.0)
    backend = MemoryLogBackend()
    evidence = bundle()
    entry = Entry.of(evidence)

    def half() -> None:
        backend.create(entry.keys[0], evidence.raw)
        raise error

    with pytest.raises(type(error)):
        new_log(backend, admit_all=False).append([entry.encode()], half)
    assert len(Queue(backend).waiting()) == 1

    new_log(backend, admit_all=False).append(log_entries(1))
    assert entry.encode() in logged(backend)
    assert Queue(backend).waiting() == []


# --- the queue, which others can write to -----------------------------------------------------------------------------

RUBBISH = {
    "empty": b"",
    "cut short": encode_entries([b"abc"])[:-1],
    "no entries": b"\xff" * 100,
    "too many": encode_entries([b"x"] * (MAX_BATCH_ENTRIES + 1)),
    "too large": b"x" * (4 << 20),
}


@pytest.mark.parametrize("case", RUBBISH)
@pytest.mark.parametrize("name", [f"{QUEUE}0000000000001-aa", f"{QUEUE}readme.txt", f"{QUEUE}deep/er"])
def test_rubbish_in_the_queue_is_cleared_away_and_stops_nobody(case: str, name: str) -> None:
    backend = MemoryLogBackend({name: RUBBISH[case]})

    assert new_log(backend, admit_all=False).append(log_entries(2)).indices == (0, 1)

    assert Queue(backend).waiting() == []
    assert logged(backend) == log_entries(2)


def _announce(backend: MemoryLogBackend, *entries: bytes, age: float = 0) -> str:
    key = NOW_KEY.format(f"{int((time.time() - age) * 1000):013d}")
    backend.objects[key] = encode_entries(entries)
    return key


def test_what_somebody_queued_without_putting_it_into_the_store_is_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "STALE_SECONDS", 0.0)
    backend = MemoryLogBackend()
    key = _announce(backend, Entry.of(bundle()).encode(), b"no entry at all")

    new_log(backend, admit_all=False).append(log_entries(1))

    assert logged(backend) == log_entries(1)
    assert Queue(backend).waiting() == [key]  # its writer may still be at it


def test_an_announcement_expires_after_a_day_but_what_lies_there_is_logged() -> None:
    backend = MemoryLogBackend()
    evidence = bundle()
    entry = Entry.of(evidence)
    backend.objects[entry.keys[0]] = evidence.raw
    _announce(backend, entry.encode(), log_entry("never put").encode(), age=25 * 3600)

    new_log(backend, admit_all=False).append(log_entries(1))

    assert logged(backend) == [entry.encode(), *log_entries(1)]
    assert Queue(backend).waiting() == []


LIES = {
    "another kind": lambda entry: Entry(entry.bundle, "approval", entry.subjects),
    "another subject": lambda entry: Entry(entry.bundle, entry.predicate, ("0" * 64,)),
    "one subject more": lambda entry: Entry(entry.bundle, entry.predicate, tuple(sorted((*entry.subjects, "f" * 64)))),
    "another bundle": lambda entry: Entry("0" * 64, entry.predicate, entry.subjects),
}


@pytest.mark.parametrize("case", LIES)
def test_an_announcement_that_lies_about_its_bundle_is_not_logged(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "STALE_SECONDS", 0.0)
    evidence = bundle()
    lie = LIES[case](Entry.of(evidence))
    backend = MemoryLogBackend(dict.fromkeys(lie.keys, evidence.raw))
    _announce(backend, lie.encode())

    new_log(backend, admit_all=False).append(log_entries(1))

    assert logged(backend) == log_entries(1)


def test_one_who_died_before_the_commit_is_waited_for_a_few_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "STALE_SECONDS", 0.2)
    backend = MemoryLogBackend()
    _announce(backend, *log_entries(1, "dead"))

    assert new_log(backend).append(log_entries(1)).indices == (1,)  # the older one's stands first
    assert logged(backend) == [*log_entries(1, "dead"), *log_entries(1)]


def test_who_comes_after_more_than_fits_into_one_commit_is_served_by_a_later_one() -> None:
    backend = MemoryLogBackend()
    for part in range(3):
        entries = [b"%d-%d" % (part, number) for number in range(3000)]
        backend.objects[f"{QUEUE}000000000000{part}-aa"] = encode_entries(entries)

    appended = new_log(backend).append(log_entries(1))

    assert appended.indices == (9000,)
    assert appended.checkpoint.size == 9001
    assert Queue(backend).waiting() == []


def test_one_whose_announcement_was_taken_off_announces_again() -> None:
    backend = MemoryLogBackend()

    def rob() -> None:
        for key in Queue(backend).waiting():
            del backend.objects[key]

    assert new_log(backend).append(log_entries(2), rob).indices == (0, 1)
    assert logged(backend) == log_entries(2)


# --- a store that fails -----------------------------------------------------------------------------------------------


def test_others_who_are_always_faster_are_an_error_that_a_retry_may_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "_PATIENCE_SECONDS", 0.05)
    memory = MemoryLogBackend()
    new_log(memory).append(log_entries(1))
    backend = FailingBackend(memory, _swap=lambda key, tag, data: False)

    with pytest.raises(LogBusyError) as caught:
        new_log(backend).append(log_entries(1, "late"))

    assert caught.value.transient
    monkeypatch.setattr(log_module, "STALE_SECONDS", 0.0)
    new_log(memory).append(log_entries(1, "next"))
    assert log_entries(1, "late")[0] in logged(memory)  # queued, as the error says


@pytest.mark.parametrize("method", ["_create", "_list", "_peek", "_swap"])
def test_a_store_that_stays_away_is_an_error_and_one_that_comes_back_is_none(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "STALE_SECONDS", 0.0)
    memory = MemoryLogBackend()
    new_log(memory).append(log_entries(1))
    left = [0]

    def flaky(*arguments: object) -> object:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError("connection reset")
        return getattr(memory, method)(*arguments)

    backend = FailingBackend(memory, **{method: flaky})
    left[0] = 1 << 20
    with pytest.raises(StoreUnavailableError, match="connection reset"):
        new_log(backend).append(log_entries(1, "late"))
    left[0] = 0 if method == "_create" else 2  # the first create is the announcement, which has no second try
    appended = new_log(backend).append(log_entries(1, "back"))
    assert log_entries(1, "back")[0] == logged(memory)[appended.indices[0]]


def test_a_commit_whose_answer_was_lost_is_not_made_twice() -> None:
    """The swap was done, and the connection broke: nobody knows. Trying again finds the entries in the log."""
    memory = MemoryLogBackend()
    new_log(memory).append(log_entries(1))
    lost = [True]

    def swap(key: str, tag: str, data: bytes) -> bool:
        done = memory._swap(key, tag, data)
        if key == "log/head" and lost.pop():
            lost.append(False)
            raise OSError("the answer was lost")
        lost.append(False)
        return done

    appended = new_log(FailingBackend(memory, _swap=swap)).append(log_entries(2, "late"))

    assert appended.indices == (1, 2)
    assert logged(memory) == [*log_entries(1), *log_entries(2, "late")]


def test_a_queue_that_cannot_be_tidied_fails_nobody(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "STALE_SECONDS", 0.0)
    memory = MemoryLogBackend()

    def deny(key: str) -> None:
        raise OSError("denied")

    assert new_log(FailingBackend(memory, _remove=deny)).append(log_entries(1)).indices == (0,)
    assert "stays in the evidence log's queue" in caplog.text
    assert new_log(memory).append(log_entries(1)).indices == (0,)
    assert Queue(memory).waiting() == []
