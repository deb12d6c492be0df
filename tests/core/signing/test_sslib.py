"""``hsm:`` against SoftHSM, and what the other schemes of securesystemslib refuse."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.errors import ConfigurationError, MissingExtraError, SigningError
from airflow_mlsecops.core.signing import key_signer_from_uri
from tests.support import keyless

PIN = "734912"
MODULES = [Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A token with keys 1 (P-256), 2 (P-384) and 3 (RSA). SoftHSM reads its settings once in a process."""
    found = next((path for path in MODULES if path.exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        pytest.skip("NO HSM: SoftHSM isn't installed here; scripts/system-packages installs it (softhsm2)")
    home = tmp_path_factory.mktemp("softhsm")
    (home / "tokens").mkdir()
    settings = home / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {home}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(settings))
        init = ["softhsm2-util", "--init-token", "--free", "--label", "models", "--so-pin", "0000", "--pin", PIN]
        subprocess.run(init, check=True, capture_output=True)
        _make_keys(found)
        yield found


def _make_keys(module: Path) -> None:
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters

    token = pkcs11.lib(str(module)).get_token(token_label="models")
    with token.open(rw=True, user_pin=PIN) as session:
        for number, curve in ((1, "secp256r1"), (2, "secp384r1")):
            parameters = session.create_domain_parameters(
                pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
            )
            parameters.generate_keypair(id=bytes([number]), store=True, label=curve)
        session.generate_keypair(pkcs11.KeyType.RSA, 3072, id=b"\x03", store=True, label="rsa")


@pytest.mark.parametrize("number", [1, 2])
def test_a_key_in_a_token_signs(module: Path, number: int) -> None:
    signer = key_signer_from_uri(f"hsm:{number}?label=models&module={module}", PIN)
    bundle = signer.sign(keyless.statement())
    signer.public_key.verify(bundle.signature, pre_authentication_encoding(bundle.statement.payload))
    assert bundle.key_hint == signer.public_key.hint
    assert signer.sign_bytes(b"checkpoint")
    assert "PYKCS11LIB" not in os.environ


@pytest.mark.parametrize(
    ("uri", "pin", "told"),
    [
        ("hsm:1?label=models", "999999", "PinIncorrect"),
        ("hsm:1?label=models", None, "needs a PIN"),
        ("hsm:7?label=models", PIN, "could not find ECDSA key"),
        ("hsm:3?label=models", PIN, "could not find ECDSA key"),
        ("hsm:1?label=other", PIN, "No PKCS#11 token found"),
    ],
)
def test_what_is_refused_is_told_without_the_pin(
    module: Path, uri: str, pin: str | None, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signer = key_signer_from_uri(f"{uri}&module={module}", pin)
    with pytest.raises(SigningError, match=told) as caught:
        signer.sign(keyless.statement())
    text = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(signer)
    assert PIN not in text
    assert "999999" not in text


def test_a_module_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("pkcs11", reason="the extra hsm isn't installed")
    signer = key_signer_from_uri(f"hsm:1?label=models&module={tmp_path}/none.so", PIN)
    with pytest.raises(SigningError, match="can't read the public key"):
        signer.sign(keyless.statement())
    assert "PYKCS11LIB" not in os.environ


@pytest.mark.parametrize(
    ("uri", "library", "extra"),
    [
        ("hsm:1?module=/m.so", "pkcs11", "hsm"),
        ("gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1", "google.cloud.kms", "gcpkms"),
        ("azurekms:vault/key", "azure.keyvault.keys", "azurekms"),
        ("hv:models", "hvac", "vault"),
    ],
)
def test_a_library_that_is_missing_names_its_extra(
    uri: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "airflow_mlsecops.core.signing.sslib.find_spec", lambda name: None if name == library else there(name)
    )
    with pytest.raises(MissingExtraError, match=library) as caught:
        key_signer_from_uri(uri)
    assert f"airflow-mlsecops[{extra}]" in caught.value.advice


@pytest.mark.parametrize(
    "uri",
    [
        "hsm:?module=/m.so",
        "hsm:one?module=/m.so",
        "hsm:-1?module=/m.so",
        "hsm:1?label=models",
        "hsm:1?module=/m.so&pin=1234",
        "gcpkms:",
        "azurekms:vault",
        "azurekms:/key",
        "azurekms:vault/key/version",
        "hv:",
        "hv:models?token=secret",
    ],
)
def test_uris_that_are_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYKCS11LIB", raising=False)
    with pytest.raises(ConfigurationError) as caught:
        key_signer_from_uri(uri)
    assert type(caught.value) is ConfigurationError
    assert "secret" not in str(caught.value)
