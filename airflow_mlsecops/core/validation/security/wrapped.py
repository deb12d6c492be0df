"""Text that was wrapped once or several times, so that filters don't see it and whoever unwraps it does.

Entities of HTML, percent-encoding of URLs, backslash escapes of JSON and of programming languages. Sources: HTML
Living Standard, 13.2.5 (character references); RFC 3986, section 2.1; RFC 8259, section 7.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import unquote

LAYERS = 5
"""So often it is unwrapped."""
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_ZEROS, _HUGE = re.compile(r"&#0+(?=[0-9])"), re.compile(r"&#[0-9]{8,};?")
"""Numbers of characters: zeros before them, and those that no character has, which Python may refuse to read."""


def coded(digits: str) -> str:
    """A pattern of one character in percent-encoding or a backslash escape, by the hexadecimal digits of its code."""
    return rf"%(?:25)*{digits}|\\(?:u00|u\{{0*|x){digits}"


def unwrapped(text: str) -> Iterator[str]:
    """The text as it is, and what comes out of it layer by layer, until nothing changes.

    >>> list(unwrapped("&amp;lt;b&gt;"))
    ['&amp;lt;b&gt;', '&lt;b>', '<b>']
    """
    for _ in range(LAYERS):
        yield text
        plain = _HUGE.sub("\ufffd", _ZEROS.sub("&#", text)) if "&#" in text else text
        plain = html.unescape(plain)
        plain = unquote(plain) if "%" in plain else plain
        plain = _ESCAPE.sub(_letter, plain) if "\\" in plain else plain
        if plain == text:
            return
        text = plain
    yield text


def _letter(found: re.Match[str]) -> str:
    code = int(found[found.lastindex or 0], 16)
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else found.group()
