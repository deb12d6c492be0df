"""Whose provenance is observed: every task's with asset inlets or outlets, or only that of tasks that ask for it.

Imported for every task that runs, so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

ATTRIBUTE = "mlsecops_provenance"
SECTION, OPTION = "mlsecops", "observe_provenance"

Task = TypeVar("Task")


@dataclass(frozen=True)
class Declared:
    """What a task's author says that it reads and writes, besides its assets.

    Attributes:
        materials: inputs: paths, URIs, templates, or the output of a task that pinned them.
        products: outputs: paths, URIs or templates.
        parameters: names of Dag params that are recorded; all others are left out, because they may be secret.
        kind: what the products are: ``model`` or ``dataset``.
        mlsecops_conn_id: the connection.
    """

    materials: Sequence[Any] = ()
    products: Sequence[Any] = ()
    parameters: Sequence[str] = ()
    kind: str = "model"
    mlsecops_conn_id: str = "mlsecops_default"


def observe_provenance(
    task: Task,
    *,
    materials: Sequence[Any] = (),
    products: Sequence[Any] = (),
    parameters: Sequence[str] = (),
    kind: str = "model",
    mlsecops_conn_id: str = "mlsecops_default",
) -> Task:
    """Have a task's provenance signed by the worker that runs it, whatever the task itself does.

    Example::

        train = BashOperator(task_id="train", bash_command="train --in /data/x.csv --out /models/m.bin")
        observe_provenance(train, materials=["/data/x.csv"], products=["/models/m.bin"])

    Args:
        task: an operator, or what calling a ``@task`` function returned.
        materials: inputs, pinned before the task runs: paths, URIs, templates, or a pinning task's output.
        products: outputs, pinned after it: paths, URIs or templates.
        parameters: names of Dag params to record. Never name one that holds a secret: it is signed and published.
        kind: what the products are: ``model`` or ``dataset``.
        mlsecops_conn_id: the connection that names evidence store and signer.

    Returns:
        The task.
    """
    operator: Any = getattr(task, "operator", task)
    declared = Declared(tuple(materials), tuple(products), tuple(parameters), kind, mlsecops_conn_id)
    setattr(operator, ATTRIBUTE, declared)
    for upstream in materials:
        if hasattr(upstream, "operator"):
            operator.set_upstream(upstream.operator)
    return task


def wanted(task: Any) -> bool:
    """Whether this task's provenance is to be observed."""
    if task is None:
        return False
    if isinstance(getattr(task, ATTRIBUTE, None), Declared):
        return True
    if not (getattr(task, "inlets", None) or getattr(task, "outlets", None)):
        return False
    from airflow.sdk.configuration import conf

    return bool(conf.getboolean(SECTION, OPTION, fallback=False))
