"""Cells that a spreadsheet takes for a formula.

Source: OWASP, CSV Injection (https://owasp.org/www-community/attacks/CSV_Injection), which lists = + - @, tab, carriage
return, line feed, and the full-width forms, and warns of separators and quotes that begin a new cell; CWE-1236. Numbers
and telephone numbers begin like that too: they are let be. Blanks before the sign don't count, whether seen or not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_mlsecops.core.validation.security.cells import CellCheck, python_pattern

_BLANKS = r"\x{20}\x{a0}\x{b}\x{c}\x{1680}\x{2000}-\x{200f}\x{2028}\x{2029}\x{202f}\x{205f}\x{2060}\x{3000}\x{feff}"
_SIGNS = r"=+\-@\x{9}\x{d}\x{a}\x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}\x{fe66}\x{fe62}\x{fe63}\x{fe6b}"
_START = rf"\A(?:[{_BLANKS}]*[{_SIGNS}]|[{_BLANKS}\"]*=)"
_INSIDE = (
    r"[;,|\x{9}\x{a}\x{d}\"'][ ]*=[ ]*[A-Za-z_.][A-Za-z0-9_.]*[ ]*\("  # a function, in the next cell
    r"|[=+@\-][ ]*[A-Za-z][A-Za-z0-9_.]*\|[ ]*'[^']*'![A-Za-z$]"  # dynamic data exchange: a program
)
_BEGINS, _LATER = re.compile(python_pattern(_START)), re.compile(python_pattern(_INSIDE))
_BEFORE = re.compile(python_pattern(rf"\A[{_BLANKS}]+"))
_NUMBER = re.compile(
    r"""[ ]*[+-][ ]?(?:
        [$€£¥]?[ ]?[0-9][0-9,.' \u00a0\u202f]{0,40}(?:[eE][+-]?[0-9]{1,4})?[ ]?[%€$£¥]?  # -1,5  +3 %  -1.2e-7
      | \.[0-9]{1,40}(?:[eE][+-]?[0-9]{1,4})?                                            # -.5
      | inf | Inf | infinity | Infinity
    )[ ]*\Z""",
    re.VERBOSE,
)
_TELEPHONE = re.compile(r"[ ]*\+[0-9(][0-9 ()./\u00a0-]{3,25}(?:[ ]?(?:ext|x)\.?[ ]?[0-9]{1,6})?[ ]*\Z")
_DASHES = re.compile(r"[ ]*-{1,3}[ ]*\Z")


def formula(kwargs: Mapping[str, Any]) -> CellCheck:
    """The check; it has no parameters of its own."""
    return CellCheck(f"{_START}|{_INSIDE}", _is_formula)


def _is_formula(text: str) -> bool:
    if _LATER.search(text):
        return True
    plain = _BEFORE.sub("", text)
    return _BEGINS.match(text) is not None and not (
        _NUMBER.match(plain) or _TELEPHONE.match(plain) or _DASHES.match(plain)
    )
