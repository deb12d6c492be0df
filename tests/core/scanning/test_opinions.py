"""Second opinions come from a process with limits; they add findings, and never take a refusal back."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.controls.model_scan import scan_model
from airflow_mlsecops.core.errors import ConfigurationError, MissingExtraError
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.scanning import opinions
from airflow_mlsecops.core.scanning.opinions import ask
from tests.support.hostile_models import EVIL4, GOOD

needs_picklescan = pytest.mark.skipif(
    importlib.util.find_spec("picklescan") is None, reason="picklescan isn't installed: what it says isn't tested here"
)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "model.pkl"
    path.write_bytes(data)
    return path


def scanned(path: Path, *names: str) -> Report:
    return scan_model(pin(str(path), kind=Kind.MODEL).artifact, path, opinions=names)


@needs_picklescan
def test_picklescan_names_the_gadget(tmp_path: Path) -> None:
    found = ask("picklescan", written(tmp_path, EVIL4)).findings
    assert [item.rule for item in found] == ["model-scan/second-opinion"]
    assert "os.system" in found[0].message
    assert ask("picklescan", written(tmp_path, GOOD)).findings == ()


@needs_picklescan
def test_report_names_the_scanner_and_a_refusal_stays(tmp_path: Path) -> None:
    report = scanned(written(tmp_path, EVIL4), "picklescan")
    assert report.verdict is Verdict.FAIL
    assert report.tools["picklescan"]
    assert scanned(written(tmp_path, GOOD), "picklescan").verdict is Verdict.PASS


@pytest.fixture
def saying(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A scanner that says what it is told to, in a real process."""

    def set_script(script: str) -> None:
        monkeypatch.setitem(opinions.SCANNERS, "pytest", opinions._CHILD + script)

    return set_script


class TestProcess:
    """With pytest's own distribution standing for a scanner's."""

    def test_what_it_found_turns_a_pass_into_a_review(self, saying: Any, tmp_path: Path) -> None:
        saying('print(json.dumps({"error": False, "found": ["something odd"]}))')
        report = scanned(written(tmp_path, GOOD), "pytest")
        assert report.verdict is Verdict.WARN
        assert "something odd" in report.findings[0].message

    def test_its_pass_takes_no_refusal_back(self, saying: Any, tmp_path: Path) -> None:
        saying('print(json.dumps({"error": False, "found": []}))')
        assert scanned(written(tmp_path, EVIL4), "pytest").verdict is Verdict.FAIL

    @pytest.mark.parametrize(
        "script",
        [
            "sys.exit(3)",
            "raise RuntimeError('x')",
            "print('not JSON')",
            "print('{}')",
            "print(json.dumps({'error': True, 'found': []}))",
            "held = bytearray(1 << 40)",
            "open(os.path.join(os.environ['HOME'], 'big'), 'wb').write(bytes(1 << 27))",
        ],
    )
    def test_silence_is_a_finding(self, script: str, saying: Any, tmp_path: Path) -> None:
        saying(script)
        found = ask("pytest", written(tmp_path, GOOD)).findings
        assert [item.rule for item in found] == ["model-scan/second-opinion-failed"]

    def test_time_is_limited(self, saying: Any, tmp_path: Path) -> None:
        saying("while True: pass")
        found = ask("pytest", written(tmp_path, GOOD), seconds=1).findings
        assert [item.rule for item in found] == ["model-scan/second-opinion-failed"]

    def test_there_is_no_network(self, saying: Any, tmp_path: Path) -> None:
        saying(
            "try:\n    socket.create_connection(('127.0.0.1', 9))\n"
            "except OSError as error:\n    print(json.dumps({'error': False, 'found': [str(error)]}))"
        )
        assert "no network here" in ask("pytest", written(tmp_path, GOOD)).findings[0].message

    def test_it_sees_nothing_of_our_environment(
        self, saying: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
        saying("print(json.dumps({'error': False, 'found': sorted(os.environ)}))")
        seen = {item.message.removeprefix("pytest: ") for item in ask("pytest", written(tmp_path, GOOD)).findings}
        assert "AIRFLOW__CORE__FERNET_KEY" not in seen
        assert "HOME" in seen


def test_unknown_scanner(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        ask("clairvoyant", written(tmp_path, GOOD))


def test_missing_scanner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(opinions.SCANNERS, "no-such-distribution", "")
    with pytest.raises(MissingExtraError):
        ask("no-such-distribution", written(tmp_path, GOOD), run=subprocess.run)
