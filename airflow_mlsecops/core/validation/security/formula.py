"""Cells that a spreadsheet takes for a formula.

Source: OWASP, CSV Injection (https://owasp.org/www-community/attacks/CSV_Injection), which lists = + - @, tab, carriage
return, line feed, and the full-width forms; CWE-1236. Numbers and telephone numbers begin like that too: they are let
be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_mlsecops.core.validation.security.cells import CellCheck, python_pattern

_START = r"\A[ ]*[=+\-@\x{9}\x{d}\x{a}\x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}]"
_BEGINS = re.compile(python_pattern(_START))
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
    return CellCheck(_START, _is_formula)


def _is_formula(text: str) -> bool:
    return _BEGINS.match(text) is not None and not (
        _NUMBER.match(text) or _TELEPHONE.match(text) or _DASHES.match(text)
    )
