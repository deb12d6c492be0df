"""The frame of a page: nothing external, no script, and a policy that makes the browser hold that.

The policy allows one thing: the style sheet below, by its SHA-256. Should an escape ever be forgotten, the browser
still runs no script, loads nothing, sends no form and applies no style of a stranger.
Source: https://www.w3.org/TR/CSP3/ (``<meta>`` delivery; ``frame-ancestors`` and ``sandbox`` don't work there).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from airflow_mlsecops.core.html.text import Html, element, text


def page(title: Any, content: Iterable[Any], *, subtitle: Any = "") -> bytes:
    """A whole page as UTF-8. What isn't :class:`~airflow_mlsecops.core.html.text.Html` is escaped.

    Args:
        title: stands in the heading and in the browser's title.
        content: sections, in order.
        subtitle: one line below the heading.
    """
    css = (files("airflow_mlsecops.core.html") / "report.css").read_text(encoding="utf-8")
    head = [
        Html('<meta charset="utf-8">'),
        element_of_policy(css),
        Html('<meta name="referrer" content="no-referrer">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", title),
        Html(f"<style>{css}</style>"),
    ]
    body = [element("h1", title), quiet(subtitle) if subtitle else Html("")]
    html = f'<!doctype html>\n<html lang="en"><head>{"".join(head)}</head>\n<body><main>{"".join(body)}'
    html += "\n".join(text(item) for item in content)
    return f"{html}</main></body></html>\n".encode()


def element_of_policy(css: str) -> Html:
    """The ``<meta>`` element with the content security policy for a page whose only style sheet is ``css``."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">')


def section(heading: Any, content: Iterable[Any]) -> Html:
    """A card with a heading."""
    return element("section", element("h2", heading), *content)


def verdict(word: Any, tone: str, lead: Any, figures: Iterable[tuple[Any, Any]], content: Iterable[Any] = ()) -> Html:
    """The card at the top: the verdict in a word, in a sentence, and in a few figures.

    Args:
        word: the verdict.
        tone: see :func:`badge`.
        lead: the sentence.
        figures: each a number and what it is of.
        content: what else has to be seen first.
    """
    tiles = (element("li", element("b", figure), " ", element("span", of)) for figure, of in figures)
    heading = element("h2", "Verdict: ", badge(word, tone))
    said = element("p", lead, attributes={"class": "lead"})
    numbers = element("ul", *tiles, attributes={"class": "tiles"})
    return element("section", heading, said, numbers, *content, attributes={"class": f"hero {tone}"})


def folded(summary: Any, content: Iterable[Any]) -> Html:
    """What is shown only to those who open it."""
    return element("details", element("summary", summary), *content)


def badge(word: Any, tone: str = "plain") -> Html:
    """A word in colour; ``tone`` is ``good``, ``warn``, ``bad`` or ``plain``."""
    return element("span", word, attributes={"class": f"badge {tone}" + (" wide" if len(str(word)) > 40 else "")})


def paragraph(*content: Any) -> Html:
    """A paragraph."""
    return element("p", *content)


def quiet(*content: Any) -> Html:
    """A paragraph that stands back."""
    return element("p", *content, attributes={"class": "quiet"})
