"""The evidence store with a log: what was put is found in both, or the put failed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.errors import EvidenceBrokenError, StatementError, StoreUnavailableError
from airflow_mlsecops.core.log import Entry, EvidenceLog
from airflow_mlsecops.core.log.errors import LogBrokenError, LogSignatureError
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore, open_store
from airflow_mlsecops.core.store.backend import Backend
from tests.core.log.conftest import LogPlace
from tests.support.evidence import NOW, approval_statement, artifact, bundle
from tests.support.log_faults import FailingBackend
from tests.support.logs import MemoryLogBackend, log_key, log_trust, new_log


@cache
def evidence(number: int) -> Bundle:
    subjects = [artifact(f"one {number}"), artifact(f"two {number}")]
    return bundle(Statement.build(subjects, approval_statement(subjects[0], "a", "approved", NOW).predicate_type, {}))


def logged_store(backend: Backend) -> EvidenceStore:
    return EvidenceStore(backend, new_log(backend, admit_all=False))


def entry(number: int) -> bytes:
    return Entry.of(evidence(number)).encode()


def test_what_is_put_lies_in_the_store_and_is_proved_by_the_log(log_place: LogPlace) -> None:
    store = logged_store(log_place.backend())

    assert store.put(evidence(0)) == evidence(0).digest
    assert store.put_all([evidence(1), evidence(2)]) == [evidence(1).digest, evidence(2).digest]

    reader = EvidenceStore(log_place.backend()).log_reader(log_trust())
    checkpoint = reader.checkpoint()
    assert checkpoint is not None
    for number in range(3):
        assert reader.prove(entry(number), checkpoint).index == number
        for _, subject in evidence(number).statement.subjects:
            assert [found.bundle for found in store.find(subject)] == [evidence(number)]
            assert reader.about(subject, checkpoint) == [(number, Entry.of(evidence(number)))]
    assert store.verify_log(log_trust())


def test_putting_again_is_no_second_entry_and_mends_what_is_missing(log_place: LogPlace) -> None:
    logged_store(log_place.backend()).put(evidence(0))
    log_place.delete(Entry.of(evidence(0)).keys[0])
    assert not EvidenceStore(log_place.backend()).verify_log(log_trust())

    logged_store(log_place.backend()).put_all([evidence(0), evidence(0)])

    verified = EvidenceStore(log_place.backend()).verify_log(log_trust())
    assert verified
    assert verified.checkpoint.size == 1  # type: ignore[union-attr]


def test_what_was_put_before_there_was_a_log_is_logged_when_it_is_put_again(log_place: LogPlace) -> None:
    EvidenceStore(log_place.backend()).put(evidence(0))

    logged_store(log_place.backend()).put(evidence(0))

    assert EvidenceStore(log_place.backend()).verify_log(log_trust())


def test_many_tasks_at_once(log_place: LogPlace) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: logged_store(log_place.backend()).put(evidence(number)), range(18)))

    verified = EvidenceStore(log_place.backend()).verify_log(log_trust())
    assert verified
    assert verified.checkpoint.size == 18  # type: ignore[union-attr]


def test_nothing_is_a_put_of_nothing() -> None:
    backend = MemoryLogBackend()
    assert logged_store(backend).put_all([]) == []
    assert backend.objects == {}


def test_what_cannot_be_stored_is_not_logged() -> None:
    backend = MemoryLogBackend({Entry.of(evidence(0)).keys[1]: b"other bytes"})
    with pytest.raises(EvidenceBrokenError, match="other bytes"):
        logged_store(backend).put(evidence(0))
    with pytest.raises(StatementError, match="unknown predicate"):
        logged_store(backend).put(bundle(Statement.build([artifact()], "https://example.com/p/v1", {})))
    assert not any(key.startswith("log/") for key in backend.objects)


def test_where_the_log_cannot_be_written_the_put_fails() -> None:
    """Evidence that isn't logged must not look as if it were."""
    backend = MemoryLogBackend()
    logged_store(backend).put(evidence(0))
    backend.objects["log/tile/0/000.p/1"] = b"x" * 32
    with pytest.raises(LogBrokenError):
        logged_store(backend).put(evidence(1))

    down = FailingBackend(MemoryLogBackend(), _list=lambda prefix: (_ for _ in ()).throw(OSError("down")))
    with pytest.raises(StoreUnavailableError):
        logged_store(down).put(evidence(0))


def test_the_log_is_opened_when_something_is_written_and_once(tmp_path: Path) -> None:
    opened: list[Backend] = []

    def log(backend: Backend) -> EvidenceLog:
        opened.append(backend)
        return new_log(backend)

    store = open_store(str(tmp_path), log=log)
    store.find(artifact().digest)
    store.put_blob(b"manifests are named in statements, and need no entry")
    assert opened == []
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: store.put(evidence(number)), range(4)))
    assert len(opened) == 1
    assert store.verify_log(log_trust()).checkpoint.size == 4  # type: ignore[union-attr]


def test_a_reader_needs_no_key_and_believes_only_the_logs_own(log_place: LogPlace) -> None:
    logged_store(log_place.backend()).put(evidence(0))
    reader = open_reader = EvidenceStore(log_place.backend())

    assert open_reader.log_reader(log_trust()).checkpoint() is not None
    with pytest.raises(LogSignatureError):
        reader.log_reader(log_trust("stranger")).checkpoint()
    assert [fault.code for fault in reader.verify_log(log_trust("stranger")).faults] == ["log-signature"]
    assert reader.rebuild_log_index(log_trust()).size == 1
    assert log_key().public_key in log_trust().keys
