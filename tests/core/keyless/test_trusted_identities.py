"""Identities in the trust policy: judged at the trusted time, of the instance that the policy names and pins."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.clock import to_text, utcnow
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import MlsecopsError, RevokedError, SignatureError, TrustError
from airflow_mlsecops.core.evidence import verify_bundle
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.core.predicates.revocation import identity_digest
from airflow_mlsecops.core.signing.attach import LoggedKeySigner
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.verification import verify_signature
from tests.support import keyless
from tests.support.evidence import RUN, MemoryBackend, World, artifact, key
from tests.support.loopback_sigstore import LoopbackSigstore


@pytest.fixture(scope="session")
def signed(sigstore: LoopbackSigstore) -> Bundle:
    statement = signature.build(artifact(), signed_at=utcnow(), evidence=[], run=RUN)
    return keyless.signer(sigstore, 2).sign(statement)


def _document(sigstore: LoopbackSigstore, signer: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    who = keyless.worker(sigstore)
    entry = {"name": "worker", "identity": who.identity, "issuer": who.issuer, "sigstore": "here", "roles": ["sign"]}
    root = json.dumps(sigstore.trusted_root())
    return {
        "version": 1,
        "signers": [{**entry, **(signer or {})}],
        "sigstore": [{"name": "here", "trusted_root": root}],
        **sections,
    }


def _trust(sigstore: LoopbackSigstore, signer: dict[str, Any] | None = None, **sections: Any) -> TrustPolicy:
    return TrustPolicy.from_bytes(json.dumps(_document(sigstore, signer, **sections)).encode())


def _around(moment: datetime, minutes: int) -> str:
    return to_text(moment + timedelta(minutes=minutes))


def test_an_identity_counts_under_its_name(sigstore: LoopbackSigstore, signed: Bundle) -> None:
    who = keyless.worker(sigstore)
    evidence = verify_bundle(signed, _trust(sigstore), utcnow())
    assert evidence.signer == "worker"
    assert evidence.signed_with == identity_digest(who.identity, who.issuer)
    assert evidence.trusted_time is not None and abs(utcnow() - evidence.trusted_time) < timedelta(hours=1)


@pytest.mark.parametrize(
    "signer", [{"identity": "https://example.com/other"}, {"issuer": "https://example.com"}, {"roles": ["gate"]}]
)
def test_somebody_else_does_not(sigstore: LoopbackSigstore, signed: Bundle, signer: dict[str, Any]) -> None:
    with pytest.raises(TrustError):
        verify_bundle(signed, _trust(sigstore, signer), utcnow())


def test_a_policy_of_keys_knows_no_certificate(sigstore: LoopbackSigstore, signed: Bundle) -> None:
    entry = {"name": "k", "public_key": key("pipeline").public_key.pem, "roles": ["sign"], "sigstore": "here"}
    document = _document(sigstore) | {"signers": [entry]}
    with pytest.raises(TrustError, match="keys only"):
        verify_bundle(signed, TrustPolicy.from_bytes(json.dumps(document).encode()), utcnow())


def test_an_identity_at_another_instance_does_not_count(
    sigstore: LoopbackSigstore, rogue: LoopbackSigstore, signed: Bundle
) -> None:
    document = _document(sigstore)
    document["sigstore"].append({"name": "there", "trusted_root": json.dumps(rogue.trusted_root())})
    assert verify_bundle(signed, TrustPolicy.from_bytes(json.dumps(document).encode()), utcnow())
    document["signers"][0]["sigstore"] = "there"
    with pytest.raises((TrustError, SignatureError)):
        verify_bundle(signed, TrustPolicy.from_bytes(json.dumps(document).encode()), utcnow())


def test_validity_is_judged_when_it_was_signed(sigstore: LoopbackSigstore, signed: Bundle) -> None:
    made = verify_bundle(signed, _trust(sigstore), utcnow()).trusted_time
    assert made is not None
    later = utcnow() + timedelta(days=3650)
    assert verify_bundle(signed, _trust(sigstore, {"not_after": _around(made, 1)}), later)
    for limit in ({"not_after": _around(made, -1)}, {"not_before": _around(made, 1)}):
        with pytest.raises(TrustError, match="valid"):
            verify_bundle(signed, _trust(sigstore, limit), later)
    with pytest.raises(TrustError, match="ahead"):
        verify_bundle(signed, _trust(sigstore), made - timedelta(hours=1))


@pytest.mark.parametrize(
    "cause, minutes, counts",
    [
        ("superseded", 1, True),
        ("superseded", -1, False),
        ("retired", 1, True),
        ("retired", -1, False),
        ("compromised", 1, True),
        ("compromised", -1, False),
        ("compromised", None, False),
        ("untrusted", 1, False),
    ],
)
def test_what_falls_with_an_identity(
    sigstore: LoopbackSigstore, signed: Bundle, cause: str, minutes: int | None, counts: bool
) -> None:
    made = verify_bundle(signed, _trust(sigstore), utcnow()).trusted_time
    assert made is not None
    rule = {"signer": "worker", "cause": cause, **({} if minutes is None else {"since": _around(made, minutes)})}
    policy = _trust(sigstore, revoked=[rule])
    if counts:
        assert verify_bundle(signed, policy, utcnow())
    else:
        with pytest.raises(RevokedError):
            verify_bundle(signed, policy, utcnow())


def test_a_revocation_statement_about_an_identity(sigstore: LoopbackSigstore, signed: Bundle) -> None:
    revoker = {"name": "revoker", "public_key": key("revoker").public_key.pem, "roles": ["revoke"]}
    document = _document(sigstore)
    document["signers"].append(revoker)
    world = World(MemoryBackend(), TrustPolicy.from_bytes(json.dumps(document).encode()), now=utcnow())
    world.store.put(signed)
    assert verify_signature(world.model, world.store, world.trust, world.now)
    who = keyless.worker(sigstore)
    digest = identity_digest(who.identity, who.issuer)
    world.revoke(digest, target="identity", cause="compromised", since=-1)
    assert verify_signature(world.model, world.store, world.trust, world.now)  # signed before, and somebody says so
    world.revoke(digest, target="identity", cause="compromised", since=24)
    assert not verify_signature(world.model, world.store, world.trust, world.now)


def test_a_trust_root_beside_the_policy_is_pinned(sigstore: LoopbackSigstore, signed: Bundle, tmp_path: Path) -> None:
    root = json.dumps(sigstore.trusted_root()).encode()
    (tmp_path / "root.json").write_bytes(root)
    pin = {"name": "here", "trusted_root": "root.json", "sha256": sha256_bytes(root)}
    path = tmp_path / "trust.json"
    path.write_text(json.dumps(_document(sigstore) | {"sigstore": [pin]}))
    assert verify_bundle(signed, TrustPolicy.from_file(path), utcnow())

    (tmp_path / "root.json").write_bytes(root + b"\n")
    with pytest.raises(TrustError, match="expected"):
        TrustPolicy.from_file(path)
    (tmp_path / "root.json").unlink()
    with pytest.raises(TrustError, match="can't be read"):
        TrustPolicy.from_file(path)


def test_an_identity_stands_once_and_an_instance_too(sigstore: LoopbackSigstore) -> None:
    document = _document(sigstore)
    for section in ("signers", "sigstore"):
        twice = {**document, section: [*document[section], {**document[section][0]}]}
        with pytest.raises(MlsecopsError, match="twice"):
            TrustPolicy.from_bytes(json.dumps(twice).encode())


def test_a_key_has_a_trusted_time_only_where_its_signer_names_the_instance(sigstore: LoopbackSigstore) -> None:
    config = keyless.to_bytes(sigstore.client_trust_config(2, True))
    bundle = LoggedKeySigner(key("pipeline"), config).sign(
        signature.build(artifact(), signed_at=utcnow(), evidence=[], run=RUN)
    )
    entry = {"name": "k", "public_key": key("pipeline").public_key.pem, "roles": ["sign"]}
    plain = TrustPolicy.from_bytes(json.dumps(_document(sigstore) | {"signers": [entry]}).encode())
    named = TrustPolicy.from_bytes(
        json.dumps(_document(sigstore) | {"signers": [entry | {"sigstore": "here"}]}).encode()
    )
    assert verify_bundle(bundle, plain, utcnow()).trusted_time is None
    assert verify_bundle(bundle, named, utcnow()).trusted_time is not None
