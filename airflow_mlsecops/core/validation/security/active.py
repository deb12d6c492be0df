"""Markup that runs when a cell is shown, escape sequences of terminals, and control characters.

Sources: OWASP, Cross Site Scripting Prevention; CWE-79, CWE-150; ECMA-48 for escape sequences. Tab, carriage return and
line feed are let be.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from airflow_mlsecops.core.validation.security.cells import CellCheck

_CONTROLS = r"\x{0}-\x{8}\x{b}\x{c}\x{e}-\x{1f}\x{7f}-\x{9f}"
_CANDIDATES = (
    rf"[<\x{{ff1c}}\x{{fe64}}{_CONTROLS}]|&[#lL]"
    r"|[sS\x{17f}][cC][rR][iI\x{130}\x{131}][pP][tT][\x{9}\x{a}\x{d} ]*[:&\x{ff1a}]"
    r"|[dD][aA][tT][aA][\x{9}\x{a}\x{d} ]*[:&\x{ff1a}]"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_MARKUP = re.compile(
    r"""<\s{0,9}/?\s{0,9}(?:script|iframe|object|embed|applet|svg|math|base|meta|link|form|frame|frameset|style|template
        |xml|xsl|portal)\b
      | <[^<>]{0,1000}?[\s/"'](?:on[a-z]{3,30}|formaction|srcdoc)\s{0,9}=
      | (?:java|vb|live|j)\s{0,2}script\s{0,9}:\s{0,9}(?:[\w$.]{1,60}\s{0,3}[(=\[`]|%[0-9a-f]{2}|//)
      | data\s{0,9}:\s{0,9}(?:text/html|text/xml|image/svg\+xml|application/xhtml\+xml)""",
    re.VERBOSE | re.IGNORECASE,
)


def active(kwargs: Mapping[str, Any]) -> CellCheck:
    """The check; it has no parameters of its own."""
    return CellCheck(_CANDIDATES, _is_active)


def _is_active(text: str) -> bool:
    if _CONTROL.search(text):
        return True
    # What was escaped once or twice is shown as markup when somebody unescapes it once too often.
    for _ in range(3):
        if _MARKUP.search(text):
            return True
        plain = html.unescape(unicodedata.normalize("NFKC", text))
        if plain == text:
            return False
        text = plain
    return False
