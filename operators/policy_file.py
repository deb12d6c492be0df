"""Reading a release policy where a task runs."""

from __future__ import annotations

from typing import Any

from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.operators.base import require_text


def read_policy(path: Any) -> ReleasePolicy:
    """Read the policy at ``path`` with all that it extends; ``mlsecops:production`` is a shipped one.

    Raises:
        ConfigurationError: if a template left the path empty.
        PolicyError: if there is no readable policy.
    """
    require_text("policy", path)
    return ReleasePolicy.from_file(str(path))
