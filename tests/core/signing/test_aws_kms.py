"""``awskms:`` signers, by the real boto3 against a key service on this machine."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.errors import ConfigurationError, SigningError
from airflow_mlsecops.core.signing import PublicKey, SignerAccess, key_signer_from_uri
from airflow_mlsecops.core.signing.errors import SigningUnavailableError
from tests.support import keyless
from tests.support.loopback_kms import ACCOUNT, Key, KmsError, LoopbackKms

SECRET = "an-aws-secret-key"
KEYS: dict[str, Callable[[], Key]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def client(region: str, endpoint: str) -> Any:
    """As the product's own, but it asks once: what is retried is boto3's affair."""
    import boto3
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=30, read_timeout=30)
    return boto3.Session().client("kms", region_name=region, endpoint_url=endpoint, config=config)


@pytest.fixture
def kms() -> Iterator[LoopbackKms]:
    with LoopbackKms({"1234": KEYS["p256"]()}, {"alias/models": "1234"}) as service:
        yield service


def uri(kms: LoopbackKms, key: str = "alias/models") -> str:
    return f"awskms:{key}?region=eu-central-1&endpoint={kms.url}"


@pytest.mark.parametrize("kind", KEYS)
def test_only_the_digest_is_sent_and_the_signature_verifies(kms: LoopbackKms, kind: str) -> None:
    kms.keys["1234"] = KEYS[kind]()
    signer = key_signer_from_uri(uri(kms))
    assert not kms.requests, "nothing is asked before it is needed"

    bundle = signer.sign(keyless.statement())

    message = pre_authentication_encoding(bundle.statement.payload)
    PublicKey.of(kms.keys["1234"].public_key()).verify(bundle.signature, message)
    assert bundle.key_hint == signer.public_key.hint
    (asked, signed) = kms.requests
    size = {"p384": "sha384", "p521": "sha512"}.get(kind, "sha256")
    assert asked == ("GetPublicKey", {"KeyId": "alias/models"})
    assert signed[1]["MessageType"] == "DIGEST"
    assert base64.b64decode(signed[1]["Message"]) == hashlib.new(size, message).digest()
    assert signed[1]["KeyId"] == f"{ACCOUNT}:key/1234", "the alias could be moved in between"


@pytest.mark.parametrize("key", ["1234", "alias/models", f"{ACCOUNT}:key/1234", f"{ACCOUNT}:alias/models", "///1234"])
def test_every_name_of_a_key(kms: LoopbackKms, key: str) -> None:
    assert key_signer_from_uri(uri(kms, key)).sign_bytes(b"checkpoint")


def test_an_arn_names_the_region_and_clients_come_from_the_connection(kms: LoopbackKms) -> None:
    asked = []

    def give(region: str, endpoint: str) -> Any:
        asked.append((region, endpoint))
        return client(region, kms.url)

    key_signer_from_uri(f"awskms:{ACCOUNT}:key/1234", access=SignerAccess(kms=give)).sign_bytes(b"x")
    assert asked == [("eu-central-1", "")]


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        (KmsError("ThrottlingException"), SigningUnavailableError, "try again"),
        (KmsError("KMSInternalException", 500), SigningUnavailableError, "try again"),
        (KmsError("DependencyTimeoutException", 503), SigningUnavailableError, "try again"),
        (KmsError("AccessDeniedException"), SigningError, "allow kms:GetPublicKey"),
        (KmsError("NotFoundException"), SigningError, "check the key and the region"),
        (KmsError("DisabledException"), SigningError, "enable the key"),
        (KmsError("KMSInvalidStateException"), SigningError, "see the key's state"),
        (KmsError("SomethingNewException"), SigningError, "CloudTrail"),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.parametrize("when", ["first", "later"])
def test_what_the_service_refuses(
    kms: LoopbackKms, fault: KmsError, error: type[SigningError], told: str, when: str
) -> None:
    signer = key_signer_from_uri(uri(kms), access=SignerAccess(kms=client))
    if when == "later":
        assert signer.public_key
    kms.fault = fault
    with pytest.raises(SigningError, match=told) as caught:
        signer.sign(keyless.statement())
    assert type(caught.value) is error
    assert caught.value.transient is (error is SigningUnavailableError)
    assert SECRET not in str(caught.value)


def test_a_service_that_is_down_can_be_tried_again(kms: LoopbackKms) -> None:
    kms.listener.close()
    with pytest.raises(SigningUnavailableError, match="doesn't answer"):
        key_signer_from_uri(uri(kms), access=SignerAccess(kms=client)).sign(keyless.statement())


def test_without_credentials_nothing_is_tried_again(
    kms: LoopbackKms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(SigningError, match="credentials") as caught:
        key_signer_from_uri(uri(kms), access=SignerAccess(kms=client)).sign(keyless.statement())
    assert not caught.value.transient
    assert not kms.requests


BAD_KEYS: dict[str, Callable[[], Key]] = {
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
}


@pytest.mark.parametrize("kind", BAD_KEYS)
def test_keys_that_are_too_weak_or_unknown(kms: LoopbackKms, kind: str) -> None:
    kms.keys["1234"] = BAD_KEYS[kind]()
    with pytest.raises(SigningError, match="use "):
        _ = key_signer_from_uri(uri(kms)).public_key


def test_a_key_for_encryption(kms: LoopbackKms) -> None:
    kms.usage = "ENCRYPT_DECRYPT"
    with pytest.raises(SigningError, match="not for signing"):
        _ = key_signer_from_uri(uri(kms)).public_key


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("PublicKey", base64.b64encode(b"nothing").decode(), "no public key"),
        ("SigningAlgorithms", ["ECDSA_SHA_512"], "can't sign by"),
    ],
)
def test_a_description_that_is_none(kms: LoopbackKms, field: str, value: Any, told: str) -> None:
    kms.tamper = {field: value}
    with pytest.raises(SigningError, match=told):
        _ = key_signer_from_uri(uri(kms)).public_key


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("KeyId", f"{ACCOUNT}:key/other", "another key"),
        ("Signature", base64.b64encode(b"\x30\x06\x02\x01\x01\x02\x01\x01\x00").decode(), "canonical DER"),
        ("Signature", base64.b64encode(b"r and s, raw").decode(), "canonical DER"),
        ("Signature", base64.b64encode(b"\x30\x06\x02\x01\x01\x02\x01\x01").decode(), "no usable signature"),
    ],
)
def test_an_answer_that_is_no_signature_of_ours(kms: LoopbackKms, field: str, value: str, told: str) -> None:
    signer = key_signer_from_uri(uri(kms))
    assert signer.public_key
    kms.tamper = {field: value}
    with pytest.raises(SigningError, match=told):
        signer.sign(keyless.statement())


@pytest.mark.parametrize(
    "wrong",
    [
        "awskms:",
        "awskms:///",
        "awskms:alias/a?regio=x",
        "awskms:alias/a?region=",
        "awskms:alias/a?region=a&region=b",
        "awskms:alias/a?endpoint=http://kms.example.test",
        "awskms:alias/a?region",
        "awskms:alias/a?log=1",
    ],
)
def test_uris_that_are_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError):
        key_signer_from_uri(wrong)
