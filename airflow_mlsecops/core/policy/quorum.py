"""How many different signers say the same: a role can ask for several."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import groupby
from typing import Any

from airflow_mlsecops.core.evidence import Evidence


def needed(items: Iterable[Evidence]) -> int:
    """How many signers statements like these need."""
    return max((item.threshold for item in items), default=1)


def signers(items: Iterable[Evidence]) -> int:
    """How many signers there are, different by name and by key or identity."""
    found = list(items)
    return min(len({item.signer for item in found}), len({item.signed_with for item in found}))


def agreeing(said: Iterable[tuple[Hashable, Evidence]]) -> list[Evidence]:
    """Of statements, each with what it says, those of the largest number of signers who say the same.

    Whatever is added to them never makes that number smaller.
    """
    ordered: list[tuple[Any, Evidence]] = sorted(said, key=lambda pair: (repr(pair[0]), pair[1].digest))
    groups = [[item for _, item in group] for _, group in groupby(ordered, key=lambda pair: pair[0])]
    return max(groups, key=signers, default=[])
