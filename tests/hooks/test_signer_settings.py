"""From the connection to the signer: what is read, what is handed on, and that no secret is told."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_mlsecops.core.errors import ConfigurationError, MlsecopsError
from airflow_mlsecops.core.signing import KeySigner, generate_key
from airflow_mlsecops.core.signing.attach import LoggedKeySigner
from airflow_mlsecops.core.signing.keyless import KeylessSigner
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from tests.support import keyless
from tests.support.loopback_kms import LoopbackKms
from tests.support.loopback_sigstore import LoopbackSigstore

PASSPHRASE = "correct horse battery"
AWS_SECRET = "aws-secret-of-the-connection"


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(signer: str, **extra: Any) -> MlsecopsHook:
        whole = {
            "evidence_root": str(tmp_path),
            "trust_policy": str(tmp_path / "trust.yaml"),
            "signer": signer,
            **extra,
        }
        fields = {"conn_type": "mlsecops", "password": PASSPHRASE, "extra": whole}
        monkeypatch.setenv("AIRFLOW_CONN_MLSECOPS_SIGNING", json.dumps(fields))
        return MlsecopsHook("mlsecops_signing")

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return make


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(generate_key(PASSPHRASE.encode())[0])
    return path


@pytest.mark.parametrize("as_text", [True, False])
def test_the_configuration_in_the_connection(connect: Any, key: Path, tmp_path: Path, as_text: bool) -> None:
    with LoopbackSigstore(tmp_path / "sigstore") as sigstore:
        config: Any = sigstore.client_trust_config(2)
        config = json.dumps(config) if as_text else config
        logged = connect(f"file:{key}?sigstore=connection", sigstore_config=config).signer
        assert isinstance(logged, LoggedKeySigner)
        assert logged.sign(keyless.statement()).timestamps
        sigstore.issuer.project(keyless.SUBJECT, tmp_path / "token")
        who = f"identity={quote(keyless.IDENTITY)}&issuer={quote(sigstore.issuer.url)}&token={tmp_path}/token"
        signer = connect(f"sigstore:connection?{who}", sigstore_config=config).signer
        assert isinstance(signer, KeylessSigner)
        assert signer.sign(keyless.statement()).certificate


def test_kms_uses_the_aws_connection_but_not_its_endpoint_for_s3(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    extra = {"region_name": "eu-central-1", "endpoint_url": "http://127.0.0.1:1"}
    fields = {"conn_type": "aws", "login": "AKIAEXAMPLE", "password": AWS_SECRET, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_KEYS", json.dumps(fields))
    with LoopbackKms({"1234": ec.generate_private_key(ec.SECP256R1())}) as kms:
        signer = connect(f"awskms:1234?endpoint={kms.url}", aws_conn_id="keys").signer
        assert isinstance(signer, KeySigner)
        assert signer.sign(keyless.statement()).key_hint == signer.public_key.hint
    from airflow_mlsecops.hooks.aws import kms_client, s3_client

    assert kms_client("keys").meta.endpoint_url == "https://kms.eu-central-1.amazonaws.com"
    assert kms_client("keys", "us-east-1").meta.region_name == "us-east-1"
    assert s3_client("keys").meta.endpoint_url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    "signer",
    [
        "file:{key}?sigstore=connection",
        "sigstore:connection?identity=a&issuer=b&token=/t",
        "hsm:1?label=none&module=/nowhere.so",
        "awskms:1234?endpoint=http://127.0.0.1:1&region=eu-central-1",
    ],
)
def test_no_secret_is_told_when_it_fails(
    connect: Any, key: Path, signer: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
    caplog.set_level(logging.DEBUG, logger="airflow_mlsecops")
    hook = connect(signer.format(key=key))
    with pytest.raises(MlsecopsError) as caught:
        hook.signer.sign(keyless.statement())
    told = f"{caught.value} {caught.value!r} {hook.settings!r} {hook.signer_access!r} {caplog.text}"
    assert PASSPHRASE not in told
    assert AWS_SECRET not in told


def test_a_named_configuration_has_to_be_there(connect: Any, key: Path) -> None:
    with pytest.raises(ConfigurationError, match="which has none"):
        _ = connect(f"file:{key}?sigstore=connection").signer
