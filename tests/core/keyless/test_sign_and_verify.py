"""Signing without a key of one's own, and verifying it: on Rekor v1 and v2, with the services' real protocols."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot
from airflow_mlsecops.core.signing.keyless_token import projected_token
from airflow_mlsecops.core.signing.keyless_uri import keyless_signer_from_uri
from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity, verify_keyless
from tests.support import keyless
from tests.support.loopback_sigstore import LoopbackSigstore


def certificate_of(raw: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(Bundle.parse(raw).certificate)


def test_exact_bytes_come_back_with_who_and_when(case: keyless.Case) -> None:
    verified = verify_keyless(case.signed.raw, keyless.to_root(case.root), [case.worker])
    assert verified.statement.payload == keyless.statement().payload
    assert verified.signer == case.worker
    assert abs(verified.trusted_time - datetime.now(UTC)) < timedelta(hours=1)
    assert verified == case.signed.__class__(**{**vars(case.signed), "root_digest": verified.root_digest})


def test_sigstore_python_accepts_it_too(case: keyless.Case) -> None:
    payload = keyless.sigstore_verifies(case.signed.raw, case.root, case.worker)
    assert payload == keyless.statement().payload


@pytest.mark.parametrize(("kind", "sources", "log_version"), [("v1", 2, 1), ("v1-promise-only", 1, 1), ("v2", 1, 2)])
def test_time_comes_from_stamp_and_promise(
    cases: dict[str, keyless.Case], kind: str, sources: int, log_version: int
) -> None:
    signed = cases[kind].signed
    assert len(signed.times) == sources
    assert signed.entry.log_version == log_version
    assert (signed.entry.integrated_time is not None) == (log_version == 1)


def test_what_sigstore_python_signs_alone_verifies(sigstore: LoopbackSigstore) -> None:
    raw = keyless.sign_unchecked(sigstore, 2)
    verified = verify_keyless(raw, keyless.to_root(sigstore.trusted_root()), [keyless.worker(sigstore)])
    assert verified.statement == keyless.statement()


def test_one_of_several_allowed_identities(case: keyless.Case) -> None:
    other = KeylessIdentity("someone@example.test", case.worker.issuer)
    verified = verify_keyless(case.signed.raw, keyless.to_root(case.root), [other, case.worker])
    assert verified.signer == case.worker


def test_root_may_come_inside_a_client_configuration(sigstore: LoopbackSigstore, case: keyless.Case) -> None:
    root = SigstoreRoot.from_bytes(keyless.to_bytes(sigstore.client_trust_config(1)))
    assert verify_keyless(case.signed.raw, root, [case.worker]).root_digest == root.digest


def test_one_certificate_signs_many(sigstore: LoopbackSigstore) -> None:
    before = sigstore.listeners["fulcio"].requests
    signed = keyless.signer(sigstore, 2).sign_all([keyless.statement(f"model-{number}") for number in range(5)])
    assert sigstore.listeners["fulcio"].requests == before + 1
    assert [item.statement.subjects[0][0] for item in signed] == [f"model-{number}" for number in range(5)]
    assert len({certificate_of(item.raw).serial_number for item in signed}) == 1


def test_new_certificate_when_the_old_one_is_about_to_end(rogue: LoopbackSigstore) -> None:
    rogue.fulcio.lifetime = timedelta(seconds=50)
    signed = keyless.signer(rogue, 1).sign_all([keyless.statement("a"), keyless.statement("b")])
    assert len({certificate_of(item.raw).serial_number for item in signed}) == 2


def test_nothing_to_sign_asks_for_nothing(rogue: LoopbackSigstore) -> None:
    assert keyless.signer(rogue, 1).sign_all([]) == []
    assert rogue.listeners["fulcio"].requests == 0


def test_projected_token_is_read_again_for_every_certificate(sigstore: LoopbackSigstore, tmp_path: Path) -> None:
    path = tmp_path / "token"
    sigstore.issuer.project("https://first.test/workload", path)
    assert path.stat().st_mode & 0o777 == 0o600
    first = KeylessIdentity("https://first.test/workload", sigstore.issuer.url)
    signer = keyless.signer(sigstore, 1, token=projected_token(path), identity=first)
    assert signer.sign_verified(keyless.statement()).signer == first
    sigstore.issuer.project("https://second.test/workload", path)
    with pytest.raises(Exception, match=r"second\.test"):
        signer.sign_verified(keyless.statement())


def test_verified_email_is_an_identity(sigstore: LoopbackSigstore) -> None:
    claims = {"email": "alice@example.test", "email_verified": True}
    alice = KeylessIdentity("alice@example.test", sigstore.issuer.url)
    signer = keyless.signer(
        sigstore, 2, token=lambda: sigstore.issuer.mint("some-opaque-id", claims=claims), identity=alice
    )
    assert signer.sign_verified(keyless.statement()).signer == alice


@pytest.mark.parametrize("log_version", [1, 2])
def test_uri_names_instance_token_and_identity(sigstore: LoopbackSigstore, tmp_path: Path, log_version: int) -> None:
    both = sigstore.client_trust_config(1)
    both["signingConfig"]["rekorTlogUrls"] += sigstore.client_trust_config(2)["signingConfig"]["rekorTlogUrls"]
    config = tmp_path / "with space" / "sigstore.json"
    config.parent.mkdir()
    config.write_text(json.dumps(both), encoding="utf-8")
    sigstore.issuer.project(keyless.SUBJECT, tmp_path / "token", audience="sigstore")
    signer = keyless_signer_from_uri(
        f"sigstore:{quote(str(config))}?identity={quote(keyless.IDENTITY)}&issuer={quote(sigstore.issuer.url)}"
        f"&token={tmp_path}/token&audience=sigstore&log={log_version}"
    )
    signed = signer.sign_verified(keyless.statement())
    assert signed.entry.log_version == log_version
    assert signed.signer == keyless.worker(sigstore)


def test_same_folder_is_the_same_instance(tmp_path: Path) -> None:
    with LoopbackSigstore(tmp_path) as first:
        raw = keyless.sign_unchecked(first, 1)
        root, head = first.trusted_root(), first.rekor_v1.log.checkpoint().split("\n")[:3]
    with LoopbackSigstore(tmp_path) as second:
        assert second.trusted_root() == root
        assert second.rekor_v1.log.checkpoint().split("\n")[:3] == head
        verify_keyless(raw, keyless.to_root(second.trusted_root()), [keyless.worker(second)])
        again = keyless.signer(second, 1).sign_verified(keyless.statement())
        assert again.entry.index == 1


def test_verifying_needs_no_network(case: keyless.Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert verify_keyless(case.signed.raw, keyless.to_root(case.root), [case.worker])


def test_importing_is_light() -> None:
    code = (
        "import sys\n"
        "import airflow_mlsecops.core.signing.keyless\n"
        "print(sorted({'sigstore', 'jwt', 'requests', 'pydantic', 'rfc3161_client'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
