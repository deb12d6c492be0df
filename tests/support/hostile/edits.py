"""What the tables of a ``case.toml`` can do to JSON, to bytes and to files."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Edit = dict[str, Any]


def edit_json(value: Any, edits: Sequence[Edit]) -> Any:
    """Change a JSON value in place. ``at`` is a path such as ``dsseEnvelope.signatures.0.sig``.

    ``set`` (``value``), ``delete``, ``append`` (``value``, to a list), ``repeat`` (the list's first item, at its end),
    ``reverse`` (a list), ``flip`` (one bit of base64 text, ``byte`` says where).
    """
    for edit in edits:
        *way, last = [int(part) if part.isdigit() else part for part in str(edit["at"]).split(".")]
        place = value
        for part in way:
            place = place[part]
        _EDITS[edit["op"]](place, last, edit)
    return value


def _flip(place: Any, last: Any, edit: Edit) -> None:
    data = bytearray(base64.b64decode(place[last]))
    data[edit.get("byte", -1)] ^= 1
    place[last] = base64.b64encode(data).decode()


def _set(place: Any, last: Any, edit: Edit) -> None:
    place[last] = edit["value"]


def _delete(place: Any, last: Any, edit: Edit) -> None:
    del place[last]


_EDITS: dict[str, Callable[[Any, Any, Edit], object]] = {
    "set": _set,
    "delete": _delete,
    "flip": _flip,
    "append": lambda place, last, edit: place[last].append(edit["value"]),
    "repeat": lambda place, last, edit: place[last].append(place[last][0]),
    "reverse": lambda place, last, edit: place[last].reverse(),
}


def edit_bytes(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Change bytes: ``truncate`` (``keep``), ``replace`` (``old``, ``new``), ``pad`` (``bytes``),
    ``write`` (``text``).

    An edit that changes nothing is an error in the case.
    """
    for edit in edits:
        before = data
        if edit["op"] == "truncate":
            data = data[: edit["keep"]]
        elif edit["op"] == "replace":
            data = data.replace(edit["old"].encode(), edit["new"].encode(), 1)
        elif edit["op"] == "pad":
            data += b" " * edit["bytes"]
        elif edit["op"] == "write":
            data = edit["text"].encode()
        else:
            raise AssertionError(f"no such edit: {edit}")
        assert data != before, f"this changes nothing: {edit}"
    return data


def edit_files(folder: Path, edits: Sequence[Edit]) -> None:
    """Change files: ``write`` (``text``), ``remove``, ``rename`` (``to``), ``link`` (``to``), ``fifo``."""
    for edit in edits:
        path = folder / edit["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if edit["op"] == "write":
            path.unlink(missing_ok=True)
            path.write_text(edit["text"])
        elif edit["op"] == "remove":
            path.unlink()
        elif edit["op"] == "rename":
            (folder / edit["to"]).parent.mkdir(parents=True, exist_ok=True)
            path.rename(folder / edit["to"])
        elif edit["op"] == "link":
            path.unlink(missing_ok=True)
            path.symlink_to(edit["to"])
        elif edit["op"] == "fifo":
            os.mkfifo(path)
        else:
            raise AssertionError(f"no such edit: {edit}")
