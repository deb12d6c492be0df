r"""The one place where text becomes HTML: what isn't :class:`Html` is escaped, whoever hands it over.

Besides the characters that mean something to HTML, those that a reader can't see are written out (``\u202e``): a
right-to-left override or a zero-width space in a column's name would otherwise show another name than there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

MAX_TEXT = 2000
"""Longer texts are cut: a cell of a gigabyte must not make a page of a gigabyte."""


class Html(str):
    """Markup that was made here, of constant tags and escaped text. Never wrap foreign text in it."""

    __slots__ = ()


def text(value: Any) -> Html:
    """Escape anything that isn't markup already; safe as an element's content and in a quoted attribute."""
    if isinstance(value, Html):
        return value
    shown = str(value)
    if len(shown) > MAX_TEXT:
        shown = f"{shown[:MAX_TEXT]}…"
    return Html(escape(visible(shown), quote=True).replace("`", "&#96;"))


def visible(value: str) -> str:
    """The text with each unprintable character (controls, bidirectional, zero-width, surrogates) written out."""
    if value.isprintable():
        return value
    return "".join(letter if letter.isprintable() or letter == "\n" else _written(letter) for letter in value)


def element(name: str, *content: Any, attributes: Mapping[str, Any] | None = None) -> Html:
    """``<name key="…">content</name>``; ``name`` and the attributes' names are constants of the caller.

    >>> element("b", "1 < 2", attributes={"class": "x"})
    '<b class="x">1 &lt; 2</b>'
    """
    told = "".join(f' {key}="{text(value)}"' for key, value in (attributes or {}).items())
    return Html(f"<{name}{told}>{''.join(text(item) for item in content)}</{name}>")


def _written(letter: str) -> str:
    code = ord(letter)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
