"""Signatures made with a key, logged and time-stamped: what verifies, and what was spoilt in one place."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.errors import (
    ConfigurationError,
    MlsecopsError,
    SignatureError,
    SigningError,
    StatementError,
    TrustError,
)
from airflow_mlsecops.core.signing.attach import LoggedKeySigner
from airflow_mlsecops.core.signing.attached import verify_attached
from airflow_mlsecops.core.signing.errors import SigningUnavailableError
from airflow_mlsecops.core.signing.file_key import FileKeySigner, PrivateKey
from tests.support import keyless
from tests.support.keyless import Json, entry_of
from tests.support.loopback_sigstore import LoopbackSigstore
from tests.support.loopback_sigstore.log import sign, signed_note

KINDS = {"v1": (1, True), "v1-promise-only": (1, False), "v2": (2, True)}
KEYS: dict[str, Callable[[], PrivateKey]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def file_key(kind: str = "p256") -> FileKeySigner:
    key = KEYS[kind]()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return FileKeySigner(pem)


def logged(sigstore: LoopbackSigstore, kind: str, key: FileKeySigner | None = None, **options: Any) -> LoggedKeySigner:
    config = keyless.to_bytes(sigstore.client_trust_config(*KINDS[kind]))
    return LoggedKeySigner(key or file_key(), config, **options)


@pytest.fixture(scope="module")
def signer() -> FileKeySigner:
    return file_key()


@pytest.fixture(scope="module")
def bundles(sigstore: LoopbackSigstore, signer: FileKeySigner) -> dict[str, Bundle]:
    made = {}
    for kind in KINDS:
        attaching = logged(sigstore, kind, signer)
        attaching.sign(keyless.statement("before"))
        made[kind] = attaching.sign(keyless.statement())
        attaching.sign(keyless.statement("after"))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_the_bundle_proves_when_it_was_signed(
    sigstore: LoopbackSigstore, signer: FileKeySigner, bundles: dict[str, Bundle], kind: str
) -> None:
    bundle = bundles[kind]
    times = verify_attached(bundle, keyless.to_root(sigstore.trusted_root()), signer.public_key)
    version, with_tsa = KINDS[kind]
    assert len(times) == with_tsa + (version == 1)
    assert all(abs(datetime.now(UTC) - time) < timedelta(minutes=10) for time in times)
    assert bundle.entry is not None
    assert bundle.entry.log_version == version
    assert bundle.statement.payload == keyless.statement().payload
    assert bundle.key_hint == signer.public_key.hint


@pytest.mark.parametrize(("log", "kind"), [("v2", k) for k in KEYS if k != "ed25519"] + [("v1", k) for k in KEYS])
def test_every_kind_of_key(sigstore: LoopbackSigstore, log: str, kind: str) -> None:
    attaching = logged(sigstore, log, file_key(kind))
    bundle = attaching.sign(keyless.statement(f"{log}-{kind}"))
    assert verify_attached(bundle, keyless.to_root(sigstore.trusted_root()), attaching.public_key)


def test_rekor_v2_takes_no_plain_ed25519(rogue: LoopbackSigstore) -> None:
    with pytest.raises(SigningError, match="no signatures by a key of this kind"):
        logged(rogue, "v2", file_key("ed25519")).sign(keyless.statement())
    assert rogue.rekor_v2.log.get(0) is None


def test_other_bytes_are_signed_without_the_log(rogue: LoopbackSigstore, signer: FileKeySigner) -> None:
    attaching = logged(rogue, "v2", signer)
    signer.public_key.verify(attaching.sign_bytes(b"checkpoint"), b"checkpoint")
    assert rogue.rekor_v2.log.get(0) is None


def payload(bundle: Json) -> None:
    envelope = bundle["dsseEnvelope"]
    envelope["payload"] = keyless.edited(envelope["payload"], lambda data: data.replace(b"9007", b"8007"))


def signature(bundle: Json) -> None:
    item = bundle["dsseEnvelope"]["signatures"][0]
    item["sig"] = keyless.edited(item["sig"], keyless.flipped)


def hint(bundle: Json) -> None:
    bundle["verificationMaterial"]["publicKey"]["hint"] = "ab" * 32


def stripped(bundle: Json) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = []
    bundle["verificationMaterial"].pop("timestampVerificationData", None)


def without_stamp(bundle: Json) -> None:
    del bundle["verificationMaterial"]["timestampVerificationData"]


def without_time(bundle: Json) -> None:
    del entry_of(bundle)["inclusionPromise"]
    del entry_of(bundle)["integratedTime"]


def stamp(bundle: Json) -> None:
    item = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0]
    item["signedTimestamp"] = keyless.edited(item["signedTimestamp"], keyless.flipped)


def integrated_time(bundle: Json) -> None:
    entry_of(bundle)["integratedTime"] = str(int(entry_of(bundle)["integratedTime"]) - 3600)


def promise(bundle: Json) -> None:
    item = entry_of(bundle)["inclusionPromise"]
    item["signedEntryTimestamp"] = keyless.edited(item["signedEntryTimestamp"], keyless.flipped)


def entry_body(bundle: Json) -> None:
    entry_of(bundle)["canonicalizedBody"] = keyless.edited(
        entry_of(bundle)["canonicalizedBody"], lambda body: body.replace(b'"signature"', b'"signaturE"', 1)
    )


def body_of_the_same_meaning(bundle: Json) -> None:
    entry = entry_of(bundle)
    entry["canonicalizedBody"] = keyless.edited(entry["canonicalizedBody"], lambda body: body + b" ")


def proof_hash(bundle: Json) -> None:
    hashes = entry_of(bundle)["inclusionProof"]["hashes"]
    hashes[0] = keyless.edited(hashes[0], keyless.flipped)


def proof_index(bundle: Json) -> None:
    entry = entry_of(bundle)
    entry["inclusionProof"]["logIndex"] = entry["logIndex"] = str(int(entry["logIndex"]) - 1)


def checkpoint(bundle: Json) -> None:
    item = entry_of(bundle)["inclusionProof"]["checkpoint"]
    note, _, line = item["envelope"].rpartition(" ")
    item["envelope"] = f"{note} {keyless.edited(line.strip(), keyless.flipped)}\n"


def checkpoint_by_another_key(bundle: Json) -> None:
    entry = entry_of(bundle)
    note, _, _ = entry["inclusionProof"]["checkpoint"]["envelope"].partition("\n\n")
    key = ec.generate_private_key(ec.SECP256R1())
    name = note.partition("\n")[0].partition(" - ")[0]
    forged = signed_note(note + "\n", name, base64.b64decode(entry["logId"]["keyId"]), lambda text: sign(key, text))
    entry["inclusionProof"]["checkpoint"]["envelope"] = forged


def log_id(bundle: Json) -> None:
    entry_of(bundle)["logId"]["keyId"] = keyless.edited(entry_of(bundle)["logId"]["keyId"], keyless.flipped)


ALL, V1, V2, STAMPED = tuple(KINDS), ("v1", "v1-promise-only"), ("v2",), ("v1", "v2")
SPOILT: list[tuple[Callable[[Json], None], type[MlsecopsError], str, tuple[str, ...]]] = [
    (payload, SignatureError, "doesn't belong", ALL),
    (signature, SignatureError, "doesn't belong", ALL),
    (hint, StatementError, "expected a bundle signed with key", ALL),
    (stripped, StatementError, "proves when it was signed", ALL),
    (without_stamp, StatementError, "Rekor v2 without a time stamp", V2),
    (without_time, StatementError, "proves when it was signed", ("v1-promise-only",)),
    (stamp, SignatureError, "time stamp in the bundle", STAMPED),
    (integrated_time, SignatureError, "not vouched for", V1),
    (promise, SignatureError, "not vouched for", V1),
    (entry_body, SignatureError, "log entry", ALL),
    (body_of_the_same_meaning, SignatureError, "inclusion proof", ALL),
    (proof_hash, SignatureError, "inclusion proof", ALL),
    (proof_index, SignatureError, "inclusion proof", ALL),
    (checkpoint, SignatureError, "not vouched for", ALL),
    (checkpoint_by_another_key, SignatureError, "not vouched for", ALL),
    (log_id, TrustError, "not in the Sigstore trust root", ALL),
]


@pytest.mark.parametrize(
    ("kind", "change", "error", "message"),
    [pytest.param(kind, *case[:3], id=f"{case[0].__name__}-{kind}") for case in SPOILT for kind in case[3]],
)
def test_spoilt(
    sigstore: LoopbackSigstore,
    signer: FileKeySigner,
    bundles: dict[str, Bundle],
    kind: str,
    change: Callable[[Json], None],
    error: type[MlsecopsError],
    message: str,
) -> None:
    value: Json = json.loads(bundles[kind].raw)
    change(value)
    assert value != json.loads(bundles[kind].raw), "the test changed nothing"
    with pytest.raises(error, match=message) as caught:
        bundle = Bundle.parse(keyless.to_bytes(value))
        verify_attached(bundle, keyless.to_root(sigstore.trusted_root()), signer.public_key)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("kind", "part"),
    [(kind, "tlogEntries") for kind in ALL] + [(kind, "timestampVerificationData") for kind in STAMPED],
)
@pytest.mark.parametrize("other", ["statement", "signature"])
def test_part_of_another_bundle(
    sigstore: LoopbackSigstore, signer: FileKeySigner, bundles: dict[str, Bundle], kind: str, part: str, other: str
) -> None:
    value = json.loads(bundles[kind].raw)
    name = "other" if other == "statement" else "model"
    donor = json.loads(logged(sigstore, kind, signer).sign(keyless.statement(name)).raw)
    value["verificationMaterial"][part] = donor["verificationMaterial"][part]
    with pytest.raises(SignatureError):
        verify_attached(
            Bundle.parse(keyless.to_bytes(value)), keyless.to_root(sigstore.trusted_root()), signer.public_key
        )


@pytest.mark.parametrize("kind", KINDS)
def test_another_instance_vouches_for_nothing(
    rogue: LoopbackSigstore, signer: FileKeySigner, bundles: dict[str, Bundle], kind: str
) -> None:
    with pytest.raises((TrustError, SignatureError), match="trust root"):
        verify_attached(bundles[kind], keyless.to_root(rogue.trusted_root()), signer.public_key)


def test_a_log_whose_key_had_ended(
    sigstore: LoopbackSigstore, signer: FileKeySigner, bundles: dict[str, Bundle]
) -> None:
    root = sigstore.trusted_root()
    for log in root["tlogs"]:
        log["publicKey"]["validFor"]["end"] = log["publicKey"]["validFor"]["start"]
    with pytest.raises(TrustError, match="wasn't valid at"):
        verify_attached(bundles["v2"], keyless.to_root(root), signer.public_key)


def test_a_plain_bundle_proves_no_time(sigstore: LoopbackSigstore, signer: FileKeySigner) -> None:
    with pytest.raises(StatementError, match="proves when it was signed"):
        verify_attached(signer.sign(keyless.statement()), keyless.to_root(sigstore.trusted_root()), signer.public_key)


def test_a_keyless_bundle_is_not_for_a_key(
    sigstore: LoopbackSigstore, signer: FileKeySigner, cases: dict[str, keyless.Case]
) -> None:
    with pytest.raises(StatementError, match="got none"):
        verify_attached(cases["v1"].signed.bundle, keyless.to_root(sigstore.trusted_root()), signer.public_key)


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_no_stamp_is_no_signature(rogue: LoopbackSigstore, kind: str) -> None:
    rogue.tsa.broken = True
    with pytest.raises(SigningUnavailableError, match="gave no time stamp"):
        logged(rogue, kind).sign(keyless.statement())
    assert rogue.rekor_v1.log.get(0) is None, "nothing is logged that couldn't be stamped"


@pytest.mark.parametrize(("kind", "service"), [("v1", "rekor-v1"), ("v2", "rekor-v2")])
def test_a_log_that_is_down_can_be_tried_again(rogue: LoopbackSigstore, kind: str, service: str) -> None:
    rogue.listeners[service].close()
    with pytest.raises(SigningUnavailableError, match="doesn't answer"):
        logged(rogue, kind).sign(keyless.statement())


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_a_log_that_lies_is_found_out_before_the_bundle_leaves(rogue: LoopbackSigstore, kind: str) -> None:
    attaching = logged(rogue, kind)
    log = rogue.rekor_v1.log if kind == "v1" else rogue.rekor_v2.log
    log.key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SigningError, match="not vouched for"):
        attaching.sign(keyless.statement())


def test_the_configuration_is_checked_at_once(sigstore: LoopbackSigstore) -> None:
    config = sigstore.client_trust_config(2)
    config["signingConfig"]["rekorTlogUrls"] = []
    with pytest.raises(ConfigurationError, match="no transparency log"):
        LoggedKeySigner(file_key(), keyless.to_bytes(config))
    config = sigstore.client_trust_config(2)
    config["signingConfig"]["rekorTlogUrls"][0]["url"] = "https://log2025-1.rekor.sigstore.dev"
    with pytest.raises(ConfigurationError, match="public Sigstore"):
        LoggedKeySigner(file_key(), keyless.to_bytes(config))
    assert LoggedKeySigner(file_key(), keyless.to_bytes(config), public_instance=True)
