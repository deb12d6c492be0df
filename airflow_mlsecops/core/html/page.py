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
    body = [element("h1", title), element("p", subtitle, attributes={"class": "quiet"}) if subtitle else Html("")]
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


def badge(word: Any, tone: str = "plain") -> Html:
    """A word in colour; ``tone`` is ``good``, ``warn``, ``bad`` or ``plain``."""
    return element("span", word, attributes={"class": f"badge {tone}"})


def paragraph(*content: Any) -> Html:
    """A paragraph."""
    return element("p", *content)
