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


def evidence_url(dag_id: str, digest: str) -> str:
    """The address of an artifact's page, relative to Airflow's own base URL."""
    from airflow.sdk.configuration import conf

    base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
    return base + PAGE.format(dag_id=quote(dag_id, safe=""), digest=quote(digest, safe=""))


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
