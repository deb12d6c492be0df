"""Bundles and trust roots that were spoilt in one place each. All of them must be refused, with the reason."""

from __future__ import annotations

import base64
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_mlsecops.core.errors import MlsecopsError, SignatureError, StatementError, TrustError
from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity, verify_keyless
from tests.support import keyless
from tests.support.keyless import Case, Json, entry_of
from tests.support.loopback_sigstore import LoopbackSigstore
from tests.support.loopback_sigstore.log import sign, signed_note

ALL, V1, V2, STAMPED = ("v1", "v1-promise-only", "v2"), ("v1", "v1-promise-only"), ("v2",), ("v1", "v2")
ONE_BIT = keyless.flipped


@dataclass(frozen=True)
class Spoilt:
    """One change, what it applies to, how it is refused, and whether sigstore-python alone refuses it too."""

    name: str
    change: Callable[[Json, Json], None]
    error: type[MlsecopsError]
    message: str
    kinds: tuple[str, ...] = ALL
    sigstore_refuses: bool = True


def payload(bundle: Json, _: Json) -> None:
    envelope = bundle["dsseEnvelope"]
    envelope["payload"] = keyless.edited(envelope["payload"], lambda data: data.replace(b"9007", b"8007"))


def signature(bundle: Json, _: Json) -> None:
    item = bundle["dsseEnvelope"]["signatures"][0]
    item["sig"] = keyless.edited(item["sig"], ONE_BIT)


def second_signature(bundle: Json, _: Json) -> None:
    bundle["dsseEnvelope"]["signatures"] *= 2


def certificate(bundle: Json, _: Json) -> None:
    item = bundle["verificationMaterial"]["certificate"]
    item["rawBytes"] = keyless.edited(item["rawBytes"], ONE_BIT)


def without_entry(bundle: Json, _: Json) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = []


def two_entries(bundle: Json, _: Json) -> None:
    bundle["verificationMaterial"]["tlogEntries"] *= 2


def without_proof(bundle: Json, _: Json) -> None:
    del entry_of(bundle)["inclusionProof"]


def without_checkpoint(bundle: Json, _: Json) -> None:
    del entry_of(bundle)["inclusionProof"]["checkpoint"]


def without_stamp(bundle: Json, _: Json) -> None:
    del bundle["verificationMaterial"]["timestampVerificationData"]


def empty_stamps(bundle: Json, _: Json) -> None:
    bundle["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": []}


def without_promise(bundle: Json, _: Json) -> None:
    del entry_of(bundle)["inclusionPromise"]


def promise(bundle: Json, _: Json) -> None:
    item = entry_of(bundle)["inclusionPromise"]
    item["signedEntryTimestamp"] = keyless.edited(item["signedEntryTimestamp"], ONE_BIT)


def integrated_time(bundle: Json, _: Json) -> None:
    entry = entry_of(bundle)
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 1)


def log_index(bundle: Json, _: Json) -> None:
    entry_of(bundle)["logIndex"] = str(int(entry_of(bundle)["logIndex"]) + 1)


def proof_index(bundle: Json, _: Json) -> None:
    entry = entry_of(bundle)
    entry["inclusionProof"]["logIndex"] = entry["logIndex"] = str(int(entry["logIndex"]) - 1)


def proof_hash(bundle: Json, _: Json) -> None:
    hashes = entry_of(bundle)["inclusionProof"]["hashes"]
    hashes[0] = keyless.edited(hashes[0], ONE_BIT)


def tree_size(bundle: Json, _: Json) -> None:
    proof = entry_of(bundle)["inclusionProof"]
    proof["treeSize"] = str(int(proof["treeSize"]) + 1)


def root_hash(bundle: Json, _: Json) -> None:
    proof = entry_of(bundle)["inclusionProof"]
    proof["rootHash"] = keyless.edited(proof["rootHash"], ONE_BIT)


def entry_body(bundle: Json, _: Json) -> None:
    entry = entry_of(bundle)
    entry["canonicalizedBody"] = keyless.edited(entry["canonicalizedBody"], ONE_BIT)


def checkpoint_size(bundle: Json, _: Json) -> None:
    proof = entry_of(bundle)["inclusionProof"]
    size = str(int(proof["treeSize"]) + 1)
    origin, _, rest = proof["checkpoint"]["envelope"].split("\n", 2)
    proof["treeSize"], proof["checkpoint"]["envelope"] = size, f"{origin}\n{size}\n{rest}"


def checkpoint_origin(bundle: Json, _: Json) -> None:
    checkpoint = entry_of(bundle)["inclusionProof"]["checkpoint"]
    checkpoint["envelope"] = checkpoint["envelope"].replace("127.0.0.1", "127.0.0.2")


def checkpoint_signer_name(bundle: Json, _: Json) -> None:
    checkpoint = entry_of(bundle)["inclusionProof"]["checkpoint"]
    checkpoint["envelope"] = checkpoint["envelope"].replace("\u2014 127", "\u2014 128")


def checkpoint_by_another_key(bundle: Json, _: Json) -> None:
    entry = entry_of(bundle)
    note, _, _ = entry["inclusionProof"]["checkpoint"]["envelope"].partition("\n\n")
    key = ec.generate_private_key(ec.SECP256R1())
    name = note.partition("\n")[0].partition(" - ")[0]
    key_id = base64.b64decode(entry["logId"]["keyId"])
    forged = signed_note(note + "\n", name, key_id, lambda text: sign(key, text))
    entry["inclusionProof"]["checkpoint"]["envelope"] = forged


def log_id(bundle: Json, _: Json) -> None:
    item = entry_of(bundle)["logId"]
    item["keyId"] = keyless.edited(item["keyId"], ONE_BIT)


def stamp(bundle: Json, _: Json) -> None:
    item = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0]
    item["signedTimestamp"] = keyless.edited(item["signedTimestamp"], ONE_BIT)


def payload_type(bundle: Json, _: Json) -> None:
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"


def media_type(bundle: Json, _: Json) -> None:
    bundle["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"


def unknown_field(bundle: Json, _: Json) -> None:
    bundle["verificationMaterial"]["note"] = "nobody would read this"


def other_ct_key(_: Json, root: Json) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    root["ctlogs"][0]["publicKey"]["rawBytes"] = base64.b64encode(der).decode()


def without_log_key(bundle: Json, root: Json) -> None:
    wanted = entry_of(bundle)["logId"]
    root["tlogs"] = [log for log in root["tlogs"] if log["logId"] != wanted]


def other_log_key(bundle: Json, root: Json) -> None:
    """The right id, but another log's key: the one of the other Rekor."""
    ids = [log["logId"] for log in root["tlogs"]]
    for log, other in zip(root["tlogs"], reversed(ids), strict=True):
        log["logId"] = other


def without_stamp_authorities(_: Json, root: Json) -> None:
    root["timestampAuthorities"] = []


def ended(name: str) -> Callable[[Json, Json], None]:
    def change(_: Json, root: Json) -> None:
        for item in root[name]:
            period = item.get("publicKey", item)["validFor"]
            period["end"] = period["start"]

    return change


SPOILT = [
    Spoilt("payload", payload, SignatureError, "doesn't verify"),
    Spoilt("signature-stamped", signature, SignatureError, "not over this signature", STAMPED),
    Spoilt("signature-promise-only", signature, SignatureError, "doesn't verify", ("v1-promise-only",)),
    Spoilt("second-signature", second_signature, StatementError, "exactly one signature"),
    Spoilt("certificate", certificate, SignatureError, "doesn't verify"),
    Spoilt("entry-stripped", without_entry, StatementError, "exactly one log entry"),
    Spoilt("two-entries", two_entries, StatementError, "exactly one log entry"),
    Spoilt("proof-stripped", without_proof, StatementError, "expected a log entry"),
    Spoilt("checkpoint-stripped", without_checkpoint, StatementError, "expected a inclusion proof"),
    Spoilt("stamp-stripped", without_stamp, StatementError, "Rekor v2 without a time stamp", V2),
    Spoilt("stamps-emptied", empty_stamps, StatementError, "Rekor v2 without a time stamp", V2),
    Spoilt("stamp", stamp, SignatureError, "time stamp in the bundle", STAMPED, False),
    Spoilt("promise-stripped", without_promise, StatementError, "come together", V1, False),
    Spoilt("promise", promise, SignatureError, "inclusion promise", V1),
    Spoilt("integrated-time", integrated_time, SignatureError, "inclusion promise", V1),
    Spoilt("log-index-v1", log_index, SignatureError, "inclusion promise", V1),
    Spoilt("log-index-v2", log_index, StatementError, "different places", V2, False),
    Spoilt("proof-index", proof_index, SignatureError, "invalid"),
    Spoilt("proof-hash", proof_hash, SignatureError, "inclusion proof"),
    Spoilt("tree-size", tree_size, StatementError, "not about the tree", ALL, False),
    Spoilt("root-hash", root_hash, StatementError, "not about the tree"),
    Spoilt("entry-body", entry_body, SignatureError, "inclusion proof"),
    Spoilt("checkpoint-size", checkpoint_size, SignatureError, "invalid log entry"),
    Spoilt("checkpoint-origin", checkpoint_origin, SignatureError, "checkpoint"),
    Spoilt("checkpoint-signer-name", checkpoint_signer_name, StatementError, "name of its log", ALL, False),
    Spoilt("checkpoint-by-another-key", checkpoint_by_another_key, SignatureError, "checkpoint"),
    Spoilt("log-id-v1", log_id, TrustError, "not in the Sigstore trust root", V1),
    Spoilt("log-id-v2", log_id, TrustError, "not in the Sigstore trust root", V2, False),
    Spoilt("payload-type", payload_type, StatementError, "expected application"),
    Spoilt("media-type", media_type, StatementError, "expected application"),
    Spoilt("unknown-field", unknown_field, StatementError, "verification material"),
    Spoilt("wrong-ct-key", other_ct_key, SignatureError, "SCT"),
    Spoilt("log-key-missing", without_log_key, TrustError, "not in the Sigstore trust root"),
    Spoilt("log-key-of-another-log", other_log_key, SignatureError, "checkpoint", ALL, False),
    Spoilt("stamp-authority-missing", without_stamp_authorities, SignatureError, "no authority", STAMPED),
    Spoilt("log-ended", ended("tlogs"), TrustError, "none of the trust root's tlogs", ALL, False),
    Spoilt("ct-log-ended", ended("ctlogs"), TrustError, "none of the trust root's ctlogs", ALL, False),
    Spoilt("authority-ended", ended("certificateAuthorities"), TrustError, "certificateAuthorities", ALL, False),
    Spoilt("stamp-authority-ended", ended("timestampAuthorities"), SignatureError, "no authority", STAMPED, False),
]


@pytest.mark.parametrize(("kind", "spoilt"), [pytest.param(k, s, id=f"{s.name}-{k}") for s in SPOILT for k in s.kinds])
def test_spoilt(cases: dict[str, Case], kind: str, spoilt: Spoilt) -> None:
    case = cases[kind]
    bundle, root = case.bundle, case.root_copy()
    spoilt.change(bundle, root)
    assert (bundle, root) != (case.bundle, case.root), "the test changed nothing"
    with pytest.raises(spoilt.error, match=spoilt.message) as caught:
        verify_keyless(keyless.to_bytes(bundle), keyless.to_root(root), [case.worker])
    assert type(caught.value) is spoilt.error
    if spoilt.sigstore_refuses:
        with pytest.raises(Exception) as by_sigstore:
            keyless.sigstore_verifies(keyless.to_bytes(bundle), root, case.worker)
        assert type(by_sigstore.value).__module__.partition(".")[0] in ("sigstore", "cryptography", "builtins")


@pytest.mark.parametrize(
    ("kind", "part"),
    [(kind, part) for kind in ALL for part in ("tlogEntries", "certificate")]
    + [(kind, "timestampVerificationData") for kind in STAMPED],
)
def test_part_of_another_bundle(sigstore: LoopbackSigstore, cases: dict[str, Case], kind: str, part: str) -> None:
    case = cases[kind]
    other = keyless.signer(sigstore, 2 if kind == "v2" else 1, kind != "v1-promise-only").sign_verified(
        keyless.statement()
    )
    bundle = case.bundle
    material = keyless.Case(other, case.root, case.worker).bundle["verificationMaterial"]
    bundle["verificationMaterial"][part] = material[part]
    with pytest.raises(SignatureError):
        verify_keyless(keyless.to_bytes(bundle), keyless.to_root(case.root), [case.worker])


@pytest.mark.parametrize(
    ("identity", "issuer"),
    [
        ("https://kubernetes.io/namespaces/airflow/serviceaccounts/other", None),
        ("https://kubernetes.io/namespaces/airflow/serviceaccounts/worker2", None),
        ("https://kubernetes.io/namespaces/airflow/serviceaccounts/.*", None),
        (keyless.IDENTITY, "https://issuer.example.test"),
        (keyless.IDENTITY, "http://127.0.0.1"),
    ],
)
def test_somebody_else(case: Case, identity: str, issuer: str | None) -> None:
    other = KeylessIdentity(identity, issuer or case.worker.issuer)
    with pytest.raises(TrustError, match="not allowed here"):
        verify_keyless(case.signed.raw, keyless.to_root(case.root), [other])
    with pytest.raises(Exception, match=r"does not match|do not match"):
        keyless.sigstore_verifies(case.signed.raw, case.root, other)


def test_nobody_is_not_anybody(case: Case) -> None:
    with pytest.raises(TrustError, match="nobody is allowed"):
        verify_keyless(case.signed.raw, keyless.to_root(case.root), [])


@pytest.mark.parametrize(("identity", "issuer"), [("", "https://issuer.test"), ("someone@example.test", "")])
def test_half_an_identity(identity: str, issuer: str) -> None:
    with pytest.raises(TrustError, match="both"):
        KeylessIdentity(identity, issuer)


def test_foreign_root(case: Case, rogue: LoopbackSigstore) -> None:
    with pytest.raises(MlsecopsError) as caught:
        verify_keyless(case.signed.raw, keyless.to_root(rogue.trusted_root()), [case.worker])
    assert isinstance(caught.value, (TrustError, SignatureError))


def test_foreign_authority_with_the_right_log(case: Case, rogue: LoopbackSigstore) -> None:
    root = case.root_copy()
    root["certificateAuthorities"] = rogue.trusted_root()["certificateAuthorities"]
    with pytest.raises(SignatureError, match="certificate chain"):
        verify_keyless(case.signed.raw, keyless.to_root(root), [case.worker])


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize(("log_version", "clock"), [(1, "rekor-v1"), (2, "tsa")])
def test_certificate_not_valid_at_the_trusted_time(
    rogue: LoopbackSigstore, log_version: int, clock: str, hours: int
) -> None:
    rogue.clocks[clock].offset = timedelta(hours=hours)
    raw = keyless.sign_unchecked(rogue, log_version, with_tsa=log_version == 2)
    with pytest.raises(SignatureError, match="certificate"):
        verify_keyless(raw, keyless.to_root(rogue.trusted_root()), [keyless.worker(rogue)])


def test_one_wrong_time_among_two(rogue: LoopbackSigstore) -> None:
    rogue.clocks["tsa"].offset = timedelta(hours=1)
    raw = keyless.sign_unchecked(rogue, 1)
    with pytest.raises(SignatureError, match="certificate"):
        verify_keyless(raw, keyless.to_root(rogue.trusted_root()), [keyless.worker(rogue)])


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"null", b"\xff", b'{"a":1,"a":1}', b"[" * 100_000])
def test_no_bundle_at_all(case: Case, raw: bytes) -> None:
    with pytest.raises(StatementError):
        verify_keyless(raw, keyless.to_root(case.root), [case.worker])


def test_truncated_anywhere(case: Case) -> None:
    root = keyless.to_root(case.root)
    for size in range(0, len(case.signed.raw), 97):
        with pytest.raises(StatementError):
            verify_keyless(case.signed.raw[:size], root, [case.worker])


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [None], [{}], {"keyId": 5}, True])
def test_any_field_of_another_kind(case: Case, value: Any) -> None:
    root = keyless.to_root(case.root)
    for path in _paths(case.bundle):
        bundle = case.bundle
        *parents, last = path
        place: Any = bundle
        for step in parents:
            place = place[step]
        if place[last] == value:
            continue
        place[last] = value
        if "timestampVerificationData" in path and not value and "inclusionPromise" in entry_of(case.bundle):
            continue  # well-formed without stamps: the promise tells the time
        with pytest.raises(MlsecopsError):
            verify_keyless(keyless.to_bytes(bundle), root, [case.worker])


@pytest.mark.parametrize("kind", ALL)
def test_any_flipped_bit(cases: dict[str, Case], kind: str) -> None:
    """No flip changes what a bundle says; those that go unseen lie in unsigned fields around a stamp's signature."""
    case = cases[kind]
    raw, root = case.signed.raw, keyless.to_root(case.root)
    stamp_at = raw.find(b'"signedTimestamp"')
    stamp_end = raw.index(b"}", stamp_at) if stamp_at >= 0 else stamp_at
    chance = random.Random(kind)
    unseen = 0
    for at in chance.sample(range(len(raw)), 600):
        changed = bytearray(raw)
        changed[at] ^= 1 << chance.randrange(8)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # broken names in the stamp's certificate are warned about
                verified = verify_keyless(bytes(changed), root, [case.worker])
        except MlsecopsError:
            continue
        unseen += 1
        assert stamp_at < at < stamp_end
        assert (verified.statement, verified.signer, verified.times) == (
            case.signed.statement,
            case.signed.signer,
            case.signed.times,
        )
    assert unseen <= 12


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    found = [path] if path else []
    for key, item in items:
        found += _paths(item, (*path, key))
    return found
