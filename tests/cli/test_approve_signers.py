"""``mlsecops approve`` with what a person's own key can be, beside a file: a key service's, or an identity."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.predicates import approval
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.core.signing import KeySigner, signer_from_uri
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trust_document import trust_entry
from tests.cli.asked import Asked
from tests.cli.conftest import Run
from tests.support import keyless
from tests.support.loopback_kms import LoopbackKms
from tests.support.loopback_sigstore import LoopbackSigstore


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path / "asked")


@pytest.fixture(autouse=True)
def _own_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def _approve(run: Run, asked: Asked, signer: str) -> None:
    """Dora is asked, and answers."""
    request = asked.ask(quorum=1, approvers=("dora",))
    done = run("approve", request, *asked.options, "--signer", signer, "--yes", "--reason", "looked at it", "--json")
    assert done.code == 0, done.out
    trust = TrustPolicy.from_bytes(asked.trust.read_bytes())
    (item,) = collect(asked.store, asked.model_artifact.digest, trust, utcnow()).of("approval")
    said = approval.parse(item.statement)
    assert (said.approver, said.assurance, item.signer) == ("dora", Assurance.SIGNED, "doras-own")


def test_a_key_in_a_key_service(run: Run, asked: Asked) -> None:
    with LoopbackKms({"1234": ec.generate_private_key(ec.SECP256R1())}) as kms:
        uri = f"awskms:1234?endpoint={kms.url}&region=eu-central-1"
        signer = signer_from_uri(uri)
        assert isinstance(signer, KeySigner)
        entry = trust_entry("doras-own", signer.public_key, ["approve"], "dora")
        asked.trust.write_text(asked.trust.read_text() + entry)
        _approve(run, asked, uri)


def test_an_identity(run: Run, asked: Asked, tmp_path: Path) -> None:
    with LoopbackSigstore(tmp_path / "sigstore") as sigstore:
        config, token = tmp_path / "sigstore.json", tmp_path / "token"
        config.write_text(json.dumps(sigstore.client_trust_config(2)))
        sigstore.issuer.project(keyless.SUBJECT, token)
        who = {"identity": keyless.IDENTITY, "issuer": sigstore.issuer.url, "sigstore": "internal"}
        entry = {"name": "doras-own", "roles": ["approve"], "person": "dora", **who}
        root = {"name": "internal", "trusted_root": json.dumps(sigstore.trusted_root())}
        asked.trust.write_text(f"{asked.trust.read_text()}  - {json.dumps(entry)}\nsigstore: [{json.dumps(root)}]\n")
        named = f"identity={quote(keyless.IDENTITY)}&issuer={quote(sigstore.issuer.url)}"
        _approve(run, asked, f"sigstore:{config}?{named}&token={token}")
