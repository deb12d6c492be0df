"""Text from statements, made harmless for a screen, and values made ready for JSON."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

MAX_CHARS = 2000
MAX_LINES_CHARS = 200_000
REPLACEMENT = "\ufffd"


def clean(text: str, limit: int = MAX_CHARS) -> str:
    """One line, nothing invisible: no terminal escapes, no bidirectional overrides, no lone surrogates.

    HTML is escaped elsewhere; this is about what escaping leaves in place.
    """
    start = text[: limit + 1]
    shown = (
        start
        if start.isprintable()
        else "".join(char if char.isprintable() else " " if char.isspace() else REPLACEMENT for char in start)
    )
    return shown if len(shown) <= limit else shown[:limit] + "…"


def plain(value: Any) -> Any:
    """Dataclasses, mappings and times as JSON, every text cleaned."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {clean(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return clean(str(value)) if isinstance(value, str) else value


def moment(value: datetime | None) -> str:
    """``24 Nov 2026, 03:39:24 UTC``; a dash if there is none."""
    return f"{value.day} {value:%b %Y, %H:%M:%S} UTC" if value else "–"


def ago(value: datetime, now: datetime) -> str:
    """``3 minutes ago``, for a first impression; the exact time stands beside it."""
    seconds = int((now - value).total_seconds())
    if seconds < 0:
        return "in the future"
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'s' if count != 1 else ''} ago"
    return "just now"


def left(value: datetime, now: datetime) -> str:
    """``in 3 hours``; ``over`` if it is."""
    seconds = int((value - now).total_seconds())
    if seconds <= 0:
        return "over"
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"in {count} {name}{'s' if count != 1 else ''}"
    return "in less than a minute"


def fact(value: Any) -> str:
    """One side of a change: digests shortened, what is merely there told so, everything else as a number."""
    text = "here" if value is True else number(value)
    return f"{text[:16]}…" if len(text) == 64 and text.isalnum() else text


def lines(text: str, limit: int = MAX_LINES_CHARS) -> Markup:
    """Several lines, each cleaned as :func:`clean` does, escaped."""
    shown = "\n".join(clean(line) for line in text[:limit].split("\n"))
    return escape(shown if len(text) <= limit else f"{shown}\n…")


def uncut(text: str) -> str:
    """Several lines, each cleaned and whole: for programs, which parse them."""
    return "\n".join(clean(line, len(line)) for line in text.split("\n"))


def number(value: Any) -> str:
    """A fact's value for people: numbers to four significant digits, everything else as it is."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(number(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {number(item)}" for key, item in value.items())
    return str(value)


def size(count: int) -> str:
    """Bytes for people: ``12.3 MB``, powers of 1000."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{count:,} bytes" if unit == "bytes" else f"{amount:,.1f} {unit}"


def shell(word: str) -> str:
    """A word for a command line that people copy: quoted, and never an option."""
    safe = clean(word)
    return "ARTIFACT" if not safe or safe.startswith("-") or REPLACEMENT in safe else shlex.quote(safe)
