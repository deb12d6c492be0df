"""The evidence store, on a folder and on S3: create-only, and nothing that was tampered with passes for evidence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import EvidenceBrokenError, EvidenceNotFoundError, StatementError
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.statement import Statement
from tests.support.evidence import NOW, approval_statement, artifact, bundle, trust
from tests.support.stores import StorePlace

MODEL = artifact()
EMPTY = sha256_bytes(b"")


def _key(signed: Bundle, slug: str = "signature", subject: str = MODEL.digest) -> str:
    return f"bundles/{subject}/{slug}/{signed.digest}.sigstore.json"


def test_an_empty_store_holds_nothing(place: StorePlace) -> None:
    assert place.store.find(MODEL.digest) == []
    assert place.store.subjects() == []
    with pytest.raises(EvidenceNotFoundError):
        place.store.get_blob(EMPTY)
    with pytest.raises(EvidenceNotFoundError):
        place.store.get(EMPTY)


@pytest.mark.parametrize("data", [b"", b"blob", bytes(range(256)) * 20_000], ids=["empty", "small", "5-mb"])
def test_a_blob_is_found_under_its_digest(place: StorePlace, data: bytes) -> None:
    digest = place.store.put_blob(data)

    assert digest == sha256_bytes(data)
    assert place.store.get_blob(digest) == data
    assert place.store.put_blob(data) == digest
    assert place.keys() == [f"blobs/{digest}"]


def test_a_bundle_is_found_under_its_subject_and_its_kind(place: StorePlace) -> None:
    signed, approved = bundle(), bundle(approval_statement(MODEL, "alice", "approved", NOW), "approvals")

    assert place.store.put(signed) == signed.digest
    assert place.store.put(signed) == signed.digest
    place.store.put(approved)

    assert place.keys() == sorted([_key(signed), _key(approved, "approval")])
    assert [found.bundle for found in place.store.find(MODEL.digest)] == [approved, signed]
    assert [found.bundle for found in place.store.find(MODEL.digest, "approval")] == [approved]
    assert place.store.find(MODEL.digest, "provenance") == []
    assert place.store.find(EMPTY) == []
    assert place.store.get(signed.digest).bundle == signed
    assert place.store.subjects() == [MODEL.digest]


def test_a_bundle_about_two_subjects_is_found_under_both(place: StorePlace) -> None:
    other = artifact("other")
    signed = bundle(Statement.build([MODEL, other], approval_statement(MODEL, "a", "approved", NOW).predicate_type, {}))

    place.store.put(signed)

    assert place.store.subjects() == sorted([MODEL.digest, other.digest])
    for subject in (MODEL, other):
        assert [found.bundle for found in place.store.find(subject.digest)] == [signed]


def test_a_put_that_stopped_half_way_is_completed_by_the_next(place: StorePlace) -> None:
    other = artifact("other")
    signed = bundle(Statement.build([MODEL, other], approval_statement(MODEL, "a", "approved", NOW).predicate_type, {}))
    place.overwrite(_key(signed, "approval"), signed.raw)  # as far as the first writer came

    place.store.put(signed)

    assert place.keys() == sorted([_key(signed, "approval"), _key(signed, "approval", other.digest)])


def test_a_predicate_that_nobody_knows_is_not_stored(place: StorePlace) -> None:
    with pytest.raises(StatementError, match="unknown predicate type"):
        place.store.put(bundle(Statement.build([MODEL], "https://example.com/p/v1", {})))
    assert place.keys() == []


@pytest.mark.parametrize("key", ["../../x", "x" * 64, "", "A" * 64, "0" * 63])
def test_an_address_that_is_no_digest_reaches_nothing(place: StorePlace, key: str) -> None:
    for read in (place.store.find, place.store.get, place.store.get_blob):
        with pytest.raises(StatementError):
            read(key)


@pytest.mark.parametrize("slug", ["..", "../..", "x/y", "unknown"])
def test_a_kind_that_does_not_exist_is_an_error_not_an_empty_answer(place: StorePlace, slug: str) -> None:
    with pytest.raises(StatementError, match="unknown predicate"):
        place.store.find(MODEL.digest, slug)


def test_create_only(place: StorePlace) -> None:
    backend = place.store._backend

    assert backend.create("blobs/x", b"first") is True
    assert backend.create("blobs/x", b"first") is False
    assert backend.create("blobs/x", b"second") is False
    assert backend.read("blobs/x", 100) == b"first"


def test_of_many_writers_at_once_exactly_one_writes(place: StorePlace) -> None:
    backend = place.store._backend
    for round_ in range(4):
        data = [f"writer {number}".encode() * 1000 for number in range(12)]
        with ThreadPoolExecutor(len(data)) as pool:
            wrote = list(pool.map(lambda item, key=f"blobs/{round_}": backend.create(key, item), data))

        assert wrote.count(True) == 1
        assert backend.read(f"blobs/{round_}", 1 << 20) == data[wrote.index(True)]


def test_many_writers_of_the_same_evidence_are_no_conflict(place: StorePlace) -> None:
    signed, blob = bundle(), b"the same report" * 1000
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: (place.store.put(signed), place.store.put_blob(blob)), range(16)))

    assert digests == {(signed.digest, sha256_bytes(blob))}
    assert place.keys() == sorted([_key(signed), f"blobs/{sha256_bytes(blob)}"])


def test_no_more_is_read_than_asked_for(place: StorePlace) -> None:
    place.overwrite("blobs/big", b"x" * 1000)
    backend = place.store._backend

    assert len(backend.read("blobs/big", 1000)) == 1000
    with pytest.raises(EvidenceNotFoundError, match="more than 999 bytes"):
        backend.read("blobs/big", 999)


def test_a_changed_blob_is_broken(place: StorePlace) -> None:
    digest = place.store.put_blob(b"report")
    place.overwrite(f"blobs/{digest}", b"repord")

    with pytest.raises(EvidenceBrokenError, match="was changed"):
        place.store.get_blob(digest)
    with pytest.raises(EvidenceBrokenError, match="other bytes"):
        place.store.put_blob(b"report")


def test_a_deleted_blob_or_bundle_is_gone_and_can_be_put_again(place: StorePlace) -> None:
    signed, digest = bundle(), place.store.put_blob(b"report")
    place.store.put(signed)
    place.delete(f"blobs/{digest}")
    place.delete(_key(signed))

    with pytest.raises(EvidenceNotFoundError):
        place.store.get_blob(digest)
    assert place.store.find(MODEL.digest) == []
    place.store.put_blob(b"report")
    place.store.put(signed)
    assert place.store.get_blob(digest) == b"report"
    assert place.store.get(signed.digest).bundle == signed


def test_a_changed_bundle_is_broken_and_stays_visible(place: StorePlace) -> None:
    signed = bundle()
    place.store.put(signed)
    place.overwrite(_key(signed), signed.raw.replace(b"sigstore", b"sigstorf", 1))

    found = place.store.find(MODEL.digest)

    assert [(item.bundle, item.digest) for item in found] == [(None, signed.digest)]
    assert "was changed" in found[0].broken
    assert place.store.get(signed.digest).bundle is None
    assert len(collect(place.store, MODEL.digest, trust(), NOW).broken) == 1
    with pytest.raises(EvidenceBrokenError):
        place.store.put(signed)


OTHER = artifact("other")
SIGNED = bundle()
WRONG_PLACES = {
    "another-subject": _key(SIGNED, subject=OTHER.digest),
    "another-kind": _key(SIGNED, "approval", OTHER.digest),
    "no-kind": f"bundles/{OTHER.digest}/{SIGNED.digest}.sigstore.json",
    "deeper": f"bundles/{OTHER.digest}/signature/again/{SIGNED.digest}.sigstore.json",
    "another-name": f"bundles/{OTHER.digest}/signature/{'0' * 64}.sigstore.json",
    "no-suffix": f"bundles/{OTHER.digest}/signature/{SIGNED.digest}",
    "no-digest": f"bundles/{OTHER.digest}/signature/readme.txt",
    "upper-case": f"bundles/{OTHER.digest}/signature/{SIGNED.digest.upper()}.sigstore.json",
}


@pytest.mark.parametrize("case", WRONG_PLACES)
def test_good_evidence_in_a_place_where_it_does_not_belong_is_broken(place: StorePlace, case: str) -> None:
    place.overwrite(WRONG_PLACES[case], SIGNED.raw)

    judged = collect(place.store, OTHER.digest, trust(), NOW)

    assert judged.verified == ()
    assert [item.key for item in judged.broken] == [WRONG_PLACES[case]]


@pytest.mark.parametrize("key", ["signature/again/{0}.sigstore.json", "signature/{0}", "approval/{0}.sigstore.json"])
def test_evidence_does_not_count_twice_from_a_second_place_of_its_subject(place: StorePlace, key: str) -> None:
    place.store.put(SIGNED)
    place.overwrite(f"bundles/{MODEL.digest}/" + key.format(SIGNED.digest), SIGNED.raw)

    judged = collect(place.store, MODEL.digest, trust(), NOW)

    assert [item.digest for item in judged.verified] == [SIGNED.digest]
    assert len(judged.broken) == 1


HOSTILE = {
    "empty": b"",
    "noise": bytes(range(256)),
    "json": b"{}",
    "deep": b"[" * 100_000,
    "list-as-key-hint": SIGNED.raw.replace(b'{"hint":"', b'[{"hint":"').replace(
        b'"},"tlogEntries"', b'"}],"tlogEntries"'
    ),
    "oversized": b" " * (16 * 1024 * 1024 + 1),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_bytes_under_their_right_address_are_broken_and_hide_nothing(place: StorePlace, case: str) -> None:
    data = HOSTILE[case]
    place.store.put(SIGNED)
    place.overwrite(f"bundles/{MODEL.digest}/signature/{sha256_bytes(data)}.sigstore.json", data)

    judged = collect(place.store, MODEL.digest, trust(), NOW)

    assert [item.digest for item in judged.verified] == [SIGNED.digest]
    assert [item.digest for item in judged.broken] == [sha256_bytes(data)]
