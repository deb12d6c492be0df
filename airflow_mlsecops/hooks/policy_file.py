"""Reading a release policy where a task, or a trigger, runs."""

from __future__ import annotations

from airflow_mlsecops.core.policy import ReleasePolicy


def read_policy(path: str) -> ReleasePolicy:
    """Read the policy at ``path`` with all that it extends; ``mlsecops:production`` is a shipped one.

    Raises:
        PolicyError: if there is no readable policy.
    """
    return ReleasePolicy.from_file(str(path))
