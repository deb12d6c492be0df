"""deploy/README.md tells what is so: its set-up commands are run, its table and its file list are compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from deploy import make_secrets
from tests.deployment import compose_file
from tests.deployment.compose_file import ROOT

README = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
SECRET_WORDS = {
    "database": {"sql_alchemy_conn"},
    "Fernet key": {"fernet_key"},
    "token key": {"jwt_private_key"},
    "log key": {"api_secret_key"},
    "queue": {"broker_url", "result_backend"},
    "**signing key and its passphrase**": {"signing_key"},
}


def test_the_set_up_commands_make_a_key_that_the_workers_can_use(tmp_path: Path) -> None:
    from airflow_mlsecops.core.signing import key_signer_from_uri
    from airflow_mlsecops.core.trust import TrustPolicy

    section = README[README.index("## Bring it up") : README.index("## Who runs")]
    blocks = re.findall(r"(?:^ {7}.+\n)+", section, re.MULTILINE)
    script = "".join(block for block in blocks if "docker" not in block)
    assert "make_secrets.py" in script
    assert "mlsecops keygen" in script
    (tmp_path / "deploy").mkdir()
    for name in ("make_secrets.py", ".env.example"):
        shutil.copy2(ROOT / "deploy" / name, tmp_path / "deploy")
    # The console script's own module: the wheel's test tries the script.
    function = f'mlsecops() {{ "{sys.executable}" -m airflow_mlsecops.cli "$@"; }}\n'
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", function + script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    settings = make_secrets.read_settings((tmp_path / "deploy" / ".env").read_text())
    key = tmp_path / "deploy" / "secrets" / "signing_key"
    signer = key_signer_from_uri(f"file:{key}", settings["MLSECOPS_KEY_PASSPHRASE"])
    trust = TrustPolicy.from_bytes((tmp_path / "deploy" / "trust.yaml").read_bytes())
    assert trust.signer(signer.public_key.hint).name == "workers"
    # Nothing that the compose file mounts is missing now.
    for secret in compose_file.interpolated(compose_file.load()["secrets"], {}).values():
        assert (tmp_path / secret["file"]).is_file()
    for config in compose_file.interpolated(compose_file.load()["configs"], {}).values():
        assert (tmp_path / config["file"]).is_file() or (ROOT / config["file"]).is_file()


def test_the_table_says_who_knows_what() -> None:
    services = compose_file.load()["services"]
    rows = re.findall(r"^\| ([a-z-]+) \| (.+?) \| (.+?) \| .+ \|$", README, re.MULTILINE)
    told = {name: (secrets, networks) for name, secrets, networks in rows if name in services}
    assert told.keys() == {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}
    for name, (secrets, networks) in told.items():
        named = set[str]().union(*(SECRET_WORDS[word] for word in secrets.split(", ")))
        assert named == set(services[name]["secrets"]), name
        assert networks.split(", ") == services[name]["networks"], name


def test_every_file_is_told() -> None:
    cells = re.findall(r"^\| (`.+?) \|", README[README.index("| file |") :], re.MULTILINE)
    told = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    there = {path.name + "/" * path.is_dir() for path in (ROOT / "deploy").iterdir()}
    ignored = {"README.md", ".gitignore", ".env", "secrets/", "trust.yaml", "__pycache__/"}
    for name in there - ignored:
        assert any(Path(name).match(pattern.rstrip("/")) for pattern in told), name
    for pattern in told:
        assert list((ROOT / "deploy").glob(pattern.rstrip("/"))), pattern


def test_the_retention_is_the_default() -> None:
    assert f"`EVIDENCE_RETENTION_DAYS` ({compose_file.env_example()[1]['EVIDENCE_RETENTION_DAYS']})" in README
