"""The seven filters of confident learning, and what a run of them says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_mlsecops.core.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.engine.calibration import Plan

DEFAULT_FILTER = "prune_by_noise_rate"
FILTERS = (
    DEFAULT_FILTER,
    "prune_by_class",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_normalized_margin",
    "low_self_confidence",
)
BIT = {name: 1 << number for number, name in enumerate(FILTERS)}
"""One bit for each filter, in one byte a row."""

MOVED = 1 << len(FILTERS)
"""The eighth bit, used while the filters run: the most probable class is another one, by more than a rounding."""


@dataclass(frozen=True)
class Issues:
    """What the filters flag.

    Attributes:
        filters: the filters that ran.
        flags: (rows,) uint8 in the order of the source, one bit of :data:`BIT` for each filter.
        keys: (rows,) int64 ids of the rows where the source names them; None: rows are named by their position.
        plan: thresholds, confident joint and how many rows each group prunes.
        engine: what computed it: ``numba``, ``numpy``, ``duckdb`` or ``spark``.
    """

    filters: tuple[str, ...]
    flags: NDArray[np.uint8]
    keys: NDArray[np.int64] | None
    plan: Plan
    engine: str

    def mask(self, name: str = DEFAULT_FILTER) -> NDArray[np.bool_]:
        """(rows,) bool of one filter.

        Raises:
            ConfigurationError: if it didn't run.
        """
        if name not in self.filters:
            raise ConfigurationError(f"filter {name!r} didn't run", f"these did: {', '.join(self.filters)}")
        mask: NDArray[np.bool_] = (self.flags & BIT[name]) != 0
        return mask

    @property
    def digest(self) -> str:
        """SHA-256 over filters, joint and flagged rows by id: equal for equal rows, whatever their order or engine."""
        import numpy as np

        flagged = np.flatnonzero(self.flags)
        keys = flagged.astype(np.int64) if self.keys is None else self.keys[flagged]
        order = np.argsort(keys, kind="stable")
        content = hashlib.sha256("\n".join(self.filters).encode())
        content.update(self.plan.joint.astype("<i8").tobytes())
        content.update(keys[order].astype("<i8").tobytes())
        content.update(self.flags[flagged][order].tobytes())
        return content.hexdigest()


def checked_filters(filters: Sequence[str]) -> tuple[str, ...]:
    """The filters asked for, once each, in the order of :data:`FILTERS`.

    Raises:
        ConfigurationError: if there is none, or one that doesn't exist.
    """
    asked = [filters] if isinstance(filters, str) else list(filters)
    unknown = [name for name in asked if name not in FILTERS]
    if unknown or not asked:
        raise ConfigurationError(f"filters are {asked!r}", f"expected some of {', '.join(FILTERS)}")
    return tuple(name for name in FILTERS if name in asked)
