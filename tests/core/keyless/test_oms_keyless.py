"""Keyless model signatures: ours and those of ``model_signing``, each verified by the other, offline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import MlsecopsError, SigningError, TrustError
from airflow_mlsecops.core.oms import (
    CertificateTrust,
    Method,
    OmsBundle,
    OmsVerification,
    keyless_verifier,
    publish_oms,
    sign_oms,
    verify_oms,
)
from airflow_mlsecops.core.oms.errors import OmsFilesError, OmsSignerError
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity
from tests.support import keyless
from tests.support.loopback_sigstore import LoopbackSigstore
from tests.support.model_signing_tool import need_model_signing
from tests.support.model_signing_tool import run as run_model_signing
from tests.support.oms_models import edited, write_model
from tests.support.oms_pki import leaf, root

VERSIONS = [1, 2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "digits")


@pytest.fixture(scope="session")
def bundles(sigstore: LoopbackSigstore, tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    """A signature of the usual files, by each version of Rekor."""
    pinned = pin(str(write_model(tmp_path_factory.mktemp("keyless") / "digits")), kind=Kind.MODEL)
    return {version: sign_oms(pinned, keyless.signer(sigstore, version)) for version in VERSIONS}


def _verify(bundle: bytes, model: Path, sigstore: LoopbackSigstore, **who: str) -> OmsVerification:
    named = KeylessIdentity(who.get("identity", keyless.IDENTITY), who.get("issuer", sigstore.issuer.url))
    trust = keyless_verifier(keyless.to_root(sigstore.trusted_root()), [named])
    return verify_oms(bundle, model, trust=trust, at=utcnow())


def _config(sigstore: LoopbackSigstore, version: int, folder: Path) -> Path:
    path = folder / "trust-config.json"
    path.write_text(json.dumps(sigstore.client_trust_config(version, True)))
    return path


@pytest.mark.parametrize("version", VERSIONS)
def test_ours_is_verified_here(
    version: int, bundles: dict[int, bytes], model: Path, sigstore: LoopbackSigstore
) -> None:
    found = _verify(bundles[version], model, sigstore)

    assert found.method is Method.KEYLESS
    assert found.signer == str(keyless.worker(sigstore))
    assert found.log_entries == 2  # the entry and the stamp
    (model / "config.json").write_bytes(b"{}")
    with pytest.raises(OmsFilesError):
        _verify(bundles[version], model, sigstore)


@pytest.mark.parametrize("version", VERSIONS)
def test_model_signing_verifies_ours(
    version: int, bundles: dict[int, bytes], model: Path, sigstore: LoopbackSigstore, tmp_path: Path
) -> None:
    need_model_signing()
    signature, config = tmp_path / "model.sig", _config(sigstore, version, tmp_path)
    signature.write_bytes(bundles[version])

    def verifies(identity: str) -> bool:
        how: list[str | Path] = [
            "--signature",
            signature,
            "--trust_config",
            config,
            "--identity_provider",
            sigstore.issuer.url,
        ]
        done = run_model_signing("verify", "sigstore", model, *how, "--identity", identity)
        assert ("Verification succeeded" in done.stdout) == (done.returncode == 0), done.stderr
        return done.returncode == 0

    assert verifies(keyless.IDENTITY)
    assert not verifies("https://somebody.example/else")
    (model / "config.json").write_bytes(b"{}")
    assert not verifies(keyless.IDENTITY)


@pytest.mark.parametrize("version", VERSIONS)
def test_we_verify_what_model_signing_signs(
    version: int, model: Path, sigstore: LoopbackSigstore, tmp_path: Path
) -> None:
    need_model_signing()
    signature, config = tmp_path / "model.sig", _config(sigstore, version, tmp_path)
    token = sigstore.issuer.mint(keyless.SUBJECT)
    done = run_model_signing(
        "sign", "sigstore", model, "--signature", signature, "--trust_config", config, "--identity_token", token
    )
    assert done.returncode == 0, done.stderr
    bundle = signature.read_bytes()

    assert _verify(bundle, model, sigstore).method is Method.KEYLESS
    for who in ({"identity": "https://somebody.example/else"}, {"issuer": "https://issuer.example"}):
        with pytest.raises(TrustError):
            _verify(bundle, model, sigstore, **who)
    (model / "config.json").write_bytes(b"{}")
    with pytest.raises(OmsFilesError):
        _verify(bundle, model, sigstore)


def _entry(**fields: Any) -> Callable[[keyless.Json], object]:
    return lambda value: keyless.entry_of(value).update(fields)


REFUSED: dict[str, Callable[[keyless.Json], object]] = {
    "no-log-entry": lambda value: value["verificationMaterial"].update(tlogEntries=[]),
    "another-log": _entry(logId={"keyId": keyless.edited("A" * 43 + "=", lambda data: data)}),
    "another-place": _entry(logIndex="7"),
    "no-proof": lambda value: keyless.entry_of(value).pop("inclusionProof"),
    "changed-certificate": lambda value: value["verificationMaterial"]["certificate"].update(
        rawBytes=keyless.edited(value["verificationMaterial"]["certificate"]["rawBytes"], keyless.flipped)
    ),
    "changed-signature": lambda value: value["dsseEnvelope"]["signatures"][0].update(
        sig=keyless.edited(value["dsseEnvelope"]["signatures"][0]["sig"], keyless.flipped)
    ),
    "changed-stamp": lambda value: value["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][
        0
    ].update(
        signedTimestamp=keyless.edited(
            value["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0]["signedTimestamp"],
            keyless.flipped,
        )
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_spoilt_bundle_is_refused(
    version: int, case: str, bundles: dict[int, bytes], model: Path, sigstore: LoopbackSigstore
) -> None:
    spoilt = edited(bundles[version], REFUSED[case])

    assert json.loads(spoilt) != json.loads(bundles[version])
    with pytest.raises(MlsecopsError):
        _verify(spoilt, model, sigstore)


def test_without_its_stamp_a_v2_entry_has_no_time(
    bundles: dict[int, bytes], model: Path, sigstore: LoopbackSigstore
) -> None:
    bare = edited(bundles[2], lambda value: value["verificationMaterial"].pop("timestampVerificationData"))

    with pytest.raises(MlsecopsError):
        _verify(bare, model, sigstore)


def test_another_instance_is_not_trusted(bundles: dict[int, bytes], model: Path, rogue: LoopbackSigstore) -> None:
    with pytest.raises(MlsecopsError):
        _verify(bundles[1], model, rogue)


def test_nobody_allowed_is_refused(sigstore: LoopbackSigstore) -> None:
    with pytest.raises(TrustError):
        keyless_verifier(keyless.to_root(sigstore.trusted_root()), [])


def test_ways_of_signing_are_not_confused(bundles: dict[int, bytes], model: Path, sigstore: LoopbackSigstore) -> None:
    for trust in (leaf().signer.public_key, CertificateTrust((root().certificate,))):
        with pytest.raises(OmsSignerError):
            verify_oms(bundles[1], model, trust=trust, at=utcnow())
    by_key = sign_oms(pin(str(model)), leaf().signer)
    with pytest.raises(OmsSignerError):
        _verify(by_key, model, sigstore)
    with pytest.raises(SigningError, match="certificate of its own"):
        sign_oms(pin(str(model)), keyless.signer(sigstore, 1), certificates=[leaf().certificate])


def test_publishing_again_keeps_the_same_identitys_signature(model: Path, sigstore: LoopbackSigstore) -> None:
    pinned, signer = pin(str(model), kind=Kind.MODEL), keyless.signer(sigstore, 2)
    first = publish_oms(pinned, signer)

    assert OmsBundle.parse(first.bundle).method is Method.KEYLESS
    assert not publish_oms(pinned, signer).written
    assert pin(str(model), kind=Kind.MODEL) == pinned
    other = "system:serviceaccount:airflow:other"
    identity = KeylessIdentity(keyless.IDENTITY.replace("worker", "other"), sigstore.issuer.url)
    somebody = keyless.signer(sigstore, 2, token=lambda: sigstore.issuer.mint(other), identity=identity)
    assert publish_oms(pinned, somebody, replace=True).written


def test_the_command_verifies_by_identity(
    bundles: dict[int, bytes],
    model: Path,
    sigstore: LoopbackSigstore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from airflow_mlsecops.cli.main import main

    (model / "model.sig").write_bytes(bundles[2])
    (tmp_path / "root.json").write_bytes(keyless.to_bytes(sigstore.trusted_root()))
    question = ["oms", "verify", str(model), "--sigstore", str(tmp_path / "root.json")]

    assert main([*question, "--identity", keyless.IDENTITY, "--issuer", sigstore.issuer.url]) == 0
    assert main([*question, "--identity", "somebody", "--issuer", sigstore.issuer.url]) == 1
    assert "who is not allowed here" in capsys.readouterr().out
