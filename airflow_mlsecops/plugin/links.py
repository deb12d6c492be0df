"""Addresses, each a path under wherever this Airflow is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


def _part(value: object) -> str:
    return quote(str(value), safe="", errors="replace")


@dataclass(frozen=True)
class Links:
    """Makes the addresses that a page needs.

    Attributes:
        airflow: path of Airflow itself, ending in ``/`` (``/``, or ``/airflow/`` behind a proxy).
        ours: path of the plugin, with no ``/`` at its end.
    """

    airflow: str
    ours: str

    @classmethod
    def under(cls, base_path: str, prefix: str) -> Links:
        """For an Airflow at ``base_path`` and a plugin mounted at ``prefix``."""
        airflow = base_path.rstrip("/") + "/"
        return cls(airflow, airflow.rstrip("/") + prefix)

    @property
    def style(self) -> str:
        """The style sheet."""
        return f"{self.ours}/static/mlsecops.css"

    def page(self, dag_id: str, sha256: str) -> str:
        """An artifact's page, as somebody who may read this Dag sees it."""
        return f"{self.ours}/dags/{_part(dag_id)}/artifacts/{_part(sha256)}"

    def api(self, dag_id: str, sha256: str) -> str:
        """The same as JSON."""
        return f"{self.ours}/api/dags/{_part(dag_id)}/artifacts/{_part(sha256)}"

    def bundle(self, dag_id: str, digest: str) -> str:
        """One piece of evidence, as it lies in the store."""
        return f"{self.ours}/dags/{_part(dag_id)}/evidence/{_part(digest)}"

    def report(self, dag_id: str, sha256: str, digest: str) -> str:
        """The report that a piece of evidence about an artifact names."""
        return f"{self.page(dag_id, sha256)}/reports/{_part(digest)}"

    def dag(self, dag_id: str) -> str:
        """Airflow's page of a Dag."""
        return f"{self.airflow}dags/{_part(dag_id)}"

    def task(self, run: Mapping[str, Any]) -> str:
        """Airflow's page of the task instance that a statement is from; empty if it doesn't name one."""
        dag_id, run_id, task_id = (run.get(key) for key in ("dag_id", "run_id", "task_id"))
        if not (dag_id and run_id and task_id):
            return ""
        index = run.get("map_index")
        mapped = f"/mapped/{index}" if isinstance(index, int) and index >= 0 else ""
        return f"{self.airflow}dags/{_part(dag_id)}/runs/{_part(run_id)}/tasks/{_part(task_id)}{mapped}"

    def login(self, then: str) -> str:
        """Airflow's log-in, whichever auth manager it has, which then leads to ``then``."""
        return f"{self.airflow}api/v2/auth/login?next={_part(then)}"
