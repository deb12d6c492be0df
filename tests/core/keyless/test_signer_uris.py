"""Signers by URI: keyless and logged keys, through the one entry point that connections use."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp  # type: ignore[attr-defined]

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.errors import ConfigurationError, SigningError, TrustError
from airflow_mlsecops.core.signing import SignerAccess, generate_key, key_signer_from_uri, signer_from_uri
from airflow_mlsecops.core.signing.attached import verify_attached
from airflow_mlsecops.core.signing.errors import SigningUnavailableError
from airflow_mlsecops.core.signing.keyless import KeylessSigner
from airflow_mlsecops.core.signing.keyless_uri import keyless_signer_from_uri
from airflow_mlsecops.core.signing.keyless_verify import verify_keyless
from tests.support import keyless
from tests.support.loopback_sigstore import LoopbackSigstore
from tests.support.loopback_sigstore.web import Listener, Request, Response

TOKEN: list[str] = []


def give_token() -> str:
    """What ``token_callable`` names in these tests."""
    return TOKEN[0]


def break_with_the_token() -> str:
    raise RuntimeError(f"can't refresh {TOKEN[0]}")


def give_nothing() -> None:
    return None


@pytest.fixture
def named(sigstore: LoopbackSigstore) -> str:
    TOKEN[:] = [sigstore.issuer.mint(keyless.SUBJECT)]
    return f"identity={quote(keyless.IDENTITY)}&issuer={quote(sigstore.issuer.url)}"


@pytest.fixture
def config(sigstore: LoopbackSigstore, tmp_path: Path) -> Path:
    path = tmp_path / "sigstore.json"
    path.write_text(json.dumps(sigstore.client_trust_config(2)))
    return path


def verified(bundle: Bundle, sigstore: LoopbackSigstore) -> bool:
    found = verify_keyless(bundle.raw, keyless.to_root(sigstore.trusted_root()), [keyless.worker(sigstore)])
    return found.statement.payload == keyless.statement().payload


def test_a_keyless_signer_is_a_signer_without_a_key(sigstore: LoopbackSigstore, named: str, config: Path) -> None:
    (config.parent / "token").write_text(TOKEN[0])
    uri = f"sigstore:{config}?{named}&token={config.parent}/token"
    signer = signer_from_uri(uri)
    assert signer.name == str(keyless.worker(sigstore))
    assert verified(signer.sign(keyless.statement()), sigstore)
    with pytest.raises(ConfigurationError, match="holds no key of its own"):
        key_signer_from_uri(uri)


def test_configuration_from_the_connection(sigstore: LoopbackSigstore, named: str, config: Path) -> None:
    uri = f"sigstore:connection?{named}&token=/t"
    with pytest.raises(ConfigurationError, match="which has none"):
        signer_from_uri(uri)
    assert isinstance(signer_from_uri(uri, access=SignerAccess(sigstore_config=config.read_bytes())), KeylessSigner)


def test_token_from_the_environment(
    sigstore: LoopbackSigstore, named: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = signer_from_uri(f"sigstore:{config}?{named}&token_env=WORKLOAD_TOKEN")
    with pytest.raises(SigningError, match="WORKLOAD_TOKEN has no token"):
        signer.sign(keyless.statement())
    monkeypatch.setenv("WORKLOAD_TOKEN", TOKEN[0])
    assert verified(signer.sign(keyless.statement()), sigstore)


def test_token_from_a_function(
    sigstore: LoopbackSigstore, named: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "token_giver", SimpleNamespace(give=give_token))
    signer = signer_from_uri(f"sigstore:{config}?{named}&token_callable=token_giver:give")
    assert verified(signer.sign(keyless.statement()), sigstore)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("broken", "failed with RuntimeError"),
        ("nothing", "returned NoneType"),
        ("missing", "failed with AttributeError"),
    ],
)
def test_a_function_that_gives_no_token_never_tells_one(
    named: str,
    config: Path,
    function: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    module = SimpleNamespace(broken=break_with_the_token, nothing=give_nothing)
    monkeypatch.setitem(sys.modules, "token_giver", module)
    signer = signer_from_uri(f"sigstore:{config}?{named}&token_callable=token_giver:{function}")
    with pytest.raises(SigningError, match=told) as caught:
        signer.sign(keyless.statement())
    assert TOKEN[0] not in "".join(traceback.format_exception(caught.value)) + caplog.text + repr(signer)


def test_signing_never_logs_the_token(
    sigstore: LoopbackSigstore,
    named: str,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("WORKLOAD_TOKEN", TOKEN[0])
    assert signer_from_uri(f"sigstore:{config}?{named}&token_env=WORKLOAD_TOKEN").sign(keyless.statement())
    assert "fulcio" in caplog.text.lower() or "ertificate" in caplog.text, "the client said something"
    assert TOKEN[0] not in caplog.text
    assert TOKEN[0].rpartition(".")[2] not in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        "token=/a&token_env=B",
        "",
        "token_callable=no_function",
        "token_callable=os:",
        "token_callable=os;x:y",
        "token_callable=../x:y",
        "token=/a&url=https://tuf.example.test",
    ],
)
def test_uris_that_are_refused(named: str, config: Path, wrong: str) -> None:
    with pytest.raises(ConfigurationError):
        signer_from_uri(f"sigstore:{config}?{named}&{wrong}".removesuffix("&"))


# --- a log entry and a time stamp for a key ---------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(generate_key(b"correct horse")[0])
    return path


@pytest.mark.parametrize("place", ["file", "connection"])
@pytest.mark.parametrize("log_version", [1, 2])
def test_a_key_asks_for_log_and_stamp(
    sigstore: LoopbackSigstore, key: Path, tmp_path: Path, place: str, log_version: int
) -> None:
    both = sigstore.client_trust_config(1)
    both["signingConfig"]["rekorTlogUrls"] += sigstore.client_trust_config(2)["signingConfig"]["rekorTlogUrls"]
    (tmp_path / "both.json").write_text(json.dumps(both))
    where = tmp_path / "both.json" if place == "file" else "connection"
    access = SignerAccess(passphrase="correct horse", sigstore_config=keyless.to_bytes(both))
    signer = key_signer_from_uri(f"file:{key}?sigstore={where}&log={log_version}", access=access)
    bundle = signer.sign(keyless.statement())
    assert bundle.entry is not None
    assert bundle.entry.log_version == log_version
    assert verify_attached(bundle, keyless.to_root(sigstore.trusted_root()), signer.public_key)


@pytest.mark.parametrize("wrong", ["log=2", "instance=public", "sigstore=/nowhere.json", "sigstore=connection", "x=y"])
def test_parameters_of_a_key_that_are_refused(key: Path, wrong: str) -> None:
    with pytest.raises(ConfigurationError):
        signer_from_uri(f"file:{key}?{wrong}", "correct horse")


def test_a_key_whose_name_has_a_question_mark(tmp_path: Path) -> None:
    path = tmp_path / "which?.pem"
    path.write_bytes(generate_key()[0])
    assert signer_from_uri(str(path)).name == signer_from_uri(path.as_uri()).name


# --- TUF --------------------------------------------------------------------------------------------------------------


class Tuf:
    """A TUF repository on 127.0.0.1, with one key for all roles."""

    def __init__(self, config: keyless.Json) -> None:
        self.signer = CryptoSigner.generate_ed25519()
        self.expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        self.listener = Listener()
        self.files = {
            "trusted_root.json": keyless.to_bytes(config["trustedRoot"]),
            "signing_config.v0.2.json": keyless.to_bytes(config["signingConfig"]),
        }
        root = Root(version=1, expires=self.expires, consistent_snapshot=False)
        for role in ("root", "targets", "snapshot", "timestamp"):
            root.add_key(self.signer.public_key, role)
        self.root = self._signed(root)
        targets = Targets(version=1, expires=self.expires)
        for name, data in self.files.items():
            targets.targets[name] = TargetFile.from_data(name, data)
        snapshot = Snapshot(version=1, expires=self.expires, meta={"targets.json": MetaFile(1)})
        timestamp = Timestamp(version=1, expires=self.expires, snapshot_meta=MetaFile(1))
        served = {f"/targets/{name}": data for name, data in self.files.items()}
        served |= {"/targets.json": self._signed(targets), "/snapshot.json": self._signed(snapshot)}
        self.served = {**served, "/timestamp.json": self._signed(timestamp)}

    def _signed(self, part: Root | Targets | Snapshot | Timestamp) -> bytes:
        metadata: Metadata[Any] = Metadata(part)
        metadata.sign(self.signer)
        return metadata.to_bytes()

    def serve(self) -> None:
        self.listener.serve({f"GET {path}": self._answer for path in self.served})

    def _answer(self, request: Request) -> Response:
        return Response(self.served[request.path])


@pytest.fixture
def tuf(sigstore: LoopbackSigstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tuf]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    repository = Tuf(sigstore.client_trust_config(2))
    (tmp_path / "root.json").write_bytes(repository.root)
    yield repository
    repository.listener.close()


def test_configuration_from_tuf(
    tuf: Tuf, sigstore: LoopbackSigstore, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuf.serve()
    monkeypatch.setenv("WORKLOAD_TOKEN", TOKEN[0])
    uri = f"sigstore:tuf?url={tuf.listener.url}&root={tmp_path}/root.json&{named}&token_env=WORKLOAD_TOKEN"
    assert verified(signer_from_uri(uri).sign(keyless.statement()), sigstore)


def test_tuf_with_another_root_is_not_believed(tuf: Tuf, named: str, tmp_path: Path) -> None:
    tuf.serve()
    tuf.signer = CryptoSigner(ed25519.Ed25519PrivateKey.generate())
    root = Root(version=1, expires=tuf.expires, consistent_snapshot=False)
    for role in ("root", "targets", "snapshot", "timestamp"):
        root.add_key(tuf.signer.public_key, role)
    (tmp_path / "root.json").write_bytes(tuf._signed(root))
    with pytest.raises(TrustError, match="no Sigstore configuration that verifies"):
        signer_from_uri(f"sigstore:tuf?url={tuf.listener.url}&root={tmp_path}/root.json&{named}&token=/t")


def test_tuf_with_a_target_that_was_swapped(tuf: Tuf, named: str, tmp_path: Path) -> None:
    path = "/targets/trusted_root.json"
    tuf.served[path] = tuf.served[path].replace(b"127.0.0.1", b"127.0.0.9")
    tuf.serve()
    with pytest.raises(TrustError, match="no Sigstore configuration that verifies"):
        signer_from_uri(f"sigstore:tuf?url={tuf.listener.url}&root={tmp_path}/root.json&{named}&token=/t")


def test_tuf_that_is_down_can_be_tried_again(tuf: Tuf, named: str, tmp_path: Path) -> None:
    tuf.listener.close()
    with pytest.raises(SigningUnavailableError, match="doesn't answer"):
        signer_from_uri(f"sigstore:tuf?url={tuf.listener.url}&root={tmp_path}/root.json&{named}&token=/t")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://tuf-repo-cdn.sigstore.dev", "public Sigstore"),
        ("https://tuf-repo-cdn.sigstage.dev/", "public Sigstore"),
        ("http://tuf.example.test", "not https"),
        ("https://tuf.example.test", "can't be read"),
    ],
)
def test_tuf_that_is_not_even_asked(named: str, url: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=told):
        keyless_signer_from_uri(f"sigstore:tuf?url={url}&root={tmp_path}/none.json&{named}&token=/t")
