"""The core knows no Airflow and loads no heavy library until a function needs it."""

from __future__ import annotations

import os
import subprocess
import sys

BLOCKED = (
    "airflow",
    "boto3",
    "botocore",
    "cleanlab",
    "great_expectations",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sigstore",
    "sklearn",
)

_IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    sys.modules[name] = None  # importing it, or anything below it, now raises ImportError
import airflow_mlsecops.core
names = [module.name for module in pkgutil.walk_packages(airflow_mlsecops.core.__path__, "airflow_mlsecops.core.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""

_USE = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None
from datetime import UTC, datetime
from pathlib import Path
from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.core.signing import generate_key, signer_from_uri
from airflow_mlsecops.core.store import open_store
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.verification import verify_signature
import json
root = Path(sys.argv[1])
(root / "model").write_bytes(b"weights")
(root / "key.pem").write_bytes(generate_key()[0])
signer, store, now = signer_from_uri(str(root / "key.pem")), open_store(str(root / "evidence")), datetime.now(UTC)
model = pin(str(root / "model"), kind=Kind.MODEL).artifact
store.put(signer.sign(signature.build(model, signed_at=now, evidence=[], run={})))
entry = {"name": "me", "public_key": signer.public_key.pem, "roles": ["sign"]}
trust = TrustPolicy.from_bytes(json.dumps({"version": 1, "signers": [entry]}).encode())
print(bool(verify_signature(model, store, trust, now)))
"""


def _run(script: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_of_the_core_imports_without_airflow_and_heavy_libraries() -> None:
    assert int(_run(_IMPORT_ALL, *BLOCKED)) > 30


def test_signing_and_verifying_work_without_them(tmp_path: object) -> None:
    assert _run(_USE, str(tmp_path), *BLOCKED) == "True\n"
