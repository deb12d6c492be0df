"""The tables that ship beside these checks, under ``data/``."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def shipped(name: str) -> dict[str, Any]:
    """One of them, read."""
    source = files("airflow_mlsecops.core.validation.security") / "data" / name
    found: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    return found
