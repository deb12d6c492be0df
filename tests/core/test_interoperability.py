"""What other implementations of the formats make of our bundles."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.signing.file_key import FileKeySigner, PrivateKey
from airflow_mlsecops.core.statement import Statement
from tests.support.evidence import artifact

KEYS: dict[str, Callable[[], PrivateKey]] = {
    "ecdsa-sha2-nistp256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-sha2-nistp384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa-pkcs1v15-sha256": lambda: rsa.generate_private_key(65537, 3072),
}


def _signed(private: PrivateKey) -> Bundle:
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return FileKeySigner(pem).sign(Statement.build([artifact()], "https://example.com/p/v1", {"ü": 1}))


@pytest.mark.parametrize("scheme", KEYS)
def test_securesystemslib_verifies_our_signatures(scheme: str) -> None:
    private = KEYS[scheme]()
    envelope = Envelope.from_dict(json.loads(_signed(private).raw)["dsseEnvelope"])
    known = SSlibKey.from_crypto(private.public_key(), scheme=scheme)
    stranger = SSlibKey.from_crypto(KEYS[scheme]().public_key(), scheme=scheme)
    known.keyid = stranger.keyid = ""  # our envelopes name no key id: the bundle's hint names the key

    assert envelope.verify([known], 1) == {"": known}
    with pytest.raises(VerificationError):
        envelope.verify([stranger], 1)


@pytest.mark.parametrize("scheme", KEYS)
def test_the_sigstore_projects_bundle_model_reads_our_bundles(scheme: str) -> None:
    from sigstore_models.bundle.v1 import Bundle as SigstoreBundle

    ours = _signed(KEYS[scheme]())

    theirs = SigstoreBundle.from_json(ours.raw)

    assert theirs.media_type == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert theirs.verification_material.public_key is not None
    assert theirs.verification_material.public_key.hint == ours.key_hint
    assert theirs.dsse_envelope is not None
    assert theirs.dsse_envelope.payload == ours.statement.payload
    assert theirs.dsse_envelope.payload_type == "application/vnd.in-toto+json"
    assert [signature.sig for signature in theirs.dsse_envelope.signatures] == [ours.signature]


def test_what_the_sigstore_projects_model_writes_is_read_here() -> None:
    from sigstore_models.bundle.v1 import Bundle as SigstoreBundle

    ours = _signed(KEYS["ed25519"]())
    written = SigstoreBundle.from_json(ours.raw).to_json()

    read = Bundle.parse(written.encode())

    assert (read.statement, read.signature, read.key_hint) == (ours.statement, ours.signature, ours.key_hint)
