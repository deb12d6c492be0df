"""Release policy: what must be true before a model goes out, evaluated over verified evidence alone."""

from airflow_mlsecops.core.evidence import CLOCK_SKEW
from airflow_mlsecops.core.policy.decision import Decision, Reason
from airflow_mlsecops.core.policy.evaluate import evaluate, objections
from airflow_mlsecops.core.policy.gather import Dossier, gather
from airflow_mlsecops.core.policy.release_policy import ReleasePolicy, Requirement

__all__ = [
    "CLOCK_SKEW",
    "Decision",
    "Dossier",
    "Reason",
    "ReleasePolicy",
    "Requirement",
    "evaluate",
    "gather",
    "objections",
]
