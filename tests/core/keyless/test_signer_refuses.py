"""What the signer refuses before anything is sent, what the services refuse, and what comes of services that fail."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_mlsecops.core.errors import ConfigurationError, SigningError, TrustError
from airflow_mlsecops.core.signing.errors import SigningUnavailableError
from airflow_mlsecops.core.signing.keyless import KeylessSigner
from airflow_mlsecops.core.signing.keyless_token import MAX_TOKEN_BYTES, projected_token
from airflow_mlsecops.core.signing.keyless_uri import keyless_signer_from_uri
from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity
from tests.support import keyless
from tests.support.loopback_sigstore import LoopbackSigstore

Json = dict[str, Any]


def refused_token(sigstore: LoopbackSigstore, token: str, asks_the_authority: bool) -> SigningError:
    """Sign with this token; returns the refusal, which must not quote it."""
    before = sigstore.listeners["fulcio"].requests
    with pytest.raises(SigningError) as caught:
        keyless.signer(sigstore, 2, token=lambda: token).sign_verified(keyless.statement())
    assert sigstore.listeners["fulcio"].requests - before == int(asks_the_authority)
    assert not caught.value.transient
    error: BaseException | None = caught.value
    while error is not None:
        assert token == "" or token not in str(error)
        assert token == "" or token not in repr(error)
        error = error.__cause__
    return caught.value


def test_expired_token(sigstore: LoopbackSigstore) -> None:
    token = sigstore.issuer.mint(keyless.SUBJECT, lifetime=timedelta(minutes=-5))
    assert "has expired" in str(refused_token(sigstore, token, False))


def test_token_for_another_audience(sigstore: LoopbackSigstore) -> None:
    token = sigstore.issuer.mint(keyless.SUBJECT, audience="https://kubernetes.default.svc")
    assert "not for the audience 'sigstore'" in str(refused_token(sigstore, token, False))


def test_token_by_another_issuer(sigstore: LoopbackSigstore) -> None:
    token = sigstore.issuer.mint(keyless.SUBJECT, claims={"iss": "https://issuer.example.test"})
    assert "by issuer https://issuer.example.test" in str(refused_token(sigstore, token, False))


@pytest.mark.parametrize("token", ["", "abc", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "\u00e9" * 30])
def test_no_token_at_all(sigstore: LoopbackSigstore, token: str) -> None:
    assert "malformed" in str(refused_token(sigstore, token, False))


@pytest.mark.parametrize("claim", ["sub", "aud", "exp", "iat", "iss"])
def test_token_that_lacks_a_claim(sigstore: LoopbackSigstore, claim: str) -> None:
    import jwt

    claims = {"iss": sigstore.issuer.url, "sub": keyless.SUBJECT, "aud": "sigstore", "iat": 1, "exp": 2**40}
    del claims[claim]
    token = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256")
    refused_token(sigstore, token, False)


def test_forged_token(sigstore: LoopbackSigstore) -> None:
    token = sigstore.issuer.mint(keyless.SUBJECT, key=ec.generate_private_key(ec.SECP256R1()))
    assert "refuses with 401" in str(refused_token(sigstore, token, True))


def test_altered_token(sigstore: LoopbackSigstore) -> None:
    head, _, tail = sigstore.issuer.mint("https://other.test/workload").split(".")
    _, body, _ = sigstore.issuer.mint(keyless.SUBJECT).split(".")
    assert "refuses with 401" in str(refused_token(sigstore, f"{head}.{body}.{tail}", True))


def test_unverified_email(sigstore: LoopbackSigstore) -> None:
    token = sigstore.issuer.mint("id", claims={"email": "alice@example.test", "email_verified": False})
    assert "refuses with 400" in str(refused_token(sigstore, token, True))


def test_token_of_another_workload(sigstore: LoopbackSigstore) -> None:
    token = sigstore.issuer.mint("system:serviceaccount:airflow:other")
    error = refused_token(sigstore, token, True)
    assert "serviceaccounts/other" in str(error)
    assert "not allowed here" in str(error)


def test_authority_whose_ct_log_is_not_trusted(rogue: LoopbackSigstore) -> None:
    signer = keyless.signer(rogue, 2)
    rogue.fulcio.ct_key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SigningError, match="SCT"):
        signer.sign_verified(keyless.statement())
    assert rogue.rekor_v2.log.get(0) is None, "nothing may be logged with such a certificate"


def test_log_that_is_not_trusted(rogue: LoopbackSigstore, sigstore: LoopbackSigstore) -> None:
    config = rogue.client_trust_config(2)
    config["trustedRoot"]["tlogs"] = sigstore.trusted_root()["tlogs"]
    signer = KeylessSigner(keyless.to_bytes(config), lambda: rogue.issuer.mint(keyless.SUBJECT), keyless.worker(rogue))
    with pytest.raises(SigningError, match="not in the Sigstore trust root"):
        signer.sign_verified(keyless.statement())


def test_time_that_does_not_fit_the_certificate(rogue: LoopbackSigstore) -> None:
    rogue.clocks["tsa"].offset = timedelta(hours=1)
    with pytest.raises(SigningError, match="certificate"):
        keyless.signer(rogue, 2).sign_verified(keyless.statement())


@pytest.mark.parametrize("log_version", [1, 2])
def test_stamp_authority_out_of_order(rogue: LoopbackSigstore, log_version: int) -> None:
    rogue.tsa.broken = True
    with pytest.raises(SigningUnavailableError, match="gave no time stamp"):
        keyless.signer(rogue, log_version).sign_verified(keyless.statement())


@pytest.mark.parametrize(
    ("service", "message"), [("fulcio", "doesn't answer"), ("rekor-v2", "doesn't answer"), ("oidc", "answers 503")]
)
def test_service_that_is_down_can_be_tried_again(rogue: LoopbackSigstore, service: str, message: str) -> None:
    rogue.listeners[service].close()
    with pytest.raises(SigningUnavailableError, match=message) as caught:
        keyless.signer(rogue, 2).sign_verified(keyless.statement())
    assert caught.value.transient
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def no_services(config: Json) -> None:
    config["signingConfig"]["caUrls"] = []


def no_logs(config: Json) -> None:
    config["signingConfig"]["rekorTlogUrls"] = []


def no_stamps(config: Json) -> None:
    del config["signingConfig"]["tsaUrls"]


def public(config: Json) -> None:
    config["signingConfig"]["caUrls"][0]["url"] = "https://fulcio.sigstore.dev"


def public_log(config: Json) -> None:
    config["signingConfig"]["rekorTlogUrls"][0]["url"] = "https://log2025-1.rekor.sigstore.dev"


def public_staging(config: Json) -> None:
    config["signingConfig"]["caUrls"][0]["url"] = "https://fulcio.sigstage.dev"


def in_the_clear(config: Json) -> None:
    config["signingConfig"]["caUrls"][0]["url"] = "http://fulcio.example.test"


def looks_like_loopback(config: Json) -> None:
    config["signingConfig"]["caUrls"][0]["url"] = "http://127.0.0.1.example.test"


def bad_services(config: Json) -> None:
    config["signingConfig"]["caUrls"] = [{"url": "https://fulcio.example.test"}]


def only_a_root(config: Json) -> None:
    config.pop("signingConfig")


def other_type(config: Json) -> None:
    config["mediaType"] = "application/json"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_services, "no certificate authority"),
        (no_logs, "no transparency log"),
        (no_stamps, "Rekor v2 tells no time"),
        (public, "public Sigstore"),
        (public_log, "public Sigstore"),
        (public_staging, "public Sigstore"),
        (in_the_clear, "not https"),
        (looks_like_loopback, "not https"),
        (bad_services, "can't be read"),
        (only_a_root, "expected a client trust configuration"),
        (other_type, "expected a client trust configuration"),
    ],
)
def test_configuration(sigstore: LoopbackSigstore, change: Callable[[Json], None], message: str) -> None:
    config = sigstore.client_trust_config(2)
    change(config)
    with pytest.raises(ConfigurationError, match=message):
        KeylessSigner(keyless.to_bytes(config), lambda: "", keyless.worker(sigstore))


@pytest.mark.parametrize("data", [b"", b"{}", b"not json", b"[]", b'{"mediaType": 5, "signingConfig": {}}'])
def test_no_configuration(sigstore: LoopbackSigstore, data: bytes) -> None:
    with pytest.raises(ConfigurationError):
        KeylessSigner(data, lambda: "", keyless.worker(sigstore))


def test_public_instance_only_when_said(sigstore: LoopbackSigstore) -> None:
    config = sigstore.client_trust_config(2)
    public(config)
    assert KeylessSigner(keyless.to_bytes(config), lambda: "", keyless.worker(sigstore), public_instance=True)


def test_log_of_a_version_that_is_not_there(sigstore: LoopbackSigstore) -> None:
    with pytest.raises(ConfigurationError, match="no Rekor v1"):
        KeylessSigner(
            keyless.to_bytes(sigstore.client_trust_config(2)), lambda: "", keyless.worker(sigstore), log_version=1
        )


@pytest.mark.parametrize("name", ["certificateAuthorities", "ctlogs", "tlogs"])
def test_trust_root_without_what_it_needs(sigstore: LoopbackSigstore, name: str) -> None:
    config = sigstore.client_trust_config(2)
    config["trustedRoot"][name] = []
    with pytest.raises(TrustError, match=f"no {name}"):
        KeylessSigner(keyless.to_bytes(config), lambda: "", keyless.worker(sigstore))


def test_trust_root_that_sigstore_cannot_read(sigstore: LoopbackSigstore) -> None:
    config = sigstore.client_trust_config(2)
    config["trustedRoot"]["tlogs"][0]["surprise"] = 1
    with pytest.raises(TrustError, match="can't be read"):
        KeylessSigner(keyless.to_bytes(config), lambda: "", keyless.worker(sigstore))


@pytest.mark.parametrize(
    "uri",
    [
        "file:/config.json?identity=a&issuer=b&token=c",
        "sigstore:?identity=a&issuer=b&token=c",
        "sigstore:/config.json",
        "sigstore:/config.json?identity=a&issuer=b",
        "sigstore:/config.json?identity=a&issuer=&token=c",
        "sigstore:/config.json?identity=a&identity=a2&issuer=b&token=c",
        "sigstore:/config.json?identity=a&issuer=b&token=c&log=3",
        "sigstore:/config.json?identity=a&issuer=b&token=c&instance=private",
        "sigstore:/config.json?identity=a&issuer=b&token=c&tsa=none",
        "sigstore:/config.json?identity=a&issuer=b&token=c#x",
        "sigstore://fulcio.example.test/config.json?identity=a&issuer=b&token=c",
        "sigstore:/nowhere/config.json?identity=a&issuer=b&token=c",
    ],
)
def test_uri(uri: str) -> None:
    with pytest.raises(ConfigurationError):
        keyless_signer_from_uri(uri)


@pytest.mark.parametrize("content", [None, b"x" * (MAX_TOKEN_BYTES + 1), b"\xff\xfe"])
def test_token_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SigningError, match="token") as caught:
        projected_token(path)()
    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, OSError)


def test_repr_tells_who_and_nothing_else(sigstore: LoopbackSigstore) -> None:
    text = repr(keyless.signer(sigstore, 2))
    assert keyless.IDENTITY in text
    assert "eyJ" not in text


def test_services_as_text_in_errors(sigstore: LoopbackSigstore) -> None:
    config = json.loads(keyless.to_bytes(sigstore.client_trust_config(1)))
    config["signingConfig"]["rekorTlogUrls"][0]["url"] = sigstore.url("tsa")
    signer = KeylessSigner(
        keyless.to_bytes(config),
        lambda: sigstore.issuer.mint(keyless.SUBJECT),
        KeylessIdentity(keyless.IDENTITY, sigstore.issuer.url),
    )
    with pytest.raises(SigningError, match="refuses with 404"):
        signer.sign_verified(keyless.statement())
