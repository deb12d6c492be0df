"""The loopback Sigstore itself: it is only worth signing against if it refuses what a real one refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_mlsecops.core.signing.keyless_uri import keyless_signer_from_uri
from tests.support import keyless
from tests.support.loopback_sigstore import LoopbackSigstore
from tests.support.loopback_sigstore.merkle import MerkleTree, leaf_hash, node_hash
from tests.support.loopback_sigstore.oidc import unverified_claims

REPOSITORY = Path(__file__).resolve().parents[3]


def ask(url: str, body: Any = None, token: str | None = None) -> tuple[int, bytes]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, data, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def signing_request(key: ec.EllipticCurvePrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def pem(der: bytes) -> str:
    text = base64.encodebytes(der).decode()
    armored = f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"
    return base64.b64encode(armored.encode()).decode()


def test_merkle_tree_matches_the_vectors_of_certificate_transparency() -> None:
    leaves = [
        bytes.fromhex(text)
        for text in (
            "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
        )
    ]  # fmt: skip
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, root in roots.items():
        assert MerkleTree(leaves[:size]).root().hex() == root


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 33])
def test_merkle_proofs_lead_to_the_root(size: int) -> None:
    leaves = [b"leaf %d" % number for number in range(size)]
    tree = MerkleTree()
    for leaf in leaves:
        tree.append(leaf)
    for index, leaf in enumerate(leaves):
        head, position, last = leaf_hash(leaf), index, size - 1
        for sibling in tree.inclusion_proof(index):
            # RFC 9162, section 2.1.3.2
            if position & 1 or position == last:
                head = node_hash(sibling, head)
                while not position & 1 and position:
                    position, last = position >> 1, last >> 1
            else:
                head = node_hash(head, sibling)
            position, last = position >> 1, last >> 1
        assert (head, last) == (tree.root(), 0)


def test_authority_wants_proof_of_possession(sigstore: LoopbackSigstore) -> None:
    url = f"{sigstore.url('fulcio')}/api/v2/signingCert"
    token = sigstore.issuer.mint(keyless.SUBJECT)
    der = signing_request(ec.generate_private_key(ec.SECP256R1()))
    assert ask(url, {"certificateSigningRequest": pem(der)}, token)[0] == 201
    assert ask(url, {"certificateSigningRequest": pem(keyless.flipped(der))}, token)[0] == 400
    assert ask(url, {"certificateSigningRequest": "bm90aGluZw=="}, token)[0] == 400
    assert ask(url, {}, token)[0] == 400
    assert ask(url, b"not json", token)[0] == 400
    assert ask(url, {"certificateSigningRequest": pem(der)})[0] == 401


def test_certificate_ends_with_its_scts(sigstore: LoopbackSigstore) -> None:
    der = signing_request(ec.generate_private_key(ec.SECP256R1()))
    body = {"certificateSigningRequest": pem(der)}
    _, answer = ask(f"{sigstore.url('fulcio')}/api/v2/signingCert", body, sigstore.issuer.mint(keyless.SUBJECT))
    chain = json.loads(answer)["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    certificate = x509.load_pem_x509_certificate(chain[0].encode())
    last = list(certificate.extensions)[-1]
    assert isinstance(last.value, x509.PrecertificateSignedCertificateTimestamps)
    assert len(chain) == 3
    assert not list(certificate.subject)


@pytest.mark.parametrize("log_version", [1, 2])
def test_log_takes_only_what_verifies(rogue: LoopbackSigstore, log_version: int) -> None:
    url = f"{rogue.url(f'rekor-v{log_version}')}/api/v{log_version}/log/entries"
    bundle = json.loads(keyless.signer(rogue, log_version).sign_verified(keyless.statement()).raw)
    certificate = bundle["verificationMaterial"]["certificate"]["rawBytes"]
    envelope = bundle["dsseEnvelope"]
    envelope["signatures"][0]["sig"] = keyless.edited(envelope["signatures"][0]["sig"], keyless.flipped)
    if log_version == 1:
        armored = x509.load_der_x509_certificate(base64.b64decode(certificate)).public_bytes(serialization.Encoding.PEM)
        content = {"envelope": json.dumps(envelope), "verifiers": [base64.b64encode(armored).decode()]}
        entry: Any = {"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}}
    else:
        digest = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        verifier = {"x509Certificate": {"rawBytes": certificate}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
        signature = {"content": envelope["signatures"][0]["sig"], "verifier": verifier}
        entry = {"hashedRekordRequestV002": {"digest": digest, "signature": signature}}
    status, answer = ask(url, entry)
    assert status == 400
    assert b"doesn't verify" in answer
    assert ask(url, {})[0] == 400
    log = (rogue.rekor_v1 if log_version == 1 else rogue.rekor_v2).log
    assert log.checkpoint().split("\n")[1] == "1", "only the good one is in it"


def test_log_v1_says_no_to_the_same_entry_again(rogue: LoopbackSigstore) -> None:
    signed = keyless.signer(rogue, 1).sign_verified(keyless.statement())
    url = f"{rogue.url('rekor-v1')}/api/v1/log"
    _, answer = ask(f"{url}/entries?logIndex=0")
    (entry,) = json.loads(answer).values()
    body = keyless.entry_of(json.loads(signed.raw))["canonicalizedBody"]
    assert entry["body"] == body
    assert rogue.rekor_v1.log.append(base64.b64decode(body), unique=True) is None
    assert json.loads(ask(url)[1])["treeSize"] == 1
    assert ask(f"{url}/entries?logIndex=1")[0] == 404


def test_mint_wants_its_secret(sigstore: LoopbackSigstore) -> None:
    url = f"{sigstore.issuer.url}/mint"
    assert ask(url, {"sub": "https://a.test/b"})[0] == 401
    assert ask(url, {"sub": "https://a.test/b"}, "guess")[0] == 403
    status, answer = ask(url, {"sub": "https://a.test/b", "aud": "other"}, sigstore.issuer.secret)
    claims = unverified_claims(json.loads(answer)["id_token"])
    assert (status, claims["sub"], claims["aud"]) == (200, "https://a.test/b", "other")


@pytest.mark.parametrize("body", [b"", b"no request", b"\x30\x03\x02\x01\x01"])
def test_stamp_authority_wants_a_request(sigstore: LoopbackSigstore, body: bytes) -> None:
    assert ask(f"{sigstore.url('tsa')}/api/v1/timestamp", body)[0] == 400


def test_as_a_process(tmp_path: Path) -> None:
    home, token = tmp_path / "home", tmp_path / "tokens" / "worker"
    command = [sys.executable, "-m", "tests.support.loopback_sigstore", "--home", str(home)]
    command += ["--workload", f"{keyless.SUBJECT}={token}"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment) as process:
        try:
            assert process.stdout is not None
            ready, issuer = process.stdout.readline().split()
            assert ready == "ready"
            signer = keyless_signer_from_uri(
                f"sigstore:{home}/rekor-v2.json?identity={keyless.IDENTITY}&issuer={issuer}&token={token}"
            )
            assert signer.sign_verified(keyless.statement()).signer.issuer == issuer
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert {path.stat().st_mode & 0o077 for path in (home / "keys").glob("*.key")} == {0}
    assert (home / "mint-secret").stat().st_mode & 0o077 == 0
