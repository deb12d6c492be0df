"""What a detector says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Detection:
    """One detector's answer.

    Attributes:
        detector: its name.
        flagged: (rows,) the rows that it accuses.
        p_value: how probable what it saw is without an attack, corrected for the tests within the detector; None where
            it says nothing about chance.
        message: one sentence for a person.
        details: what it saw, JSON-able and bounded.
    """

    detector: str
    flagged: NDArray[np.bool_]
    p_value: float | None
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows it accuses."""
        return int(self.flagged.sum())
