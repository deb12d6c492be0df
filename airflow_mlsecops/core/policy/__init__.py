"""Release policy: what must be true before a model goes out, evaluated over verified evidence alone."""

from airflow_mlsecops.core.evidence import CLOCK_SKEW
from airflow_mlsecops.core.policy.decision import Decision, Reason
from airflow_mlsecops.core.policy.evaluate import Outcome, evaluate, objections, outcomes
from airflow_mlsecops.core.policy.gather import Dossier, gather, gather_all
from airflow_mlsecops.core.policy.release_policy import ReleasePolicy, Requirement

__all__ = [
    "CLOCK_SKEW",
    "Decision",
    "Dossier",
    "Outcome",
    "Reason",
    "ReleasePolicy",
    "Requirement",
    "evaluate",
    "gather",
    "gather_all",
    "objections",
    "outcomes",
]
