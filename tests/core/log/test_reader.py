"""Reading the log: proofs that are verified before they are handed out, and what it says about one artifact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.log import LogProof, LogReader, LogTrust, rebuild_index, verify_log
from airflow_mlsecops.core.log.errors import (
    LogBrokenError,
    LogEntryError,
    LogError,
    LogSignatureError,
    NotLoggedError,
    ProofError,
)
from airflow_mlsecops.core.log.merkle import leaf_hash
from airflow_mlsecops.core.log.tiles import encode_entries
from airflow_mlsecops.core.log.tree import index_key
from tests.core.log.conftest import LogPlace
from tests.support.logs import ORIGIN, MemoryLogBackend, log_entries, log_entry, log_trust, made_log, new_log, sha

ENTRIES = log_entries(300)
BACKEND, CHECKPOINT = made_log(ENTRIES)


def reader(backend: MemoryLogBackend | None = None) -> LogReader:
    return LogReader(backend or BACKEND.copy(), log_trust())


# --- checkpoint -------------------------------------------------------------------------------------------------------


def test_before_the_first_append_there_is_no_checkpoint(log_place: LogPlace) -> None:
    assert LogReader(log_place.backend(), log_trust()).checkpoint() is None


def test_a_checkpoint_by_another_key_or_for_another_log_is_refused(log_place: LogPlace) -> None:
    new_log(log_place.backend()).append(log_entries(2))

    for trust in (log_trust("stranger"), LogTrust("other.example/log", log_trust().keys)):
        with pytest.raises(LogSignatureError, match="expected a signature"):
            LogReader(log_place.backend(), trust).checkpoint()
    log_place.overwrite("log/checkpoint", b"x" * 100_000)
    with pytest.raises(LogSignatureError, match="more than"):
        LogReader(log_place.backend(), log_trust()).checkpoint()


# --- inclusion --------------------------------------------------------------------------------------------------------


def test_an_entry_is_proved_and_the_proof_verifies_where_there_is_no_store(log_place: LogPlace) -> None:
    entries = log_entries(9)
    checkpoint = new_log(log_place.backend()).append(entries).checkpoint
    here = LogReader(log_place.backend(), log_trust())

    for index, entry in enumerate(entries):
        file = here.prove(entry, checkpoint).encode()
        proof = LogProof.parse(file)
        assert (proof.index, proof.verify(entry, log_trust())) == (index, checkpoint)
    with pytest.raises(NotLoggedError, match="not in the log of 9 entries"):
        here.prove(log_entry("other").encode(), checkpoint)


@given(st.integers(1, 300), st.data())
def test_every_entry_of_every_size_is_proved(size: int, data: st.DataObject) -> None:
    backend, checkpoint = made_log(ENTRIES[:size])
    index = data.draw(st.integers(0, size - 1))

    proof = reader(backend).prove(ENTRIES[index], checkpoint)

    assert LogProof.parse(proof.encode()) == proof
    assert proof.verify(ENTRIES[index], log_trust()) == checkpoint
    for wrong in (ENTRIES[index - 1] if size > 1 else b"x", ENTRIES[index] + b" "):
        with pytest.raises(ProofError, match="doesn't lead"):
            proof.verify(wrong, log_trust())


def test_an_old_checkpoint_proves_only_what_was_there() -> None:
    _, old = made_log(ENTRIES[:100])

    assert reader().prove(ENTRIES[99], old).checkpoint == old.raw
    with pytest.raises(NotLoggedError):
        reader().prove(ENTRIES[100], old)


INDEX_KEY = index_key(leaf_hash(ENTRIES[7]))


@pytest.mark.parametrize("note", [None, b"", b"x", b"1", b"-1", b"99999", b"0" * 33, b" 0", b"\xd9\xa1"])
def test_the_index_is_only_a_hint_and_can_be_made_anew(note: bytes | None) -> None:
    backend = BACKEND.copy()
    backend.objects.pop(INDEX_KEY)
    if note is not None:
        backend.objects[INDEX_KEY] = note

    with pytest.raises(NotLoggedError):
        reader(backend).prove(ENTRIES[7], CHECKPOINT)
    assert verify_log(backend, log_trust(), bundles=False)  # nothing is wrong with the log
    assert rebuild_index(backend, log_trust()) == CHECKPOINT
    assert reader(backend).prove(ENTRIES[7], CHECKPOINT).index == 7
    assert backend.objects == BACKEND.objects


def test_an_index_is_made_anew_on_every_store(log_place: LogPlace) -> None:
    checkpoint = new_log(log_place.backend()).append(log_entries(6)).checkpoint
    keys = [key for key in log_place.all_keys() if key.startswith("log/index/")]
    assert len(keys) == 6
    for key in keys[:4]:
        log_place.delete(key)
    log_place.overwrite(keys[4], b"77")

    assert rebuild_index(log_place.backend(), log_trust()) == checkpoint

    here = LogReader(log_place.backend(), log_trust())
    assert [here.prove(entry, checkpoint).index for entry in log_entries(6)] == list(range(6))


def test_there_is_no_index_of_a_log_that_is_not_there_or_was_changed() -> None:
    with pytest.raises(LogBrokenError, match="no checkpoint"):
        rebuild_index(MemoryLogBackend(), log_trust())
    backend = BACKEND.copy()
    backend.objects["log/tile/entries/001.p/44"] = encode_entries(log_entries(44, "other"))
    with pytest.raises(LogBrokenError, match="aren't those of"):
        rebuild_index(backend, log_trust())


def test_tiles_that_were_changed_give_no_proof() -> None:
    sibling = {"log/tile/0/000": 6, "log/tile/0/001.p/44": 0}
    for key, at in sibling.items():
        backend = BACKEND.copy()
        data = bytearray(backend.objects[key])
        data[at * 32] ^= 1
        backend.objects[key] = bytes(data)
        with pytest.raises(ProofError, match="doesn't lead"):
            reader(backend).prove(ENTRIES[7], CHECKPOINT)


# --- the file of a proof ----------------------------------------------------------------------------------------------

PROOF = reader().prove(ENTRIES[7], CHECKPOINT).encode()
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "header only": lambda data: data.split(b"\n")[0],
    "another version": lambda data: data.replace(b"@v1", b"@v2", 1),
    "no index": lambda data: data.replace(b"index 7\n", b"", 1),
    "index with zeros": lambda data: data.replace(b"index 7", b"index 07", 1),
    "negative index": lambda data: data.replace(b"index 7", b"index -7", 1),
    "index too large": lambda data: data.replace(b"index 7", b"index %d" % 2**62, 1),
    "extra data": lambda data: data.replace(b"index 7", b"extra AAAA\nindex 7", 1),
    "a hash that is none": lambda data: data.replace(b"index 7\n", b"index 7\nAAAA\n", 1),
    "too many hashes": lambda data: data.replace(b"index 7\n", b"index 7\n" + (b"A" * 43 + b"=\n") * 65, 1),
    "no checkpoint": lambda data: data.partition(b"\n\n")[0],
    "too large": lambda data: data + b"x" * 200_000,
    "not UTF-8": lambda data: b"\xff" + data,
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_no_proof_is_refused(case: str) -> None:
    changed = CHANGES[case](PROOF)
    assert changed != PROOF
    with pytest.raises(ProofError, match="not a"):
        LogProof.parse(changed)


@given(st.integers(0, len(PROOF) - 1), st.integers(1, 255))
def test_a_proof_with_any_byte_flipped_is_refused(at: int, mask: int) -> None:
    changed = bytearray(PROOF)
    changed[at] ^= mask
    with pytest.raises(LogError):
        LogProof.parse(bytes(changed)).verify(ENTRIES[7], log_trust())


def test_a_proof_is_of_one_place() -> None:
    proof = LogProof.parse(PROOF)
    for wrong in (
        replace(proof, index=8),
        replace(proof, path=proof.path[1:]),
        replace(proof, path=(*proof.path, sha("more").encode()[:32])),
        replace(proof, checkpoint=made_log(ENTRIES[:299])[1].raw),
    ):
        with pytest.raises(ProofError):
            wrong.verify(ENTRIES[7], log_trust())
    with pytest.raises(LogSignatureError):
        proof.verify(ENTRIES[7], log_trust("stranger"))


# --- consistency ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 300))
def test_every_earlier_state_is_the_beginning(size: int) -> None:
    if size:
        reader().check_consistency(made_log(ENTRIES[:size])[1], CHECKPOINT)


def test_rollback_fork_and_rewriting_are_told_apart() -> None:
    _, later = made_log([*ENTRIES, b"later"])
    _, fork = made_log(log_entries(300, "fork"))
    _, rewritten = made_log(log_entries(200, "other"))

    with pytest.raises(ProofError, match="rolled back"):
        reader().check_consistency(later, CHECKPOINT)
    with pytest.raises(ProofError, match="one size and two roots"):
        reader().check_consistency(fork, CHECKPOINT)
    with pytest.raises(ProofError, match="the first 200 entries"):
        reader().check_consistency(rewritten, CHECKPOINT)


# --- entries ----------------------------------------------------------------------------------------------------------


def test_what_is_said_about_one_artifact_is_complete(log_place: LogPlace) -> None:
    about = ["other" if number % 3 else "model" for number in range(9)]
    entries = [log_entry(f"e{number}", name, "data") for number, name in enumerate(about)]
    checkpoint = new_log(log_place.backend()).append([entry.encode() for entry in entries]).checkpoint
    here = LogReader(log_place.backend(), log_trust())

    assert here.about(sha("model"), checkpoint) == [(0, entries[0]), (3, entries[3]), (6, entries[6])]
    assert len(here.about(sha("data"), checkpoint)) == 9
    assert here.about(sha("nobody"), checkpoint) == []
    assert here.about(entries[0].bundle, checkpoint) == []  # a bundle's digest is no subject


def test_entries_that_were_changed_or_withheld_are_not_taken_for_the_whole() -> None:
    backend = BACKEND.copy()
    backend.objects["log/tile/entries/001.p/44"] = encode_entries(log_entries(44, "other"))
    with pytest.raises(LogBrokenError, match="aren't those of"):
        reader(backend).about(sha("subject e7"), CHECKPOINT)

    backend = BACKEND.copy()
    backend.objects["log/tile/entries/001.p/44"] = encode_entries(ENTRIES[256:299])
    with pytest.raises(LogEntryError, match="expected 44 entries"):
        reader(backend).about(sha("subject e7"), CHECKPOINT)

    backend = BACKEND.copy()
    del backend.objects["log/tile/entries/000"]
    with pytest.raises(LogBrokenError, match="is gone"):
        list(reader(backend).entries(CHECKPOINT))


def test_the_entries_are_those_that_were_logged() -> None:
    assert list(reader().entries(CHECKPOINT)) == list(enumerate(ENTRIES))
    assert CHECKPOINT.origin == ORIGIN
