"""Markup that runs when a cell is shown, escape sequences of terminals, and control characters.

Sources: OWASP, Cross Site Scripting Prevention; CWE-79, CWE-150; ECMA-48 for escape sequences; HTML Living Standard,
section 8.1.8.2, for the names of event handlers. Tab, carriage return and line feed are let be.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_mlsecops.core.validation.security.cells import CellCheck
from airflow_mlsecops.core.validation.security.wrapped import coded, unwrapped

_CONTROLS = r"\x{0}-\x{8}\x{b}\x{c}\x{e}-\x{1f}\x{7f}-\x{9f}"
_BREAKS = r"[\x{9}\x{a}\x{d}]*"
"""Browsers pass over these within the scheme of an address."""


def _spread(*classes: str) -> str:
    return _BREAKS.join(f"[{each}]" for each in classes)


_SCRIPT = _spread("sS\\x{17f}", "cC", "rR", "iI\\x{130}\\x{131}", "pP", "tT")
_CANDIDATES = (
    rf"[<\x{{ff1c}}\x{{fe64}}{_CONTROLS}]|&[#lL]|[aA][mM][pP];[#lL]|\+ADw"
    rf"|{_SCRIPT}[\x{{9}}\x{{a}}\x{{d}} ]*[:&%\\\x{{ff1a}}]"
    rf"|{_spread('dD', 'aA', 'tT', 'aA')}[\x{{9}}\x{{a}}\x{{d}} ]*[:&%\\\x{{ff1a}}]"
    rf"|&(?:Tab|NewLine);|{coded('(?:0[9aAdD]|3[cC]|[4-7][0-9a-fA-F])')}|\\u(?:[fF]{{2}}1[cC]|[fF][eE]64)"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_EVENTS = (
    "abort|after|animation|auxclick|before|begin|blur|bounce|can|change|click|close|context|copy|cue|cut|dblclick|drag"
    "|drop|duration|emptied|end|error|finish|focus|form|fullscreen|gotpointer|hash|input|invalid|key|languagechange|load"
    "|lostpointer|message|mouse|offline|online|page|paste|pause|play|pointer|popstate|progress|ratechange|rejection"
    "|repeat|reset|resize|scroll|search|security|seek|select|show|slot|stalled|start|storage|submit|suspend|time|toggle"
    "|touch|transition|unhandled|unload|volume|waiting|webkit|wheel"
)
_TAG = re.compile(r"<[a-z/!?]", re.IGNORECASE)
_HANDLER = re.compile(rf"""[\s/"'`](?:on(?:{_EVENTS})[a-z]{{0,30}}|formaction|srcdoc)\s{{0,9}}=""", re.IGNORECASE)
_MARKUP = re.compile(
    r"""<\s{0,9}/?\s{0,9}(?:[\w.-]{1,30}:)?(?:script|iframe|object|embed|applet|svg|math|base|meta|link|form|frame|frameset
        |style|template|xml|xsl|portal|plaintext|xmp|noscript|noembed)\b
      | <[^<>]{0,1000}?[\s/"'](?:on[a-z]{3,30})\s{0,9}=
      | \+ADw-?\s{0,9}/?\s{0,9}(?:script|iframe|img|svg|body)""",
    re.VERBOSE | re.IGNORECASE,
)
_SCHEME = re.compile(
    r"""(?:java|vb|live|j)\s{0,2}script\s{0,9}:(?:\s{0,9}[\w$.]{1,60}\s{0,3}[(=\[`]|\S{0,300}[(=\[`]|\s{0,9}(?:%[0-9a-f]{2}|//))
      | data\s{0,9}:\s{0,9}(?:text/html|text/xml|image/svg\+xml|application/xhtml\+xml
        |(?:text|application)/(?:x-)?(?:java|ecma|j)script)""",
    re.VERBOSE | re.IGNORECASE,
)
_NO_BREAKS = str.maketrans("", "", "\t\r\n")


def active(kwargs: Mapping[str, Any]) -> CellCheck:
    """The check; it has no parameters of its own."""
    return CellCheck(_CANDIDATES, _is_active)


def _is_active(text: str) -> bool:
    if _CONTROL.search(text):
        return True
    # What was escaped once or twice is shown as markup when somebody unescapes it once too often.
    return any(map(_runs, _read_as(text)))


def _read_as(text: str) -> Iterator[str]:
    """What comes out of it layer by layer, and out of what NFKC makes of that: wide digits number a character, too."""
    for each in unwrapped(text):
        yield each
        if not each.isascii():
            yield from unwrapped(unicodedata.normalize("NFKC", each))


def _runs(text: str) -> bool:
    if _MARKUP.search(text) or _SCHEME.search(text) or _SCHEME.search(text.translate(_NO_BREAKS)):
        return True
    # An attribute may hold ">" in quotes and be as long as it likes: whatever follows the first tag is looked at.
    tag = _TAG.search(text)
    return tag is not None and _HANDLER.search(text, tag.end()) is not None
