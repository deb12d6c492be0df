"""Provenance that nobody has to write: where a task's outputs came from, observed by the worker that ran it.

Airflow calls these functions in the worker's process, for every task of every Dag; so they import nothing before they
know that this task's provenance is wanted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)


@hookimpl
def on_task_instance_running(previous_state: Any, task_instance: Any) -> None:
    """Pin the inputs before the task can change them."""
    if previous_state is not None:
        _observe("begin", task_instance)


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """Pin the outputs and sign. A state that was set by hand (``previous_state`` is None) made nothing."""
    if previous_state is not None:
        _observe("succeed", task_instance)


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:
    """Sign that this try failed, and what it left behind."""
    if previous_state is not None:
        _observe("fail", task_instance)


def _observe(step: str, task_instance: Any) -> None:
    """Whatever goes wrong here is logged and never fails the task: missing provenance fails at the gate."""
    try:
        from airflow_mlsecops.hooks.provenance_setting import wanted

        if not wanted(getattr(task_instance, "task", None)):
            return
        from airflow_mlsecops.hooks import provenance

        handler: Callable[[Any], None] = getattr(provenance, step)
        handler(task_instance)
    except Exception:
        log.exception("No provenance of this task is recorded; a gate that asks for it will say NO")
