"""An artifact at a glance: what it is and where it came from, and why it may be trusted or not."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_mlsecops.core.predicates import APPROVAL_REQUEST, PROMOTION, PROVENANCE
from airflow_mlsecops.core.telling import WORST_FIRST
from airflow_mlsecops.plugin.rows import Row
from airflow_mlsecops.plugin.view import ArtifactView


@dataclass(frozen=True)
class Reason:
    """One statement that counts today; ``about`` names the data set, and is empty for the artifact itself."""

    about: str
    row: Row


@dataclass(frozen=True)
class Glance:
    """What stands at the top of the page.

    Attributes:
        origin: how it was made: its provenance that counts.
        stages: where it was promoted to, the newest first.
        reasons: everything else that counts today, what speaks against it first.
    """

    origin: tuple[Row, ...]
    stages: tuple[Row, ...]
    reasons: tuple[Reason, ...]


def glance_of(view: ArtifactView) -> Glance:
    """Sort what counts today by the question that it answers."""
    own = view.evidence.current
    told = [Reason(name, row) for name, table in view.tables for row in table.current]
    reasons = [reason for reason in told if reason.row.predicate not in _FACTS]
    return Glance(
        origin=tuple(row for row in own if row.predicate == PROVENANCE.slug),
        stages=tuple(row for row in own if row.predicate == PROMOTION.slug),
        reasons=tuple(sorted(reasons, key=lambda reason: WORST_FIRST.index(reason.row.tone))),
    )


_FACTS = frozenset({PROVENANCE.slug, PROMOTION.slug, APPROVAL_REQUEST.slug})
"""They say what it is and where it stands, nothing for or against it."""
