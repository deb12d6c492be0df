"""What pages say to type in is accepted: policies, connections, suites and commands, by what reads them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import Connection

from airflow_mlsecops.cli.main import build_parser, main
from airflow_mlsecops.core.describe.told import Told
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.policy.cases import try_cases
from airflow_mlsecops.core.signing import key_signer_from_uri
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.hooks.settings import Settings
from tests.cli.released import Released
from tests.support import doc_pages
from tests.support.doc_pages import ROOT, Block, blocks, commands, marked, words

COMMANDS = [(block, command) for block in blocks("console") for command in commands(block)]
ENDS = {"&&", "||", "|", ";"}


# --- policies and connections -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_policies_are_accepted(block: Block) -> None:
    value = yaml.safe_load(block.code)
    if isinstance(value, list):  # some requirements
        text = "version: 1\nname: example\nrequire:\n" + re.sub(r"^", "  ", block.code, flags=re.MULTILINE)
        assert len(ReleasePolicy.from_bytes(text.encode()).require) == len(value)
    elif "signers" in value:
        assert len(TrustPolicy.from_bytes(block.code.encode()).signers) == len(value["signers"])
    elif "cases" in value:
        assert all(try_cases(ReleasePolicy.from_file("mlsecops:production"), block.code.encode()))
    elif "model" in value:
        assert Told.from_bytes(block.code.encode()).model == value["model"]
    else:
        # With all that it extends there are more.
        assert len(ReleasePolicy.from_bytes(block.code.encode()).require) >= len(value["require"])


def connections() -> list[tuple[str, dict[str, Any]]]:
    """Every connection that a page shows, as the fields of its JSON form, and where."""
    found: list[tuple[str, dict[str, Any]]] = [(str(block), json.loads(block.code)) for block in blocks("json")]
    for block, command in COMMANDS:
        where, parts = f"{block.page}: {command[:60]}", shlex.split(command)
        if parts[0] == "export" and parts[1].startswith("AIRFLOW_CONN_"):
            found.append((where, json.loads(parts[1].partition("=")[2])))
        if parts[:3] == ["airflow", "connections", "add"]:
            options = dict(zip(parts[4::2], parts[5::2], strict=True))
            found.append((where, {"conn_type": options["--conn-type"], "extra": json.loads(options["--conn-extra"])}))
    return [(where, fields) for where, fields in found if "conn_type" in fields]


@pytest.mark.parametrize("fields", [pytest.param(fields, id=where) for where, fields in connections()])
def test_connections_are_accepted(fields: dict[str, Any]) -> None:
    connection = Connection.from_json(json.dumps(fields), conn_id="example")
    if fields["conn_type"] == "aws":
        read = (ROOT / "airflow_mlsecops" / "hooks" / "aws.py").read_text()
        assert all(f'extra.get("{name}")' in read for name in fields["extra"])
        return
    settings = Settings.from_connection(connection)
    for name, value in fields["extra"].items():
        assert getattr(settings, name) == value  # a key that is not read would be missing here
    assert settings.passphrase == fields.get("password")


def test_each_kind_of_connection_is_shown() -> None:
    shown = [fields for _, fields in connections()]
    assert {fields["conn_type"] for fields in shown} == {"mlsecops", "aws"}
    ours = [fields for fields in shown if fields["conn_type"] == "mlsecops"]
    assert {bool(fields["extra"].get("signer")) for fields in ours} == {True, False}


def test_the_connections_fields_are_told() -> None:
    told = {name for row in doc_pages.table("connection") for name in words(row[0])}
    assert told == set(Settings.__dataclass_fields__) - {"passphrase"}


def test_the_keys_of_the_guide_make_a_connection_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSPHRASE", "correct horse")
    (block,) = [block for value, block in marked("run", "console") if value == "keys"]
    roles: dict[str, list[str]] = {}
    for command in commands(block):
        if not command.startswith("mlsecops "):
            subprocess.run(["/bin/sh", "-euc", command], check=True)
            continue
        arguments = shlex.split(command)[1:]
        assert main([*arguments, "--passphrase-env", "PASSPHRASE"]) == 0
        roles[arguments[1]] = arguments[arguments.index("--roles") + 1].split(",")
        entry = capsys.readouterr().out.partition("under 'signers:' of the trust policy:\n")[2]
        with Path("trust.yaml").open("a") as stream:
            stream.write(entry)
    trust = TrustPolicy.from_bytes(Path("trust.yaml").read_bytes())
    assert len(trust.signers) == len(roles) == 4
    for key, given in roles.items():
        assert trust.signer(key_signer_from_uri(f"file:{key}", "correct horse").public_key.hint).roles == set(given)

    Path("evidence").mkdir()
    extra = {"evidence_root": "evidence", "trust_policy": "trust.yaml", "signer": "file:keys/signing.pem"}
    fields = {"conn_type": "mlsecops", "password": "correct horse", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MLSECOPS_SIGNING", json.dumps(fields))
    assert MlsecopsHook("mlsecops_signing").test_connection() == (
        True,
        f"0 artifacts in evidence store {tmp_path / 'evidence'}; 4 trusted signers; signing as signing with roles sign",
    )
    del extra["signer"]
    monkeypatch.setenv("AIRFLOW_CONN_MLSECOPS_READER", json.dumps(fields))
    usable, told = MlsecopsHook("mlsecops_reader").test_connection()
    assert (usable, told.endswith("because there is no signer")) == (True, True)


def test_the_suite_is_accepted() -> None:
    from airflow_mlsecops.core.controls.validation import load_suite

    (suite,) = [json.loads(block.code) for block in blocks("json") if block.mark == "suite"]
    assert load_suite(suite).expectations == 3


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [pytest.param(command, id=f"{block.page}: {command[:50]}") for block, command in COMMANDS]
)
def test_commands_can_be_parsed(command: str) -> None:
    parts = shlex.split(command, comments=True)
    parts = parts[: next((index for index, part in enumerate(parts) if part in ENDS), len(parts))]
    while re.match(r"[A-Z_]+=", parts[0]):
        parts.pop(0)
    if parts[0] == "mlsecops":
        assert "run" in build_parser().parse_args(parts[1:])
    elif parts[0] == "airflow":
        from airflow.cli.cli_parser import get_parser

        assert callable(get_parser().parse_args(parts[1:]).func)
    elif "/" in parts[0] and not parts[0].startswith("./"):
        assert os.access(ROOT / parts[0], os.X_OK), parts[0]
    else:
        assert parts[0] in ("pip", "export", "mkdir", "echo"), f"no test knows {parts[0]!r}"


def test_the_libraries_that_are_named_are_those_that_verify_needs(tmp_path: Path) -> None:
    lists = {
        block.page: sorted(command.split()[2:])
        for block, command in COMMANDS
        if command.startswith("pip install cryptography")
    }
    assert set(lists) == {"docs/reference/cli.md", "docs/how-to/verify-where-it-is-used.md"}
    (named,) = {tuple(names) for names in lists.values()}

    world = Released(tmp_path / "world")
    world.run_pipeline()
    code = (
        "import sys; from importlib.metadata import packages_distributions\n"
        "before = set(sys.modules)\n"
        "from airflow_mlsecops.cli.main import main\n"
        "code = main()\n"
        "new, owners = {name.partition('.')[0] for name in set(sys.modules) - before}, packages_distributions()\n"
        "print(*{owner for name in new for owner in owners.get(name, ())}, file=sys.stderr); sys.exit(code)\n"
    )
    command = [sys.executable, "-c", code, "verify", str(world.model), *world.options, "--policy", str(world.policy)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    brought = {"airflow-mlsecops", "cffi"}  # ours, and a dependency of cryptography's
    assert set(done.stderr.lower().split()) - brought == set(named)
