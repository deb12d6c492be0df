"""The rim of the command line: usage, errors, interrupts, broken pipes, colours, help."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_mlsecops import __version__
from airflow_mlsecops.cli import help_pages
from airflow_mlsecops.cli.exit_codes import MEANINGS, ExitCode, exit_code_of
from airflow_mlsecops.cli.main import COMMANDS, main
from airflow_mlsecops.cli.output import Answer, Line, Output, Style, Styled, clean
from airflow_mlsecops.core import errors
from tests.cli.conftest import Run
from tests.cli.released import Released

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference" / "cli.md"
MODULE = [sys.executable, "-m", "airflow_mlsecops.cli"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bogus"],
        ["evidence"],
        ["evidence", "bogus"],
        ["pin"],
        ["pin", "a", "b"],
        ["pin", "a", "--kind", "\x1b[31mcat"],
        ["verify", "a", "--stor", "b"],
        ["--bogus", "pin", "a"],
        ["keygen"],
    ],
)
def test_usage_errors(run: Run, arguments: list[str]) -> None:
    text, document = run(*arguments), run(*arguments, "--json")

    assert text.code == document.code == 2
    assert text.out == ""
    assert text.err.startswith("mlsecops: [usage]")
    assert "\x1b" not in text.err
    assert document.err == ""
    assert document.json["error"]["code"] == "usage"
    assert "--help" in document.json["error"]["advice"]


def test_json_may_stand_before_or_after_the_command_but_not_behind_two_dashes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    assert run("--json", "pin", tmp_path / "f").json == run("pin", tmp_path / "f", "--json").json
    ran = run("pin", "--", "--json")
    assert (ran.code, ran.out) == (3, "")


def test_version(run: Run) -> None:
    assert run("--version").out == f"mlsecops {__version__}\n"
    assert run("--version", "--json").json == {"version": __version__}


def test_unexpected_error_is_70_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("a \x1b[31mbug")

    monkeypatch.setattr("airflow_mlsecops.core.pinning.pin", broken)
    text, document, debug = (run("pin", "x", *extra) for extra in ([], ["--json"], ["--debug"]))

    assert text.code == document.code == debug.code == 70
    assert "Traceback" not in text.err
    assert r"ZeroDivisionError: a \x1b[31mbug" in text.err
    assert document.json["error"]["code"] == "internal"
    assert "Traceback" in debug.err
    assert "\x1b" not in debug.err


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "/data"), 3, "io"),
        (TimeoutError("timed out"), 3, "io"),
        (MemoryError(), 70, "internal"),
        (RecursionError("too deep"), 70, "internal"),
    ],
)
def test_other_ends(run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, reason: str) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr("airflow_mlsecops.core.pinning.pin", broken)
    ran = run("pin", "x", "--json")

    assert (ran.code, ran.json["error"]["code"]) == (code, reason)


def _error_classes() -> list[type[errors.MlsecopsError]]:
    found, todo = [], [errors.MlsecopsError]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo += kind.__subclasses__()
    return found


@pytest.mark.parametrize("kind", _error_classes(), ids=lambda kind: kind.__name__)
def test_no_error_is_a_yes_and_transient_ones_are_no_answer(kind: type[errors.MlsecopsError]) -> None:
    code = exit_code_of(kind("x"))

    assert code in (ExitCode.NO, ExitCode.USAGE, ExitCode.NO_ANSWER)
    assert code is ExitCode.NO_ANSWER or not kind.transient


def test_reader_that_goes_away_changes_nothing(released: Released) -> None:
    """The pipe is closed before anything is written to it, so every write fails."""
    arguments = ["verify", str(released.model), *released.options]
    for options, code in (([], 0), (["--kind", "dataset"], 1), (["--json"], 0)):
        read, write = os.pipe()
        os.close(read)
        try:
            done = subprocess.run(
                [*MODULE, *arguments, *options], stdout=write, stderr=subprocess.PIPE, cwd=ROOT, env=ENVIRONMENT
            )
        finally:
            os.close(write)
        assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_answer_that_cannot_be_written_is_no_yes(released: Released) -> None:
    arguments = ["verify", str(released.model), *released.options]
    for options, code in (([], 3), (["--kind", "dataset"], 1)):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [*MODULE, *arguments, *options], stdout=full, stderr=subprocess.PIPE, cwd=ROOT, env=ENVIRONMENT
            )
        assert done.returncode == code
        assert b"can't be written" in done.stderr
        assert b"Traceback" not in done.stderr


def test_closed_standard_output_is_no_yes(released: Released) -> None:
    command = " ".join([*MODULE, "verify", str(released.model), *released.options, ">&-"])
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, cwd=ROOT, env=ENVIRONMENT)

    assert done.returncode == 3


def test_output_in_a_narrow_encoding(released: Released) -> None:
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*MODULE, "evidence", "list", "--store", str(released.evidence), str(released.data)],
        capture_output=True,
        cwd=ROOT,
        env=environment,
    )

    assert done.returncode == 0
    assert rb"\u2026" in done.stdout


@pytest.mark.parametrize(
    ("terminal", "environment", "coloured"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colours(monkeypatch: pytest.MonkeyPatch, terminal: bool, environment: dict[str, str], coloured: bool) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    line: Line = [Styled("NO\x1b[32m", Style.BAD), " \x1b[32mYES"]
    Output(as_json=False, stdout=stream, stderr=stream).answer(Answer(ExitCode.NO, {}, [line]))

    word = r"NO\x1b[32m"
    assert stream.getvalue() == (f"\x1b[1;31m{word}\x1b[0m" if coloured else word) + r" \x1b[32mYES" + "\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 漢 🙂", "plain ä 漢 🙂"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\nc\td\x00\x07\x08\x7f", r"a\rb\nc\td\x00\x07\x08\x7f"),
        ("\u202e\u2066\u200b\ufeff\u2028\xa0\xad", r"\u202e\u2066\u200b\ufeff\u2028\xa0\xad"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert clean(shown) == shown


def test_every_character_is_either_printable_or_escaped() -> None:
    for start in range(0, sys.maxunicode + 1, 4096):
        text = clean("".join(map(chr, range(start, start + 4096))))
        assert text.isprintable()
        text.encode()


@pytest.mark.parametrize("path", help_pages.paths())
def test_help(run: Run, path: str) -> None:
    words = path.split()
    text, document = run(*words, "--help"), run(*words, "-h", "--json")

    assert text.code == document.code == 0
    assert text.out == document.json["help"]
    assert text.out.startswith(f"usage: {' '.join(['mlsecops', *words])} ")
    for code, meaning in MEANINGS.items():
        assert f"{code.value}" in text.out
        assert meaning in text.out


def test_usage_lines_name_every_argument() -> None:
    """They are written by hand, so that they read the same under every Python."""
    for command in COMMANDS:
        text = help_pages.help_of(" ".join(command.path))
        options = [line.split()[0].rstrip(",") for line in text.splitlines() if line.startswith("  -")]
        assert set(options) - {"-h", "--json", "--debug"} <= set(
            command.usage.replace("[", " ").replace("]", " ").replace("…", " ").split()
        )


def test_reference_holds_the_real_help() -> None:
    """If this fails: python -m airflow_mlsecops.cli.help_pages docs/reference/cli.md"""
    page = REFERENCE.read_text(encoding="utf-8")

    assert help_pages.with_help(page) == page


def test_reference_with_a_place_too_few_or_a_stale_text_is_noticed() -> None:
    page = REFERENCE.read_text(encoding="utf-8")

    with pytest.raises(ValueError, match="one place"):
        help_pages.with_help(page.replace("<!-- help: pin -->", ""))
    stale = page.replace("hash a dataset or a model, as a pipeline pins it", "something else")
    assert stale != page
    assert help_pages.with_help(stale) == page


def test_reference_names_every_exit_code() -> None:
    page = REFERENCE.read_text(encoding="utf-8")

    for code in ExitCode:
        assert f"| {code.value} |" in page


def test_looking_for_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, json\n"
        "from airflow_mlsecops.cli.main import main\n"
        "main(['verify', '--help', '--json'])\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, env=ENVIRONMENT
    )

    loaded = {name.split(".")[0] for name in json.loads(done.stderr)}
    assert loaded.isdisjoint({"airflow", "cryptography", "yaml", "boto3", "numpy", "sklearn", "great_expectations"})


def test_main_reads_the_process_arguments(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["mlsecops", "--version"])

    assert main() == 0
    assert capsys.readouterr().out == f"mlsecops {__version__}\n"
