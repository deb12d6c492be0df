"""Who may see what: Airflow's own log-in, and the Dags that its auth manager lets the person read."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends

from airflow_mlsecops.plugin.problems import Problem


def all_readable_dags(user: GetUserDep) -> frozenset[str]:
    """Every Dag that whoever is logged in may read; it may be none. Each statement is held against it."""
    return frozenset(get_auth_manager().get_authorized_dag_ids(user=user, method="GET"))


AllReadableDags = Annotated[frozenset[str], Depends(all_readable_dags)]


def readable_dags(dag_id: str, readable: AllReadableDags) -> frozenset[str]:
    """The Dags whose evidence may be shown to whoever is logged in, on a page about one of them.

    1. Somebody is logged in (Airflow's ``get_user``: bearer token or cookie).
    2. They may read the Dag in the address. One that Airflow doesn't have is refused the same way, so that the answer
       doesn't tell which exist.
    3. Handed back is every Dag that they may read: each statement is checked against it by the Dag that it names.

    Raises:
        Problem: 403, if they may not read ``dag_id``.
    """
    if dag_id not in readable:
        raise Problem(403, "forbidden", "You may not read this Dag", "Ask whoever runs this Airflow for access to it.")
    return readable


ReadableDags = Annotated[frozenset[str], Depends(readable_dags)]
