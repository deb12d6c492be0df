"""Versions of a model and the stages that they stand at: a chain of signed promotions for each name."""

from airflow_mlsecops.core.releases.changes import Changes, Facts, changes_between, facts_of
from airflow_mlsecops.core.releases.current import Current, current
from airflow_mlsecops.core.releases.history import Gap, History, Step, read_history
from airflow_mlsecops.core.releases.promote import (
    Promoted,
    PromotionConflictError,
    PromotionRefusedError,
    changes_since,
    promote,
)

__all__ = [
    "Changes",
    "Current",
    "Facts",
    "Gap",
    "History",
    "Promoted",
    "PromotionConflictError",
    "PromotionRefusedError",
    "Step",
    "changes_between",
    "changes_since",
    "current",
    "facts_of",
    "promote",
    "read_history",
]
