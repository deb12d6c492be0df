r"""Python's regular expressions as RE2's, where the two provably match the same texts; anything else is refused.

They differ in more than look-arounds: ``$`` accepts a trailing newline in Python, ``\d`` Arabic digits, ``\s`` four
separators that RE2 doesn't know. So a pattern is taken apart by Python's own parser, and written anew from the parts
whose meaning is the same; classes (``\d``, ``\w``, ``\s``) only for a column of ASCII, which the caller checks.

Sources: https://docs.python.org/3/library/re.html, https://github.com/google/re2/wiki/Syntax

>>> translate("^[a-z]+$")
Re2(pattern='\\A(?:[\\x{61}-\\x{7a}]){1,}(?:\\x{a}?\\z)', ascii_only=False)
>>> translate("(?=a)") is None
True
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_MAX_REPEAT = 200
"""RE2 refuses more than 1000 repetitions of a part, nested ones multiplied; this stays far below."""
_MAX_PATTERN = 500
_CLASSES = {
    "CATEGORY_DIGIT": r"0-9",
    "CATEGORY_WORD": r"0-9A-Za-z_",
    "CATEGORY_SPACE": r"\x{9}-\x{d}\x{1c}-\x{20}",
}


@dataclass(frozen=True)
class Re2:
    """A pattern for RE2, and whether it means the same only for texts of ASCII."""

    pattern: str
    ascii_only: bool


class _DifferentError(Exception):
    """A part whose meaning differs."""


def translate(pattern: str) -> Re2 | None:
    """The pattern for RE2, or ``None`` if it isn't certain that both match the same texts (by search, anywhere)."""
    from re import _parser  # type: ignore[attr-defined]  # the parser that `re` itself uses

    if len(pattern) > _MAX_PATTERN:
        return None
    try:
        parsed = _parser.parse(pattern)
        if parsed.state.flags & ~re.UNICODE:
            return None
        writer = _Writer()
        return Re2(writer.sequence(list(parsed), last=True), writer.ascii_only)
    except (_DifferentError, re.error, RecursionError, OverflowError):
        return None


class _Writer:
    def __init__(self) -> None:
        self.ascii_only = False

    def sequence(self, parts: list[Any], last: bool) -> str:
        return "".join(
            self._part(str(code), given, last and place == len(parts) - 1) for place, (code, given) in enumerate(parts)
        )

    def _part(self, code: str, given: Any, last: bool) -> str:
        if code == "LITERAL":
            return _letter(given)
        if code == "NOT_LITERAL":
            return f"[^{_letter(given)}]"
        if code == "ANY":
            return r"[^\x{a}]"
        if code == "IN":
            return self._set(given)
        if code == "AT":
            return _anchor(str(given), last)
        if code == "MAX_REPEAT":
            return self._repeat(*given)
        if code == "SUBPATTERN":
            _, added, removed, inner = given
            if added or removed:
                raise _DifferentError
            return f"(?:{self.sequence(list(inner), last)})"
        if code == "BRANCH":
            return f"(?:{'|'.join(self.sequence(list(each), last) for each in given[1])})"
        raise _DifferentError

    def _set(self, items: list[Any]) -> str:
        written = []
        negated = ""
        for code, given in items:
            if str(code) == "NEGATE":
                negated = "^"
            elif str(code) == "LITERAL":
                written.append(_letter(given))
            elif str(code) == "RANGE":
                written.append(f"{_letter(given[0])}-{_letter(given[1])}")
            else:
                written.append(self._class(str(given)))
        return f"[{negated}{''.join(written)}]"

    def _class(self, name: str) -> str:
        self.ascii_only = True
        if name not in _CLASSES:
            raise _DifferentError  # \D, \W, \S: their complements within a set are seldom worth the care
        return _CLASSES[name]

    def _repeat(self, low: int, high: Any, inner: Any) -> str:
        upper = "" if str(high) == "MAXREPEAT" else int(high)
        if low > _MAX_REPEAT or (upper != "" and int(upper) > _MAX_REPEAT):
            raise _DifferentError
        written = self.sequence(list(inner), last=False)
        if "{" in written.replace(r"\x{", "") or r"\A" in written or r"\z" in written:
            raise _DifferentError  # nested repetition multiplies; repeated anchors differ
        return f"(?:{written}){{{low},{upper}}}"


def _letter(code: int) -> str:
    return f"\\x{{{code:x}}}"


def _anchor(name: str, last: bool) -> str:
    if name in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
        return r"\A"
    if name == "AT_END_STRING":
        return r"\z"
    if name == "AT_END" and last:
        return r"(?:\x{a}?\z)"  # Python's $ accepts one newline at the end
    raise _DifferentError
