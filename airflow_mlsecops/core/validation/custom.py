"""Expectations of our own: type -> the module whose import makes it known to Great Expectations.

They are named and not imported: they lie above the core, and importing them imports Great Expectations.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from airflow_mlsecops.core.validation.security.threats import THREATS

_PACKAGE = "airflow_mlsecops.expectations"
MODULES: dict[str, str] = {kind: f"{_PACKAGE}.{kind}" for kind in THREATS}


def make_known(types: Iterable[str]) -> None:
    """Let Great Expectations know those of our own among these types."""
    for module in sorted({MODULES[each] for each in types if each in MODULES}):
        import_module(module)
