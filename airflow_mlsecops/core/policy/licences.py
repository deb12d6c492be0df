"""SPDX licence expressions: whether what is said about a licence is covered by a list of licences.

Source: SPDX specification 2.3, annex D (https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/): OR leaves the
choice, AND binds, WITH binds tighter than both; ids are compared without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Set

_ID = r"[A-Za-z0-9.\-]+(?::[A-Za-z0-9.\-]+)?\+?"
_LICENCE = re.compile(rf"{_ID}(?: WITH {_ID})?\Z", re.IGNORECASE)
_TOKEN = re.compile(rf"\s*({_ID}|[()])")
_WORDS = frozenset({"and", "or", "with"})
_MAX_LENGTH, _MAX_DEPTH = 2000, 50


def is_licence(text: str) -> bool:
    """Whether it is a single licence, perhaps with an exception: what a list of licences may hold."""
    return _LICENCE.match(text) is not None and text.lower() not in _WORDS


def covers(allowed: Set[str], expression: str) -> bool:
    """Whether one may use something under this expression if these licences are allowed; unreadable is NO."""
    tokens = _tokens(expression)
    if tokens is None:
        return False
    parser = _Parser(tokens, {item.lower() for item in allowed})
    try:
        answer = parser.either(0)
    except _Unreadable:
        return False
    return answer and parser.done


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    pass


def _tokens(text: str) -> list[str] | None:
    found, at, text = [], 0, text.strip().lower()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or len(text) > _MAX_LENGTH:
            return None
        found.append(match[1])
        at = match.end()
    return found


class _Parser:
    """Recursive descent; it answers while it reads."""

    def __init__(self, tokens: list[str], allowed: Set[str]) -> None:
        self._tokens, self._allowed, self._at = tokens, allowed, 0

    @property
    def done(self) -> bool:
        return self._at == len(self._tokens)

    def either(self, depth: int) -> bool:
        answer = self._both(depth)
        while self._take("or"):
            answer = self._both(depth) or answer
        return answer

    def _both(self, depth: int) -> bool:
        answer = self._one(depth)
        while self._take("and"):
            answer = self._one(depth) and answer
        return answer

    def _one(self, depth: int) -> bool:
        if depth > _MAX_DEPTH:
            raise _Unreadable
        if self._take("("):
            answer = self.either(depth + 1)
            if not self._take(")"):
                raise _Unreadable
            return answer
        licence = self._id()
        if self._take("with"):
            return f"{licence} with {self._id()}" in self._allowed
        # "or later" leaves the choice of this very version.
        return licence in self._allowed or licence.removesuffix("+") in self._allowed

    def _id(self) -> str:
        if self.done or self._tokens[self._at] in {*_WORDS, "(", ")"}:
            raise _Unreadable
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, word: str) -> bool:
        if self.done or self._tokens[self._at] != word:
            return False
        self._at += 1
        return True
