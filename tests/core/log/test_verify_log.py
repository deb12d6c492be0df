"""``verify_log``: whatever is wrong with a log is found, and named: which object, which entry."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.errors import StoreUnavailableError
from airflow_mlsecops.core.log import Checkpoint, Entry, LogVerification, verify_log
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.head import HEAD, Head
from airflow_mlsecops.core.log.merkle import leaf_hash
from airflow_mlsecops.core.log.tiles import ENTRIES, WIDTH, Tile, encode_entries
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.store.backend import Backend
from tests.core.log.conftest import LogPlace
from tests.support.evidence import NOW, approval_statement, artifact, bundle
from tests.support.log_faults import FailingBackend
from tests.support.logs import ORIGIN, MemoryLogBackend, log_entries, log_key, log_trust, made_log, new_log

SIZE = 600  # two full tiles and a partial one on level 0, a partial one on level 1
LOGGED = log_entries(SIZE)
SOUND, NEWEST = made_log(LOGGED)


def check(backend: Backend, since: Checkpoint | None = None, **options: bool) -> LogVerification:
    return verify_log(backend, log_trust(), since, **{"bundles": False, **options})


def faults(backend: Backend, since: Checkpoint | None = None) -> list[tuple[str, str, int | None]]:
    """What is said about the log itself, which must be a NO if anything is."""
    found = check(backend, since)
    assert bool(found) is not bool(found.faults)
    for fault in found.faults:
        assert str(fault).startswith(f"[{fault.code}] {fault.where}")
        assert fault.message
    return [(fault.code, fault.where, fault.entry) for fault in found.faults]


def with_entries(entries: list[bytes]) -> dict[str, bytes]:
    """Entry bundles of a log that says it has these entries."""
    parts = [entries[at : at + WIDTH] for at in range(0, len(entries), WIDTH)]
    return {Tile(ENTRIES, at, len(part)).key: encode_entries(part) for at, part in enumerate(parts)}


def forge(entries: list[bytes], *, name: str = "log") -> dict[str, bytes]:
    """A whole consistent log of other entries, signed by this key."""
    objects = made_log(entries)[0].objects
    grown, _ = Frontier().grow(map(leaf_hash, entries))
    checkpoint = Checkpoint.sign(grown.size, grown.root, ORIGIN, log_key(name))
    head = Head(0, tuple(entries), checkpoint).encode()
    return {**objects, CHECKPOINT: checkpoint.raw, HEAD: head}


# --- sound logs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 513, 600])
def test_a_sound_log_verifies_from_every_earlier_state(size: int) -> None:
    backend, checkpoint = made_log(LOGGED[:size])

    for earlier in {1, size // 2 or 1, size}:
        found = check(backend, made_log(LOGGED[:earlier])[1])
        assert found
        assert (found.checkpoint, found.cut, found.queued, found.unpublished) == (checkpoint, False, 0, 0)


def test_an_empty_store_has_no_log_to_say_yes_to(log_place: LogPlace) -> None:
    """Nobody can tell whether it was emptied, so it is a NO; but there is no object that is wrong."""
    found = check(log_place.backend(), bundles=True)
    assert not found
    assert (found.checkpoint, found.faults, found.missing, found.unlogged) == (None, (), (), ())


def test_a_log_of_70000_has_three_levels_and_verifies() -> None:
    backend, _ = made_log([b"entry %d" % number for number in range(70_000)])
    found = check(backend)
    assert {fault.code for fault in found.faults} == {"entry-malformed"}  # these aren't evidence, but they are the log
    assert len(found.faults) == 1000
    assert found.cut


# --- removal, reordering, rewriting -----------------------------------------------------------------------------------

TAMPERED: dict[str, tuple[Callable[[dict[str, bytes]], object], list[tuple[str, str, int | None]]]] = {}


def tampering(
    name: str, *expected: tuple[str, str, int | None]
) -> Callable[[Callable[[dict[str, bytes]], object]], object]:
    """Registers what an intruder does to the objects of :data:`SOUND`, and what has to be said of it."""

    def register(spoil: Callable[[dict[str, bytes]], object]) -> object:
        TAMPERED[name] = (spoil, list(expected))
        return spoil

    return register


@tampering("an entry was changed", ("entry-wrong", "tile/entries/001", 300))
def _(objects: dict[str, bytes]) -> None:
    objects.update(with_entries([*LOGGED[:300], *log_entries(1, "other"), *LOGGED[301:]]))


@tampering("two entries were swapped", ("entry-wrong", "tile/entries/000", 3), ("entry-wrong", "tile/entries/000", 9))
def _(objects: dict[str, bytes]) -> None:
    entries = list(LOGGED)
    entries[3], entries[9] = entries[9], entries[3]
    objects.update(with_entries(entries))


@tampering("an entry was removed", ("entry-wrong", "tile/entries/002.p/88", 512))
def _(objects: dict[str, bytes]) -> None:
    objects["log/tile/entries/002.p/88"] = encode_entries(LOGGED[512:599])


@tampering("a bundle of entries is gone", ("entries-missing", "tile/entries/001", 256))
def _(objects: dict[str, bytes]) -> None:
    del objects["log/tile/entries/001"]


@tampering("a bundle of entries is cut", ("entry-wrong", "tile/entries/000", 0))
def _(objects: dict[str, bytes]) -> None:
    objects["log/tile/entries/000"] = objects["log/tile/entries/000"][:-1]


@tampering("a bundle of entries is too large", ("tile-wrong", "tile/entries/002.p/88", 512))
def _(objects: dict[str, bytes]) -> None:
    objects["log/tile/entries/002.p/88"] = b"x" * (88 * 65_537 + 1)


@tampering("a tile is gone", ("tile-missing", "tile/0/001", 256))
def _(objects: dict[str, bytes]) -> None:
    del objects["log/tile/0/001"]


@tampering("an upper tile is gone", ("tile-missing", "tile/1/000.p/2", 0))
def _(objects: dict[str, bytes]) -> None:
    del objects["log/tile/1/000.p/2"]


@tampering("a tile is cut", ("tile-wrong", "tile/0/000", 0))
def _(objects: dict[str, bytes]) -> None:
    objects["log/tile/0/000"] = objects["log/tile/0/000"][:-1]


@tampering("a hash was changed", ("tile-wrong", "tile/0/001", 261))
def _(objects: dict[str, bytes]) -> None:
    tile = objects["log/tile/0/001"]
    objects["log/tile/0/001"] = tile[:160] + b"x" * 32 + tile[192:]


@tampering("a hash on the right edge was changed", ("tile-wrong", "tile/0/002.p/88", 599))
def _(objects: dict[str, bytes]) -> None:
    objects["log/tile/0/002.p/88"] = objects["log/tile/0/002.p/88"][:-1] + b"!"


@tampering("an upper hash was changed", ("tile-wrong", "tile/1/000.p/2", 256))
def _(objects: dict[str, bytes]) -> None:
    objects["log/tile/1/000.p/2"] = objects["log/tile/1/000.p/2"][:32] + b"x" * 32


@tampering(
    "two tiles were swapped, with their entries",
    ("tile-wrong", "tile/0/000", 0),
    ("tile-wrong", "tile/0/001", 256),
)
def _(objects: dict[str, bytes]) -> None:
    for level in ("0", "entries"):
        one, two = f"log/tile/{level}/000", f"log/tile/{level}/001"
        objects[one], objects[two] = objects[two], objects[one]


@tampering("an entry and its hash were changed", ("tile-wrong", "tile/0/000", 0))
def _(objects: dict[str, bytes]) -> None:
    objects.update(with_entries([*LOGGED[:7], *log_entries(1, "other"), *LOGGED[8:]]))
    tile = objects["log/tile/0/000"]
    objects["log/tile/0/000"] = tile[: 7 * 32] + leaf_hash(log_entries(1, "other")[0]) + tile[8 * 32 :]


@tampering("everything but the signature was rewritten", ("root", "checkpoint", None))
def _(objects: dict[str, bytes]) -> None:
    rewritten = forge([*LOGGED[:7], *log_entries(1, "other"), *LOGGED[8:]])
    objects.update({key: data for key, data in rewritten.items() if key.startswith("log/tile/")})


@tampering("the head is gone", ("head", "head", None))
def _(objects: dict[str, bytes]) -> None:
    del objects[HEAD]


@tampering("the head is rubbish", ("head", "head", None))
def _(objects: dict[str, bytes]) -> None:
    objects[HEAD] = b"{"


@tampering("the head is too large", ("head", "head", None))
def _(objects: dict[str, bytes]) -> None:
    objects[HEAD] = b" " * (9 << 20)


@tampering("the head was put back", ("rollback", "head", None))
def _(objects: dict[str, bytes]) -> None:
    objects[HEAD] = made_log(LOGGED[:599])[0].objects[HEAD]


@tampering("the head is that of a fork", ("fork", "head", None))
def _(objects: dict[str, bytes]) -> None:
    objects[HEAD] = forge(log_entries(SIZE, "fork"))[HEAD]


@tampering("the head is by another key", ("head", "head", None))
def _(objects: dict[str, bytes]) -> None:
    objects[HEAD] = forge(LOGGED, name="stranger")[HEAD]


@tampering("the head has other entries", ("head", "head", 0))
def _(objects: dict[str, bytes]) -> None:
    objects[HEAD] = Head(0, tuple(log_entries(SIZE, "other")), NEWEST).encode()


@tampering("the checkpoint is by another key", ("log-signature", "checkpoint", None))
def _(objects: dict[str, bytes]) -> None:
    objects.update(forge(LOGGED, name="stranger"))


@tampering("the checkpoint is rubbish", ("log-signature", "checkpoint", None))
def _(objects: dict[str, bytes]) -> None:
    objects[CHECKPOINT] = b"hello"


@tampering("the checkpoint is gone", ("log-gone", "checkpoint", None))
def _(objects: dict[str, bytes]) -> None:
    del objects[CHECKPOINT]
    objects[HEAD] = Head(599, (LOGGED[599],), NEWEST).encode()


@tampering("checkpoint and head are gone", ("log-gone", "checkpoint", None))
def _(objects: dict[str, bytes]) -> None:
    del objects[CHECKPOINT], objects[HEAD]


@pytest.mark.parametrize("case", TAMPERED)
def test_what_was_done_to_a_log_is_found_and_named(case: str) -> None:
    spoil, expected = TAMPERED[case]
    backend = SOUND.copy()
    spoil(backend.objects)

    found = faults(backend)

    assert found[: len(expected)] == expected
    if case != "everything but the signature was rewritten":
        assert len(found) == len(expected), found


def test_of_a_reordered_entry_its_place_is_told() -> None:
    backend = SOUND.copy()
    TAMPERED["two entries were swapped"][0](backend.objects)
    assert "belongs at 9: reordered" in str(check(backend).faults[0])


def test_several_faults_are_all_named() -> None:
    backend = SOUND.copy()
    for case in ("an entry was changed", "an entry was removed", "a tile is cut"):
        TAMPERED[case][0](backend.objects)

    found = {(code, where, entry) for code, where, entry in faults(backend)}

    assert {("entry-wrong", "tile/entries/001", 300), ("tile-wrong", "tile/0/000", 0)} <= found
    assert any(where == "tile/entries/002.p/88" or where == "tile/0/002.p/88" for _, where, _ in found)


# --- against an earlier state -----------------------------------------------------------------------------------------


def test_a_log_that_is_consistent_in_itself_is_held_against_what_was_seen() -> None:
    """Whoever holds the log's key can make a sound log of anything; only an earlier checkpoint gives them away."""
    rolled_back, _ = made_log(LOGGED[:599])
    forked = MemoryLogBackend(forge([*LOGGED[:599], *log_entries(1, "fork")]))
    rewritten = MemoryLogBackend(forge([*log_entries(1, "other"), *LOGGED[1:], *log_entries(9, "more")]))

    for backend, code in ((rolled_back, "rollback"), (forked, "fork"), (rewritten, "fork")):
        assert check(backend)  # without one, nothing is seen
        assert [found[0] for found in faults(backend, NEWEST)] == [code]


def test_a_log_that_is_gone_altogether_is_noticed_by_whoever_saw_it() -> None:
    assert [found[:2] for found in faults(MemoryLogBackend(), NEWEST)] == [("log-gone", "checkpoint")]


def test_a_proof_that_cannot_be_made_is_no_proof() -> None:
    backend = SOUND.copy()
    del backend.objects["log/tile/0/000"]
    codes = [code for code, _, _ in faults(backend, made_log(LOGGED[:100])[1])]
    assert codes == ["fork", "tile-missing"]


# --- after a crash ----------------------------------------------------------------------------------------------------


def test_a_first_commit_that_was_not_finished_is_no_fault() -> None:
    backend, checkpoint = made_log(LOGGED[:3])
    del backend.objects[CHECKPOINT]

    found = check(backend)

    assert not found  # nothing is published yet
    assert (found.checkpoint, found.unpublished, found.faults) == (None, 3, ())
    assert [item[0] for item in faults(backend, checkpoint)] == ["log-gone"]  # but who saw a checkpoint knows better


# --- entries and the store --------------------------------------------------------------------------------------------


@cache
def evidence(number: int) -> Bundle:
    subjects = [artifact(f"one {number}"), artifact(f"two {number}")]
    return bundle(Statement.build(subjects, approval_statement(subjects[0], "a", "approved", NOW).predicate_type, {}))


def filled(place: LogPlace, count: int = 5) -> Backend:
    backend = place.backend()
    EvidenceStore(backend, new_log(backend)).put_all([evidence(number) for number in range(count)])
    return backend


def test_log_and_store_hold_the_same(log_place: LogPlace) -> None:
    found = check(filled(log_place), bundles=True)
    assert found
    assert (found.missing, found.unlogged) == ((), ())


def test_a_bundle_that_was_withheld_is_named(log_place: LogPlace) -> None:
    backend = filled(log_place)
    gone = Entry.of(evidence(3)).keys[1]
    log_place.delete(gone)

    found = check(backend, bundles=True)

    assert not found
    assert (found.missing, found.unlogged, found.faults) == (((3, gone),), (), ())
    assert check(backend)  # who doesn't look into the store doesn't see it


def test_a_bundle_that_was_slipped_in_is_named(log_place: LogPlace) -> None:
    backend = filled(log_place)
    strange = Entry.of(evidence(9)).keys[0]
    log_place.overwrite(strange, evidence(9).raw)
    log_place.overwrite("bundles/readme.txt", b"hello")

    found = check(backend, bundles=True)

    assert not found
    assert (found.missing, found.unlogged) == ((), tuple(sorted([strange, "bundles/readme.txt"])))


def test_without_any_log_all_bundles_are_unlogged() -> None:
    backend = MemoryLogBackend()
    EvidenceStore(backend).put(evidence(1))
    assert check(backend, bundles=True).unlogged == Entry.of(evidence(1)).keys


def test_what_is_on_its_way_into_the_log_is_not_unlogged() -> None:
    backend = MemoryLogBackend()
    signed = evidence(1)
    EvidenceStore(backend, new_log(backend)).put(evidence(0))
    backend.objects["log/pending/0000000000001-aa"] = encode_entries([Entry.of(signed).encode()])
    EvidenceStore(backend).put(signed)

    found = check(backend, bundles=True)

    assert found
    assert found.queued == 1


def test_what_is_logged_while_somebody_verifies_is_not_unlogged() -> None:
    memory = MemoryLogBackend()
    EvidenceStore(memory, new_log(memory)).put(evidence(0))
    later = EvidenceStore(memory, new_log(memory))

    def scan(prefix: str) -> object:
        if prefix == "bundles/":
            later.put(evidence(1))
        return memory._list(prefix)

    found = check(FailingBackend(memory, _list=scan), bundles=True)

    assert found
    assert (found.checkpoint.size, found.unlogged) == (1, ())  # type: ignore[union-attr]


def test_entries_that_stand_there_twice_or_are_no_evidence_are_named() -> None:
    """Only somebody with the log's key can bring them in; so the tree itself is sound."""
    entries = [*LOGGED[:5], LOGGED[2], b"no evidence", Entry.parse(LOGGED[1]).encode()]
    backend, _ = made_log(entries)

    found = faults(backend)

    assert [(code, entry) for code, _, entry in found] == [
        ("entry-malformed", 6),
        ("entry-twice", 5),
        ("entry-twice", 7),
    ]
    assert all(where == "tile/entries/000" for _, where, _ in found)


def test_long_lists_are_cut_and_say_so() -> None:
    backend, _ = made_log(LOGGED)
    found = verify_log(backend, log_trust(), limit=10)
    assert len(found.missing) == 10
    assert found.cut
    assert not found


def test_a_store_that_is_down_is_an_error_and_no_answer() -> None:
    def down(key: str, limit: int) -> object:
        raise OSError("down")

    with pytest.raises(StoreUnavailableError):
        check(FailingBackend(SOUND.copy(), _peek=down))


def test_where_entries_are_gone_too_what_can_be_named_is_named() -> None:
    backend = SOUND.copy()
    TAMPERED["a bundle of entries is gone"][0](backend.objects)

    found = check(backend, bundles=True)

    assert [fault.code for fault in found.faults] == ["entries-missing"]
    assert found.missing[0] == (0, Entry.parse(LOGGED[0]).keys[0])
    assert {entry for entry, _ in found.missing} == {*range(256), *range(512, 600)}


def test_a_checkpoint_that_is_overwritten_while_somebody_verifies_is_noticed() -> None:
    memory, seen = SOUND.copy(), [0]

    def peek(key: str, limit: int) -> object:
        seen[0] += key == CHECKPOINT
        return (b"hello", "tag") if key == CHECKPOINT and seen[0] > 1 else memory._peek(key, limit)

    found = check(FailingBackend(memory, _peek=peek))

    assert [fault.code for fault in found.faults] == ["head"]
    assert "signed note" in found.faults[0].message


# --- any byte ---------------------------------------------------------------------------------------------------------

SMALL, _ = made_log(log_entries(260))
PARTS = sorted(key for key in SMALL.objects if not key.startswith("log/index/"))


@pytest.mark.parametrize("key", PARTS)
@settings(max_examples=60)
@given(data=st.data())
def test_any_byte_that_is_flipped_is_noticed(key: str, data: st.DataObject) -> None:
    """Of tiles, bundles of entries, the checkpoint and the head."""
    changed = bytearray(SMALL.objects[key])
    at, mask = data.draw(st.integers(0, len(changed) - 1)), data.draw(st.integers(1, 255))
    changed[at] ^= mask
    backend = SMALL.copy()
    backend.objects[key] = bytes(changed)

    found = check(backend)

    assert not found
    assert {fault.where for fault in found.faults} & {key.removeprefix("log/"), "checkpoint"}


@settings(max_examples=60)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_any_objects_that_are_removed_swapped_or_cut_are_noticed(keys: list[str], chance: random.Random) -> None:
    backend = SMALL.copy()
    for key in keys:
        other = chance.choice([*(SMALL.objects[name] for name in PARTS), b"", SMALL.objects[key][:-1], None])
        if other is None:
            del backend.objects[key]
        else:
            backend.objects[key] = other
    assert bool(check(backend)) is (backend.objects == SMALL.objects)
