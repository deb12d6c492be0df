"""Where models are used: no Airflow, a short list of packages, and a network that the kernel has cut off."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.released import Released, flip_a_byte
from tests.support.network import CUT_OFF, need_network_cut, reaches
from tests.support.wheel import ROOT, install

HOWTO = ROOT / "docs" / "how-to" / "verify-where-it-is-used.md"
ABSENT = ("airflow", "boto3", "numpy", "pandas", "sigstore", "great_expectations", "requests")


def documented() -> list[str]:
    """What the how-to says to install beside the wheel."""
    first = re.search(r"^\$ pip install (?!--no-deps)(.+)$", HOWTO.read_text(), re.MULTILINE)
    assert first is not None
    return first[1].split()


@pytest.fixture(scope="module")
def bare(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel and the documented packages alone."""
    return install(built, tmp_path_factory.mktemp("bare") / "venv", documented())


@pytest.fixture
def released(tmp_path: Path) -> Released:
    world = Released(tmp_path / "world")
    world.run_pipeline()
    return world


def run(folder: Path, *command: object, before: tuple[str, ...] = CUT_OFF) -> subprocess.CompletedProcess[str]:
    """Run a command in ``folder``, by default without network, and without anything of the checkout."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "PYTHON", "MLSECOPS"))}
    arguments = [*before, *map(str, command)]
    return subprocess.run(arguments, cwd=folder, env=kept, capture_output=True, text=True, check=False)


def test_the_kernel_cuts_the_network_off() -> None:
    need_network_cut()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert reaches(port)
        assert not reaches(port, *CUT_OFF)


@pytest.mark.packaging
class TestWithoutAirflow:
    def test_only_what_the_docs_name_is_there(self, bare: Path, tmp_path: Path) -> None:
        code = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
        done = run(tmp_path, bare / "python", "-c", code, *ABSENT, before=())
        assert done.stdout.strip() == "[]", done.stderr
        code = "import airflow_mlsecops; print(airflow_mlsecops.__file__)"
        assert str(bare.parent) in run(tmp_path, bare / "python", "-c", code, before=()).stdout

    def test_verify_a_release(self, bare: Path, released: Released, tmp_path: Path) -> None:
        need_network_cut()
        question = ["verify", released.model, *released.options, "--policy", released.policy, "--json"]
        done = run(tmp_path, bare / "mlsecops", *question)
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["verified"] is True

        flip_a_byte(released.model)
        assert run(tmp_path, bare / "mlsecops", *question).returncode == 1

    def test_verify_from_an_export(self, bare: Path, released: Released, tmp_path: Path) -> None:
        need_network_cut()
        archive, policy = tmp_path / "export.tar", ["--policy", released.policy]
        done = run(
            tmp_path, bare / "mlsecops", "export", released.model, *released.options, *policy, "--output", archive
        )
        assert done.returncode == 0, done.stdout + done.stderr
        question = ["verify", released.model, "--evidence", archive, "--trust", released.trust, *policy]
        assert run(tmp_path, bare / "mlsecops", *question).stdout.startswith("YES")

    def test_sign_and_verify_a_model_signature(self, bare: Path, released: Released, tmp_path: Path) -> None:
        need_network_cut()
        key = tmp_path / "key.pem"
        assert run(tmp_path, bare / "mlsecops", "keygen", key, "--no-passphrase").returncode == 0
        assert run(tmp_path, bare / "mlsecops", "oms", "sign", released.data, "--signer", key).returncode == 0
        question = ["oms", "verify", released.data, "--key", tmp_path / "key.pub"]
        assert run(tmp_path, bare / "mlsecops", *question).stdout.startswith("YES")
        (released.data / "a.csv").write_text("x,y\n")
        assert run(tmp_path, bare / "mlsecops", *question).returncode == 1

    def test_what_is_missing_is_named(self, bare: Path, released: Released, tmp_path: Path) -> None:
        who = ["--identity", "me", "--issuer", "you"]
        done = run(
            tmp_path, bare / "mlsecops", "oms", "verify", released.data, "--sigstore", released.trust, *who, before=()
        )
        assert (done.returncode, "[missing-extra]" in done.stderr) == (2, True), done.stderr

    def test_load_the_verified_bytes(self, bare: Path, released: Released, tmp_path: Path) -> None:
        need_network_cut()
        code = """
import sys
from pathlib import Path
from airflow_mlsecops.core.loading import NotVerifiedError, open_verified
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.store import open_store
from airflow_mlsecops.core.trust import TrustPolicy
model, store, trust, policy = map(Path, sys.argv[1:])
policies = (TrustPolicy.from_bytes(trust.read_bytes()), ReleasePolicy.from_bytes(policy.read_bytes()))
question = (open_store(str(store)), *policies)
for in_memory in (False, True):
    with open_verified(str(model), *question, in_memory=in_memory) as loaded:
        print(len(loaded.read()))
model.write_bytes(b"evil")
try:
    open_verified(str(model), *question)
except NotVerifiedError as error:
    print(error.reasons[0].code)
"""
        files = (released.model, released.evidence, released.trust, released.policy)
        done = run(tmp_path, bare / "python", "-c", code, *files)
        assert done.stdout.split() == ["7000", "7000", "not-released"], done.stderr


def test_a_part_of_the_cryptographys_tests_without_network(tmp_path: Path) -> None:
    """The same tests as ever, in a process that can reach nobody."""
    need_network_cut()
    chosen = [
        "tests/core/test_bundle.py",
        "tests/core/test_verify_release.py",
        "tests/core/test_verify_signature.py",
        "tests/core/oms/test_certificates.py",
        "tests/hostile/test_cases.py",
    ]
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}"]
    done = run(ROOT, *pytest_, "-k", "not keyless", *chosen)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 200
