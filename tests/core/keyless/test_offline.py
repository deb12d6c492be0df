"""Verification with the network cut off by the kernel: a namespace in which even the loopback interface is down."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_mlsecops.core.signing.attach import LoggedKeySigner
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.signing.keys import generate_key
from tests.support import keyless
from tests.support.keyless import Case
from tests.support.loopback_sigstore import LoopbackSigstore

ROOT = Path(__file__).parents[3]
CUT = ["unshare", "--net", "--map-root-user"]
CODE = """
import socket, sys
from pathlib import Path
from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.signing import PublicKey
from airflow_mlsecops.core.signing.attached import verify_attached
from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot
from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity, verify_keyless
folder, identity, issuer, port = Path(sys.argv[1]), *sys.argv[2:]
try:
    socket.create_connection(("127.0.0.1", int(port)), 2)
except OSError:
    pass
else:
    sys.exit("the network is there: nothing is proven")
root = SigstoreRoot.from_bytes((folder / "root.json").read_bytes())
key = PublicKey.from_pem((folder / "key.pub").read_bytes())
for kind in ("v1", "v2"):
    assert verify_attached(Bundle.parse((folder / f"key-{kind}").read_bytes()), root, key)
    assert verify_keyless((folder / f"keyless-{kind}").read_bytes(), root, [KeylessIdentity(identity, issuer)])
print("verified")
"""


@pytest.fixture(scope="module", autouse=True)
def namespaces() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("NETWORK NOT CUT: the program unshare isn't installed")
    tried = subprocess.run([*CUT, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"NETWORK NOT CUT: no network namespace can be made here: {tried.stderr.strip()}")


def test_bundles_verify_without_any_network(sigstore: LoopbackSigstore, cases: dict[str, Case], tmp_path: Path) -> None:
    pem, public = generate_key()
    (tmp_path / "key.pub").write_text(public.pem)
    (tmp_path / "root.json").write_bytes(keyless.to_bytes(sigstore.trusted_root()))
    for version, kind in enumerate(("v1", "v2"), 1):
        config = keyless.to_bytes(sigstore.client_trust_config(version))
        signed = LoggedKeySigner(FileKeySigner(pem), config).sign(keyless.statement())
        (tmp_path / f"key-{kind}").write_bytes(signed.raw)
        (tmp_path / f"keyless-{kind}").write_bytes(cases[kind].signed.raw)
    who = keyless.worker(sigstore)
    command = [sys.executable, "-c", CODE, str(tmp_path), who.identity, who.issuer, str(sigstore.listeners["tsa"].port)]
    done = subprocess.run([*CUT, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "verified", done.stderr
