"""Addresses, each a path under wherever this Airflow is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode


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

    def at(self, path: str, **query: Any) -> str:
        """One of our pages by its path, with a query of what isn't empty."""
        given = urlencode({key: value for key, value in query.items() if value not in ("", None)}, errors="replace")
        return f"{self.ours}{path}" + (f"?{given}" if given else "")

    def part(self, dag_id: str, sha256: str, name: str) -> str:
        """One of the pages beside an artifact's: ``timeline``, ``graph``, ``changes``, ``compliance``, ``export``."""
        return f"{self.page(dag_id, sha256)}/{name}"

    def statement(self, dag_id: str, sha256: str, digest: str) -> str:
        """The page of one piece of evidence about an artifact."""
        return f"{self.page(dag_id, sha256)}/evidence/{_part(digest)}"

    def request(self, dag_id: str, sha256: str, digest: str) -> str:
        """The page of one request for a decision about an artifact."""
        return f"{self.page(dag_id, sha256)}/requests/{_part(digest)}"

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

    def required_action(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """Where Airflow asks for the answer of a task that waits for one."""
        run = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        return f"{self.task(run)}/required_actions" if self.task(run) else ""

    def login(self, then: str) -> str:
        """Airflow's log-in, whichever auth manager it has, which then leads to ``then``."""
        return f"{self.airflow}api/v2/auth/login?next={_part(then)}"
