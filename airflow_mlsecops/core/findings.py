"""What a control saw."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.canonical import jsonable


class Severity(StrEnum):
    """How bad a finding is; the order is the order of :attr:`rank`."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 2 for critical."""
        return list(Severity).index(self)

    @property
    def tone(self) -> str:
        """Its colour on a page, as :func:`airflow_mlsecops.core.html.page.badge` names them."""
        return {Severity.INFO: "plain", Severity.WARNING: "warn", Severity.CRITICAL: "bad"}[self]


@dataclass(frozen=True)
class Finding:
    """One thing a control saw.

    Attributes:
        rule: stable id of the rule, e.g. ``label-poisoning/suspect-share``.
        severity: how bad it is.
        message: one sentence for a person; never holds raw cell values.
        where: where it was seen: a column, a file, an offset, a count of rows.
        techniques: ids of the field's catalogues, e.g. ``AML.T0020`` (MITRE ATLAS) or ``ML02:2023`` (OWASP ML).
    """

    rule: str
    severity: Severity
    message: str
    where: str = ""
    techniques: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a statement."""
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "message": self.message[:1000],
            "where": self.where[:500],
            "techniques": jsonable(self.techniques),
        }
