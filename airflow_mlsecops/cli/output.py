"""Everything that the command prints passes here.

Names, reasons and reports come from stores that others can write to. A control character in them could move the
cursor, rewrite an earlier line or turn a NO into a YES on the screen. So text is cleaned at this one place, line by
line, and colours are added after that; a command can't forget it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TextIO

from airflow_mlsecops.cli.exit_codes import ExitCode


class Style(StrEnum):
    """Colours by meaning (ECMA-48 SGR parameters)."""

    GOOD = "1;32"
    BAD = "1;31"
    LOUD = "1;33"
    HEAD = "1"
    DIM = "2"


@dataclass(frozen=True)
class Styled:
    """A piece of a line that has a colour, where colours are shown."""

    text: str
    style: Style


Line = str | Styled | list[str | Styled]


@dataclass(frozen=True)
class Answer:
    """What a command has to say.

    Attributes:
        code: the exit code.
        document: with ``--json`` the whole of standard output.
        lines: otherwise the text for people.
        raw: exact bytes that are printed instead of the lines, if given.
        notes: lines for standard error, beside ``raw`` only.
    """

    code: ExitCode
    document: Mapping[str, Any]
    lines: Sequence[Line] = ()
    raw: bytes | None = None
    notes: Sequence[Line] = field(default=())


def clean(text: str) -> str:
    r"""Show what can't be seen: control characters, direction marks, line breaks become ``\x1b``, ``\u202e``, ``\n``.

    Of all white space only the plain blank stays.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class Output:
    """Standard output and standard error.

    Args:
        as_json: whether standard output takes one JSON document and nothing else.
        stdout: by default ``sys.stdout``.
        stderr: by default ``sys.stderr``.
    """

    def __init__(self, *, as_json: bool, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self._json = as_json
        self._stdout = sys.stdout if stdout is None else stdout
        self._stderr = sys.stderr if stderr is None else stderr

    def answer(self, answer: Answer) -> ExitCode:
        """Print an answer; return the exit code.

        A reader who went away (``| head``) changes nothing about the answer. Output that can't be written (a full
        disk) turns a YES into no answer, because nobody can read it.
        """
        try:
            self._print(answer)
            if self._stdout is not None:
                self._stdout.flush()
        except BrokenPipeError:
            _forget(self._stdout)
        except OSError as error:
            _forget(self._stdout)
            self.note(f"mlsecops: the answer can't be written: {error}")
            return ExitCode.NO_ANSWER if answer.code is ExitCode.YES else answer.code
        return answer.code

    def error(self, code: ExitCode, reason: str, message: str, advice: str) -> ExitCode:
        """Report an error: with ``--json`` as the document on standard output, otherwise on standard error."""
        if self._json:
            return self.answer(Answer(code, {"error": {"code": reason, "message": message, "advice": advice}}))
        self.note(["mlsecops: ", Styled(f"[{reason}] {message}", Style.BAD)])
        if advice:
            self.note(f"  -> {advice}")
        return code

    def note(self, line: Line) -> None:
        """One line on standard error; if that is gone, nothing."""
        try:
            _write(self._stderr, self._shown(line, self._stderr) + "\n")
            if self._stderr is not None:
                self._stderr.flush()
        except OSError:
            _forget(self._stderr)

    def _print(self, answer: Answer) -> None:
        if self._json:
            # ensure_ascii escapes everything but DEL, which can only stand inside a string.
            text = json.dumps(answer.document, indent=2, ensure_ascii=True, allow_nan=False)
            _write(self._stdout, text.replace("\x7f", "\\u007f") + "\n")
            return
        for line in answer.notes:
            self.note(line)
        if answer.raw is not None:
            self._print_raw(answer.raw)
            return
        for line in answer.lines:
            _write(self._stdout, self._shown(line, self._stdout) + "\n")

    def _print_raw(self, data: bytes) -> None:
        """Exact bytes, except on a terminal, which would obey what is written in them."""
        if self._stdout is not None and not self._stdout.isatty():
            self._stdout.flush()
            self._stdout.buffer.write(data)
            return
        for line in data.decode("utf-8", "backslashreplace").split("\n"):
            _write(self._stdout, clean(line) + "\n")
        self.note("shown for a terminal, with unprintable characters escaped; redirect it for the exact bytes")

    @staticmethod
    def _shown(line: Line, stream: TextIO | None) -> str:
        parts = line if isinstance(line, list) else [line]
        colours = _has_colours(stream)
        shown = []
        for part in parts:
            if isinstance(part, Styled):
                text = clean(part.text)
                shown.append(f"\x1b[{part.style.value}m{text}\x1b[0m" if colours else text)
            else:
                shown.append(clean(part))
        return "".join(shown)


def _has_colours(stream: TextIO | None) -> bool:
    """On a terminal, unless NO_COLOR (https://no-color.org) or a dumb one says otherwise."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream is not None and stream.isatty() and not plain


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # closed before the start (`>&-`)
        raise OSError("it is closed")
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _forget(stream: TextIO | None) -> None:
    """Point a broken stream at nothing, so that the interpreter's flush at the end doesn't fail once more."""
    try:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        if stream is not None:
            os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
    except (OSError, ValueError):
        pass
