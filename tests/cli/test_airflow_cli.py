"""``airflow mlsecops …``: the same commands, found by Airflow, with an Airflow connection for what isn't named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.airflow_cli import get_mlsecops_cli_commands
from airflow_mlsecops.cli.main import COMMANDS
from tests.support.deployment import Deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment")


@pytest.fixture
def parser() -> Any:
    from airflow.cli.cli_parser import get_parser

    return get_parser()


@pytest.fixture
def connected(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    fields = deployment.connections["mlsecops_default"]
    monkeypatch.setenv("AIRFLOW_CONN_MLSECOPS_DEFAULT", json.dumps(fields))
    for name in ("MLSECOPS_STORE", "MLSECOPS_TRUST", "MLSECOPS_POLICY"):
        monkeypatch.delenv(name, raising=False)
    yield deployment


def run(parser: Any, *words: str) -> int:
    args = parser.parse_args(["mlsecops", *words])
    with pytest.raises(SystemExit) as end:
        args.func(args)
    assert isinstance(end.value.code, int)
    return end.value.code


def test_airflow_offers_every_command(parser: Any) -> None:
    (group,) = get_mlsecops_cli_commands()
    paths: set[tuple[str, ...]] = set()
    for command in group.subcommands:  # type: ignore[union-attr]
        inner = getattr(command, "subcommands", None)
        paths |= {(command.name, one.name) for one in inner} if inner else {(command.name,)}
    assert paths == {command.path for command in COMMANDS}


def test_the_connection_names_store_and_trust_policy(
    parser: Any, connected: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    assert run(parser, "verify", str(model), "--json") == 1  # nothing is signed: NO, and no error
    assert "evidence" in capsys.readouterr().out
    assert run(parser, "evidence", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["subjects"] == []


def test_what_is_named_on_the_command_line_counts_more(
    parser: Any, connected: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(parser, "evidence", "list", "--store", str(tmp_path / "nowhere"), "--json") != 0
    assert "nowhere" in capsys.readouterr().out


def test_a_connection_that_is_named_outranks_the_environment(
    parser: Any,
    connected: Deployment,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLSECOPS_STORE", str(tmp_path / "nowhere"))
    assert run(parser, "evidence", "list", "--json") != 0
    capsys.readouterr()
    assert run(parser, "evidence", "list", "--mlsecops-conn-id", "mlsecops_default", "--json") == 0
    assert json.loads(capsys.readouterr().out)["subjects"] == []


def test_a_connection_that_is_not_there(
    parser: Any, connected: Deployment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(parser, "evidence", "list", "--mlsecops-conn-id", "no_such") == 2
    assert "there is no connection 'no_such'" in capsys.readouterr().err
    monkeypatch.delenv("AIRFLOW_CONN_MLSECOPS_DEFAULT")
    monkeypatch.setenv("AIRFLOW_HOME", str(connected.root / "home"))
    assert run(parser, "evidence", "list") == 2
    assert "--store is missing" in capsys.readouterr().err
    assert not (connected.root / "home" / "mlsecops").exists()  # no key was made on the way


def test_the_program_itself(connected: Deployment, tmp_path: Path) -> None:
    """In a process of its own, as people call it."""
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "home")}
    program = Path(sys.executable).with_name("airflow")
    shown = subprocess.run(
        [program, "mlsecops", "evidence", "list", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout[shown.stdout.index("{") :])["subjects"] == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command.path))
def test_the_help_text_can_be_made(parser: Any, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parser.parse_args(["mlsecops", *command.path, "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "--mlsecops-conn-id" in out
    assert "--json" in out
