"""The committer: what it refuses to build on, and what it puts right."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from airflow_mlsecops.core.errors import SigningError, StoreUnavailableError
from airflow_mlsecops.core.log import Checkpoint, verify_log
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT
from airflow_mlsecops.core.log.commit import Committer, note_places
from airflow_mlsecops.core.log.errors import LogBrokenError, LogError, LogSignatureError
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.head import HEAD, Head
from airflow_mlsecops.core.log.merkle import leaf_hash
from airflow_mlsecops.core.log.tree import Tree, index_key
from airflow_mlsecops.core.store.backend import Backend
from tests.support.log_faults import FailingBackend
from tests.support.logs import ORIGIN, MemoryLogBackend, log_entries, log_key, log_trust, made_log

SIZE = 5


def committer(backend: Backend) -> Committer:
    return Committer(backend, log_trust(), log_key())


def log_of(*counts: int) -> MemoryLogBackend:
    """A log that grew in these steps."""
    backend = MemoryLogBackend()
    for at, count in enumerate(counts):
        writer = committer(backend)
        assert writer.extend(writer.load(), log_entries(count, f"{at}-"))
    return backend


def head_after(backend: MemoryLogBackend, entries: list[bytes], base: int | None = None, name: str = "log") -> bytes:
    """The head that a commit of these entries would swap in."""
    size = Head.parse(backend.objects[HEAD], log_trust()).checkpoint.size
    grown, _ = Tree(backend, size).frontier().grow(map(leaf_hash, entries))
    checkpoint = Checkpoint.sign(grown.size, grown.root, ORIGIN, log_key(name))
    return Head(size if base is None else base, tuple(entries), checkpoint).encode()


def test_the_first_commit_makes_the_log() -> None:
    backend = MemoryLogBackend()
    state = committer(backend).load()
    assert (state.size, state.head, state.published) == (0, None, None)

    checkpoint = committer(backend).extend(state, log_entries(SIZE))

    assert checkpoint is not None
    made, expected = made_log(log_entries(SIZE))
    assert (checkpoint.size, checkpoint.root) == (expected.size, expected.root)
    assert set(backend.objects) == set(made.objects)  # the writer leaves what the specification asks for
    assert verify_log(backend, log_trust(), bundles=False)


def test_one_of_two_who_saw_the_same_state_wins() -> None:
    backend = log_of(3)
    first, second = committer(backend), committer(backend)
    states = first.load(), second.load()

    assert first.extend(states[0], log_entries(1, "first"))
    assert second.extend(states[1], log_entries(1, "second")) is None
    assert second.extend(second.load(), log_entries(1, "second"))
    assert verify_log(backend, log_trust(), bundles=False).checkpoint.size == 5  # type: ignore[union-attr]


def test_a_head_that_is_ahead_is_completed_by_whoever_loads() -> None:
    backend = log_of(3)
    entries = log_entries(300, "late")
    backend.objects[HEAD] = head_after(backend, entries)
    assert verify_log(backend, log_trust(), bundles=False).unpublished == 300

    assert committer(backend).load().size == 303

    verified = verify_log(backend, log_trust(), bundles=False)
    assert verified
    assert (verified.unpublished, verified.checkpoint.size) == (0, 303)  # type: ignore[union-attr]


def _drop(*keys: str) -> Callable[[MemoryLogBackend], object]:
    return lambda backend: [backend.objects.pop(key) for key in keys]


def _put(key: str, data: bytes) -> Callable[[MemoryLogBackend], object]:
    return lambda backend: backend.objects.update({key: data})


def _old_head(backend: MemoryLogBackend) -> None:
    backend.objects[HEAD] = log_of(2).objects[HEAD]


def _old_checkpoint(backend: MemoryLogBackend) -> None:
    backend.objects[CHECKPOINT] = made_log(log_entries(1, "0-"))[0].objects[CHECKPOINT]


def _fork(backend: MemoryLogBackend) -> None:
    backend.objects[CHECKPOINT] = made_log(log_entries(SIZE, "fork"))[0].objects[CHECKPOINT]


def _foreign_head(backend: MemoryLogBackend) -> None:
    backend.objects[HEAD] = head_after(backend, log_entries(1), name="stranger")


def _lying_head(backend: MemoryLogBackend) -> None:
    """Rightly signed, but its entries aren't those of its root."""
    head = Head.parse(head_after(backend, log_entries(2, "signed")), log_trust())
    backend.objects[HEAD] = Head(head.base, tuple(log_entries(2, "other")), head.checkpoint).encode()


REFUSED: dict[str, tuple[Callable[[MemoryLogBackend], object], type[LogError], str]] = {
    "head gone": (_drop(HEAD), LogBrokenError, "the head is gone"),
    "head unreadable": (_put(HEAD, b"{}"), LogBrokenError, "can't be read"),
    "head too large": (_put(HEAD, b" " * (9 << 20)), LogBrokenError, "more than"),
    "head put back": (_old_head, LogBrokenError, "were published"),
    "head by another key": (_foreign_head, LogSignatureError, "expected a signature"),
    "head with other entries": (_lying_head, LogBrokenError, "don't lead to the root"),
    "checkpoint put back": (_old_checkpoint, LogBrokenError, "were published"),
    "checkpoint of a fork": (_fork, LogBrokenError, "the checkpoint"),
    "checkpoint unreadable": (_put(CHECKPOINT, b"hello"), LogSignatureError, "signed note"),
    "checkpoint too large": (_put(CHECKPOINT, b"x" * 100_000), LogBrokenError, "more than"),
    "checkpoint gone, head not the first": (_drop(CHECKPOINT), LogBrokenError, "0 were published"),
    "edge tile gone": (_drop("log/tile/0/000.p/5"), LogBrokenError, "is gone"),
    "edge tile changed": (_put("log/tile/0/000.p/5", b"x" * 160), LogBrokenError, "right edge"),
    "edge tile cut": (_put("log/tile/0/000.p/5", b"x" * 159), LogBrokenError, "159 bytes"),
    "entries changed": (_put("log/tile/entries/000.p/5", b"\x00\x01x" * 5), LogBrokenError, "isn't the one"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_appended_to_a_log_that_is_not_what_it_was(case: str) -> None:
    spoil, error, message = REFUSED[case]
    backend = log_of(3, 2)
    spoil(backend)
    before = dict(backend.objects)
    writer = committer(backend)

    with pytest.raises(error, match=message) as caught:
        writer.extend(writer.load(), log_entries(1, "new"))

    assert caught.value.advice
    assert backend.objects == before
    with pytest.raises(LogError):
        committer(backend).extend(committer(backend).load(), log_entries(1, "again"))


def test_what_this_process_saw_before_is_not_forgotten() -> None:
    """A rollback of everything at once is consistent in itself; whoever saw the later state still notices."""
    early, backend = log_of(3), log_of(3, 2)
    writer = committer(backend)
    writer.load()
    backend.objects.clear()
    backend.objects.update(early.objects)

    with pytest.raises(LogBrokenError, match="rolled back"):
        writer.load()

    fork = log_of(3, 1, 1)
    backend.objects.clear()
    backend.objects.update(fork.objects)
    with pytest.raises(LogBrokenError, match="rolled back"):
        writer.load()


def test_other_bytes_where_a_tile_has_to_be_stop_the_commit_before_it_is_published() -> None:
    backend = log_of(3)
    backend.objects["log/tile/0/000.p/4"] = b"x" * 128
    writer = committer(backend)

    with pytest.raises(LogBrokenError, match=r"other bytes lie under tile/0/000\.p/4"):
        writer.extend(writer.load(), log_entries(1, "new"))

    assert Checkpoint.parse(backend.objects[CHECKPOINT], log_trust()).size == 3
    del backend.objects["log/tile/0/000.p/4"]  # restored
    assert committer(backend).load().size == 4
    assert verify_log(backend, log_trust(), bundles=False)


def test_a_tile_that_is_neither_there_nor_not_there_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    memory = log_of(3)
    backend = FailingBackend(
        memory,
        _create=lambda key, data: False if key.startswith("log/tile/0/") else memory._create(key, data),
    )
    writer = committer(backend)

    with pytest.raises(StoreUnavailableError, match="neither there nor not there"):
        writer.extend(writer.load(), log_entries(1, "new"))
    assert committer(memory).load().size == 4


def test_a_checkpoint_that_cannot_be_moved_is_an_error() -> None:
    memory = log_of(3)
    backend = FailingBackend(memory, _swap=lambda key, tag, data: key != CHECKPOINT and memory._swap(key, tag, data))
    writer = committer(backend)

    with pytest.raises(LogBrokenError, match="can't be published"):
        writer.extend(writer.load(), log_entries(1, "new"))


def test_a_checkpoint_that_another_writer_moved_further_is_left() -> None:
    backend = log_of(3)
    slow = committer(backend)
    state = slow.load()
    later = log_of(3, 1, 1)
    real_swap = backend._swap

    def swap(key: str, tag: str, data: bytes) -> bool:
        if key == HEAD:
            done = real_swap(key, tag, data)
            backend.objects[CHECKPOINT] = later.objects[CHECKPOINT]  # meanwhile two others went on
            return done
        return real_swap(key, tag, data)

    slow_backend = FailingBackend(backend, _swap=swap)
    assert committer(slow_backend).extend(state, log_entries(1, "1-"))
    assert Checkpoint.parse(backend.objects[CHECKPOINT], log_trust()).size == 5


def test_a_key_that_cannot_sign_commits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = log_key("broken")
    monkeypatch.setattr(signer, "_sign", lambda _: b"nothing")
    backend = MemoryLogBackend()
    writer = Committer(backend, log_trust("broken"), signer)

    with pytest.raises(SigningError):
        writer.extend(writer.load(), log_entries(1))
    assert backend.objects == {}


def test_partial_tiles_that_stay_only_cost_space(caplog: pytest.LogCaptureFixture) -> None:
    def deny(key: str) -> None:
        raise OSError("denied")

    memory = log_of(250)
    writer = committer(FailingBackend(memory, _remove=deny))
    assert writer.extend(writer.load(), log_entries(10, "more"))

    assert "partial tiles of the evidence log stay" in caplog.text
    assert "log/tile/0/000.p/250" in memory.objects
    assert verify_log(memory, log_trust(), bundles=False)
    writer = committer(memory)
    assert writer.extend(writer.load(), log_entries(252, "and more"))
    assert "log/tile/0/000.p/250" not in memory.objects  # what a killed writer left goes with the next tile


def test_a_wrong_note_in_the_index_is_put_right() -> None:
    backend = log_of(3)
    entries = log_entries(3, "0-")
    for key in map(index_key, map(leaf_hash, entries)):
        backend.objects[key] = b"7"
    note_places(backend, 0, entries)
    assert Tree(backend, 3).find(leaf_hash(entries[2])) == 2


# --- the head's bytes -------------------------------------------------------------------------------------------------


def test_a_head_is_read_as_it_was_written() -> None:
    backend = log_of(3, 2)
    head = Head.parse(backend.objects[HEAD], log_trust())

    assert (head.base, head.entries) == (3, tuple(log_entries(2, "1-")))
    assert head.follows(Tree(backend, 5).frontier(3))
    assert not head.follows(Tree(backend, 5).frontier(2))
    assert not head.follows(Frontier())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"base":3', b'"base":2'),
        (b'"base":3', b'"base":-3'),
        (b'"base":3', b'"base":3.0'),
        (b'"base":3', b'"base":true'),
        (b'"base":3', b'"base":"3"'),
        (b'"base":3', b'"base":3,"base":3'),
        (b'"base":3', b'"base":3,"more":1'),
        (b'"base":3', b'"base": 3'),
        (b'"entries":[', b'"entries":["",'),
        (b'"entries":["', b'"entries":["*'),
        (b'"entries":["', b'"entries":[1,"'),
        (b'"checkpoint":"', b'"checkpoint":"x'),
        (b'{"base"', b'["base"'),
    ],
)
def test_a_head_that_was_changed_is_refused(old: bytes, new: bytes) -> None:
    data = log_of(3, 2).objects[HEAD]
    assert old in data
    with pytest.raises((LogBrokenError, LogSignatureError)):
        Head.parse(data.replace(old, new, 1), log_trust())


def test_a_head_with_an_entry_that_no_tile_takes_is_refused() -> None:
    checkpoint = Checkpoint.sign(1, leaf_hash(b"x" * 70_000), ORIGIN, log_key())
    with pytest.raises(LogBrokenError, match="too large"):
        Head.parse(Head(0, (b"x" * 70_000,), checkpoint).encode(), log_trust())
