"""Keys and signers: what signs, what is refused, and that no secret is ever told."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError, MlsecopsError, SignatureError, SigningError, TrustError
from airflow_mlsecops.core.signing import KeySigner, PublicKey, generate_key, key_signer_from_uri
from airflow_mlsecops.core.signing.file_key import FileKeySigner, PrivateKey
from airflow_mlsecops.core.statement import Statement
from tests.support.evidence import artifact, key

PASSPHRASE = "correct horse battery staple"
GOOD_KEYS: dict[str, Callable[[], PrivateKey]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
}
BAD_KEYS: dict[str, Callable[[], PrivateKeyTypes]] = {
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "p224": lambda: ec.generate_private_key(ec.SECP224R1()),
    "dsa": lambda: dsa.generate_private_key(2048),
    "x25519": x25519.X25519PrivateKey.generate,
}


def _pem(private: PrivateKeyTypes, passphrase: str = "", style: str = "PKCS8") -> bytes:
    protection = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    return private.private_bytes(serialization.Encoding.PEM, getattr(serialization.PrivateFormat, style), protection)


def _statement() -> Statement:
    return Statement.build([artifact()], "https://example.com/p/v1", {})


@pytest.mark.parametrize("kind", GOOD_KEYS)
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE, "pässwörd"])
def test_a_key_file_signs_and_its_public_half_verifies(tmp_path: Path, kind: str, passphrase: str) -> None:
    path = tmp_path / "my key.pem"
    path.write_bytes(_pem(GOOD_KEYS[kind](), passphrase))

    signer = key_signer_from_uri(path.as_uri(), passphrase or None)
    bundle = signer.sign(_statement())

    message = pre_authentication_encoding(bundle.statement.payload)
    signer.public_key.verify(bundle.signature, message)
    assert bundle.key_hint == signer.public_key.hint == sha256_bytes(signer.public_key.pem.encode())
    with pytest.raises(SignatureError):
        signer.public_key.verify(bundle.signature, message + b" ")
    with pytest.raises(SignatureError):
        key("stranger").public_key.verify(bundle.signature, message)


@pytest.mark.parametrize("uri", ["file:{0}", "file://{0}", "file://localhost{0}", "{0}"])
def test_every_spelling_of_a_key_files_uri(tmp_path: Path, uri: str) -> None:
    path = tmp_path / "key.pem"
    pem, public = generate_key()
    path.write_bytes(pem)

    assert key_signer_from_uri(uri.format(path)).public_key == public


def test_the_older_pem_forms_are_read() -> None:
    for kind in ("p256", "rsa3072"):
        private = GOOD_KEYS[kind]()
        assert FileKeySigner(_pem(private, style="TraditionalOpenSSL")).public_key == PublicKey.of(private.public_key())


def test_a_made_key_is_read_back(tmp_path: Path) -> None:
    for passphrase in (None, PASSPHRASE):
        pem, public = generate_key(passphrase.encode() if passphrase else None)
        signer = FileKeySigner(pem, passphrase)

        assert signer.public_key == public == PublicKey.from_pem(public.pem)
        assert (b"ENCRYPTED" in pem) is bool(passphrase)
        assert isinstance(serialization.load_pem_public_key(public.pem.encode()), ec.EllipticCurvePublicKey)


def test_two_made_keys_differ() -> None:
    assert generate_key()[1] != generate_key()[1]


@pytest.mark.parametrize("kind", BAD_KEYS)
def test_keys_that_are_too_weak_or_unknown_are_refused(kind: str) -> None:
    private = BAD_KEYS[kind]()

    with pytest.raises(SigningError, match="use "):
        FileKeySigner(_pem(private))
    with pytest.raises(TrustError):
        PublicKey.of(private.public_key())


NO_KEYS: dict[str, Callable[[], tuple[bytes, str | None]]] = {
    "wrong-passphrase": lambda: (_pem(GOOD_KEYS["p256"](), PASSPHRASE), "wrong-but-secret"),
    "no-passphrase": lambda: (_pem(GOOD_KEYS["p256"](), PASSPHRASE), None),
    "needless-passphrase": lambda: (_pem(GOOD_KEYS["p256"]()), "needless-but-secret"),
    "public-key": lambda: (key("pipeline").public_key.pem.encode(), None),
    "truncated": lambda: (_pem(GOOD_KEYS["p256"]())[:-60], None),
    "no-armour": lambda: (b"".join(_pem(GOOD_KEYS["p256"]()).splitlines()[1:-1]), None),
    "changed": lambda: (_pem(GOOD_KEYS["p256"]()).replace(b"M", b"N", 3), None),
    "empty": lambda: (b"", None),
    "binary": lambda: (bytes(range(256)), None),
    "long-passphrase": lambda: (_pem(GOOD_KEYS["p256"](), PASSPHRASE), "x" * 5000),
}


@pytest.mark.parametrize("case", NO_KEYS)
def test_what_is_no_usable_key_is_refused_without_telling_the_secret(
    tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pem, passphrase = NO_KEYS[case]()
    path = tmp_path / "key.pem"
    path.write_bytes(pem)

    with pytest.raises(SigningError) as caught:
        key_signer_from_uri(str(path), passphrase)

    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert str(path) in told
    _assert_silent(told, pem, passphrase)


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_no_view_of_a_signer_tells_its_secret(passphrase: str) -> None:
    pem = _pem(GOOD_KEYS["p256"](), passphrase)
    signer = FileKeySigner(pem, passphrase or None)

    for told in (repr(signer), str(signer), f"{signer}", repr([signer]), repr(vars(signer))):
        _assert_silent(told, pem, passphrase)
    assert signer.public_key.hint[:12] in repr(signer)
    with pytest.raises(TypeError):
        pickle.dumps(signer)


def test_a_key_given_in_place_of_its_uri_is_refused_and_not_told() -> None:
    pem = _pem(GOOD_KEYS["p256"]())

    with pytest.raises(ConfigurationError, match="not a URI") as caught:
        key_signer_from_uri(pem.decode())

    _assert_silent("".join(traceback.format_exception(caught.value)), pem, None)


def _assert_silent(told: str, pem: bytes, passphrase: str | None) -> None:
    if passphrase:
        assert passphrase not in told
    secret_lines = [line for line in pem.decode("latin-1").splitlines() if len(line) > 20 and "-----" not in line]
    public_lines = key("pipeline").public_key.pem.splitlines()
    for line in secret_lines:
        assert line in public_lines or line not in told


@pytest.mark.parametrize("name", ["missing.pem", "", "folder"])
def test_a_file_that_cannot_be_read_is_no_signer(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(SigningError, match="can't be read"):
        key_signer_from_uri(str(tmp_path / name))


@pytest.mark.parametrize("uri", ["https://host/key.pem", "file2:/key.pem", "AWSKMS:alias/key", ":"])
def test_an_unknown_scheme_is_a_configuration_error(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="no signer for"):
        key_signer_from_uri(uri)


class _LyingSigner(KeySigner):
    """Gives a signature that isn't one, as a broken device would."""

    @property
    def public_key(self) -> PublicKey:
        return key("pipeline").public_key

    def _sign(self, message: bytes) -> bytes:
        return b"signature of something else"


def test_a_signature_that_does_not_verify_is_never_put_into_a_bundle() -> None:
    with pytest.raises(SigningError, match="no usable signature"):
        _LyingSigner().sign(_statement())


@given(st.sampled_from(sorted(set(GOOD_KEYS) - {"rsa3072"})), st.binary(max_size=200), st.binary(max_size=50))
def test_any_other_bytes_are_no_signature(kind: str, signature: bytes, message: bytes) -> None:
    public = PublicKey.of(GOOD_KEYS[kind]().public_key())

    with pytest.raises(SignatureError):
        public.verify(signature, message)


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_any_other_text_is_no_public_key(text: str | bytes) -> None:
    for pem in (text, "-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(TrustError):
            PublicKey.from_pem(pem)


def test_a_public_key_is_the_same_in_every_spelling() -> None:
    public = key("pipeline").public_key

    for pem in (public.pem, public.pem.encode(), public.pem.replace("\n", "\r\n"), public.pem.rstrip()):
        assert PublicKey.from_pem(pem).hint == public.hint


def test_a_private_key_is_no_public_key_and_is_not_told() -> None:
    pem = _pem(GOOD_KEYS["p256"]())

    with pytest.raises(TrustError) as caught:
        PublicKey.from_pem(pem)

    _assert_silent("".join(traceback.format_exception(caught.value)), pem, None)
    assert isinstance(caught.value, MlsecopsError)
