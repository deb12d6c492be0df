"""Look inside a model, by default-deny, before it is signed: nothing here unpickles, imports or runs what it reads."""

from __future__ import annotations

from airflow_mlsecops.core.scanning.allow_list import AllowList, packaged
from airflow_mlsecops.core.scanning.limits import Limits
from airflow_mlsecops.core.scanning.outcome import Judgement, Outcome, Status
from airflow_mlsecops.core.scanning.scan import Scan

__all__ = ["AllowList", "Judgement", "Limits", "Outcome", "Scan", "Status", "packaged"]
