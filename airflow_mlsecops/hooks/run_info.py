"""Which task of which run speaks: what stands in every statement that Airflow makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def run_info(context: Mapping[str, Any]) -> dict[str, Any]:
    """Name the running task instance; identifiers only, nothing that a user could have put a secret into."""
    task_instance, dag_run = context["ti"], context.get("dag_run")
    bundle = getattr(getattr(task_instance, "bundle_instance", None), "version", None)
    return {
        "orchestrator": "apache-airflow",
        "dag_id": str(task_instance.dag_id),
        "run_id": str(task_instance.run_id),
        "task_id": str(task_instance.task_id),
        "map_index": int(-1 if task_instance.map_index is None else task_instance.map_index),
        "try_number": int(task_instance.try_number),
        "triggered_by": str(getattr(dag_run, "triggering_user_name", None) or ""),
        "bundle_version": str(bundle or ""),
    }
