"""Links on a task's page that lead to its evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

PAGE = "/mlsecops/dags/{dag_id}/artifacts/{digest}"
"""Where the plugin shows what the store holds about an artifact, verified when it is opened."""


REPORT_PAGE = PAGE + "/reports/{evidence}"
"""Where it shows the report that a verified statement about the artifact names."""

STATEMENT_PAGE = PAGE + "/evidence/{evidence}"
"""Where it shows one statement about the artifact."""

REQUEST_PAGE = PAGE + "/requests/{evidence}"
"""Where it shows a request for a decision: what is asked, what was said since, who answered."""


def evidence_url(dag_id: str, digest: str) -> str:
    """The address of an artifact's page, relative to Airflow's own base URL."""
    return _url(PAGE, dag_id=dag_id, digest=digest)


def report_url(dag_id: str, digest: str, evidence: str) -> str:
    """The address of the report that a statement names, relative to Airflow's own base URL."""
    return _url(REPORT_PAGE, dag_id=dag_id, digest=digest, evidence=evidence)


def statement_url(dag_id: str, digest: str, evidence: str) -> str:
    """The address of one statement about an artifact, relative to Airflow's own base URL."""
    return _url(STATEMENT_PAGE, dag_id=dag_id, digest=digest, evidence=evidence)


def request_url(dag_id: str, digest: str, evidence: str) -> str:
    """The address of a request for a decision about an artifact, relative to Airflow's own base URL."""
    return _url(REQUEST_PAGE, dag_id=dag_id, digest=digest, evidence=evidence)


def _url(page: str, **parts: str) -> str:
    from airflow.sdk.configuration import conf

    base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
    return base + page.format(**{name: quote(part, safe="") for name, part in parts.items()})


class EvidenceLink(BaseOperatorLink):
    """Leads to the evidence about the artifact that the task worked on.

    The link is made in the worker when the task ends, from what the operator remembered, because only there the digest
    is known; Airflow keeps it as an XCom.
    """

    name = "Evidence"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address, or nothing while there is no pinned artifact yet."""
        digest = getattr(operator, "pinned_digest", "")
        return evidence_url(ti_key.dag_id, digest) if digest else ""


class ReportLink(BaseOperatorLink):
    """Leads to the report of a control, which a person can read; nothing if it made none."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address, or nothing while there is no signed verdict that names a report."""
        digest, evidence = getattr(operator, "pinned_digest", ""), getattr(operator, "report_evidence", "")
        return report_url(ti_key.dag_id, digest, evidence) if digest and evidence else ""


class ValidationReportLink(ReportLink):
    """Leads to the report of a data validation."""

    name = "Validation report"
