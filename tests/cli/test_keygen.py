"""``mlsecops keygen``."""

from __future__ import annotations

import io
import os
import pty
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from airflow_mlsecops.cli import keygen
from airflow_mlsecops.core.errors import SigningError
from airflow_mlsecops.core.signing import key_signer_from_uri
from airflow_mlsecops.core.trust import TrustPolicy
from tests.cli.conftest import Ran, Run
from tests.cli.released import Released

ROOT = Path(__file__).resolve().parents[2]
SECRET = "correct horse ä battery"


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _says(ran: Ran, secret: str) -> bool:
    return secret in ran.out or secret in ran.err


def test_encrypted_key_by_variable(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_PASSPHRASE", SECRET)
    ran = run("keygen", tmp_path / "pipeline.pem", "--passphrase-env", "KEY_PASSPHRASE", "--json")

    assert ran.code == 0
    assert not _says(ran, SECRET)
    assert _mode(tmp_path / "pipeline.pem") == 0o600
    assert b"ENCRYPTED" in (tmp_path / "pipeline.pem").read_bytes()
    assert ran.json["encrypted"] is True
    assert ran.json["trust_entry"] is None
    signer = key_signer_from_uri(ran.json["signer"], SECRET)
    assert signer.public_key.pem == (tmp_path / "pipeline.pub").read_text()
    assert signer.public_key.hint == ran.json["key_hint"]
    for wrong in (None, "other"):
        with pytest.raises(SigningError):
            key_signer_from_uri(ran.json["signer"], wrong)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_encrypted_key_by_file(run: Run, tmp_path: Path, end: str) -> None:
    (tmp_path / "secret").write_bytes((SECRET + end).encode())
    ran = run("keygen", tmp_path / "key", "--passphrase-file", tmp_path / "secret")

    assert ran.code == 0
    assert "(encrypted)" in ran.out
    assert not _says(ran, SECRET)
    assert (tmp_path / "key.pub").exists()
    key_signer_from_uri(str(tmp_path / "key"), SECRET)


def test_unencrypted_key_is_said_to_be_one(run: Run, tmp_path: Path) -> None:
    ran = run("keygen", tmp_path / "k.pem", "--no-passphrase")

    assert ran.code == 0
    assert "NOT encrypted" in ran.out
    assert _mode(tmp_path / "k.pem") == 0o600
    key_signer_from_uri(str(tmp_path / "k.pem"))


def test_mode_does_not_depend_on_umask(run: Run, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        run("keygen", tmp_path / "k.pem", "--no-passphrase")
    finally:
        os.umask(before)

    assert _mode(tmp_path / "k.pem") == 0o600


def test_trust_policy_is_written_and_works(run: Run, world: Released) -> None:
    world.run_pipeline()
    key, trust = world.root / "keys.pem", world.root / "new-trust.yaml"
    ran = run(
        "keygen", key, "--no-passphrase", "--trust", trust, "--name", "yes", "--roles", "sign, control:label-poisoning"
    )

    assert ran.code == 0
    policy = TrustPolicy.from_bytes(trust.read_bytes())
    (signer,) = policy.signers.values()
    assert (signer.name, sorted(signer.roles)) == ("yes", ["control:label-poisoning", "sign"])
    before = run("verify", world.model, "--store", world.evidence, "--trust", trust)
    world.signers["pipeline"] = key_signer_from_uri(str(key))  # type: ignore[assignment]
    world.run_pipeline()
    after = run("verify", world.model, "--store", world.evidence, "--trust", trust)
    assert (before.code, after.code) == (1, 0)


def test_entry_to_paste(run: Run, released: Released) -> None:
    ran = run("keygen", released.root / "auditor.pem", "--no-passphrase", "--roles", "approve")

    assert ran.code == 0
    entry = ran.out.partition("of the trust policy:\n")[2]
    pasted = released.trust.read_text() + entry
    assert {item["name"] for item in yaml.safe_load(pasted)["signers"]} == {"pipeline", "people", "gate", "auditor"}
    assert len(TrustPolicy.from_bytes(pasted.encode()).signers) == 4


@pytest.mark.parametrize("taken", ["k.pem", "k.pub", "trust.yaml"])
@pytest.mark.parametrize("how", ["file", "dangling link"])
def test_nothing_is_overwritten(run: Run, tmp_path: Path, taken: str, how: str) -> None:
    if how == "file":
        (tmp_path / taken).write_text("precious")
    else:
        (tmp_path / taken).symlink_to(tmp_path / "elsewhere")
    ran = run(
        "keygen", tmp_path / "k.pem", "--no-passphrase", "--trust", tmp_path / "trust.yaml", "--roles", "sign", "--json"
    )

    assert ran.code == 2
    assert "exists" in ran.json["error"]["message"]
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert how != "file" or (tmp_path / taken).read_text() == "precious"


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_somebody_was_quicker(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    """A name that is taken between the check and the write is kept, and what was made already goes."""
    names = ["k.pem", "k.pub", "trust.yaml"]
    monkeypatch.setattr(keygen, "_check_free", lambda targets: targets[taken].write_text("precious"))
    ran = run("keygen", tmp_path / "k.pem", "--no-passphrase", "--trust", tmp_path / "trust.yaml", "--roles", "sign")

    assert ran.code == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(names[taken], "precious")]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_failure_half_way_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    calls: list[int] = []

    def fail_the_second_time(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise error

    monkeypatch.setattr("os.fsync", fail_the_second_time)
    ran = run("keygen", tmp_path / "k.pem", "--no-passphrase")

    assert ran.code == (130 if isinstance(error, KeyboardInterrupt) else 2)
    assert len(calls) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--passphrase", SECRET],
        [f"--passphrase={SECRET}"],
        ["--passphrase-env", SECRET],
        ["--passphrase-env", "EMPTY"],
        ["--passphrase-env", "LONG"],
        ["--passphrase-file", SECRET],
        ["--passphrase-file", "empty"],
        ["--passphrase-file", "two lines"],
        ["--passphrase-file", "not text"],
        ["--passphrase-file", "."],
        ["--no-passphrase", "--passphrase-env", "EMPTY"],
        ["--no-passphrase", "--trust", "t.yaml"],
        ["--no-passphrase", "--trust", "k.pem", "--roles", "sign"],
        ["--no-passphrase", "--roles", "king"],
        ["--no-passphrase", "--roles", "sign,,gate"],
        ["--no-passphrase", "--roles", "sign,sign"],
        ["--no-passphrase", "--roles", "sign", "--name", ""],
        ["--no-passphrase", "--trust", "no/such/folder.yaml", "--roles", "sign"],
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_what_is_refused_leaves_no_file_and_no_secret(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], debug: bool
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    files = {"empty": b"\n", "two lines": f"{SECRET}\nmore".encode(), "not text": SECRET.encode("latin-1")}
    for name, data in files.items():
        (work / name).write_bytes(data)
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("LONG", SECRET * 100)
    monkeypatch.chdir(work)
    ran = run("keygen", "k.pem", *arguments, *(["--debug"] if debug else []))

    assert ran.code == 2
    assert ran.out == ""
    assert not _says(ran, SECRET)
    assert sorted(path.name for path in work.iterdir()) == sorted(files)


def test_no_terminal_and_no_option_says_what_to_do(run: Run, tmp_path: Path) -> None:
    ran = run("keygen", tmp_path / "k.pem")

    assert ran.code == 2
    assert "no terminal" in ran.err
    assert "--passphrase-env" in ran.err


@pytest.mark.parametrize(
    ("typed", "code", "made"),
    [
        ([SECRET, SECRET], 0, True),
        ([SECRET, "something else"], 2, False),
        ([""], 2, False),
        (["\x04"], 2, False),
        (["\x03"], 130, False),
    ],
    ids=["same", "different", "empty", "end", "ctrl-c"],
)
def test_asking_in_a_terminal(tmp_path: Path, typed: list[str], code: int, made: bool) -> None:
    """A real process on a real pseudo-terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_mlsecops.cli", "keygen", str(tmp_path / "k.pem")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(theirs)
    seen = b""
    try:
        for prompt, text in zip((b"new key: ", b"again: "), typed, strict=False):
            seen += _read_until(ours, prompt)
            if text == "\x03":
                process.send_signal(signal.SIGINT)  # the terminal isn't this session's own, so Ctrl-C is only a byte
            else:
                os.write(ours, text.encode() + (b"" if text == "\x04" else b"\n"))
        seen += _read_until(ours, None)
        assert process.wait() == code
    finally:
        process.kill()
        process.wait()
        os.close(ours)

    assert SECRET.encode() not in seen
    assert (tmp_path / "k.pem").exists() is made
    if made:
        key_signer_from_uri(str(tmp_path / "k.pem"), SECRET)


def _read_until(descriptor: int, mark: bytes | None) -> bytes:
    """Until ``mark`` was printed, or (without one) until the other side is closed."""
    seen = b""
    while mark is None or mark not in seen:
        try:
            data = os.read(descriptor, 4096)
        except OSError:  # Linux reports a closed pseudo-terminal so
            data = b""
        if not data:
            if mark is None:
                break
            raise AssertionError(f"ended before {mark!r}: {seen!r}")
        seen += data
    return seen
