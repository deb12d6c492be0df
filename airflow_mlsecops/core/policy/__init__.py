"""Release policy: what must be true before a model goes out, evaluated over verified evidence alone."""

from airflow_mlsecops.core.policy.decision import Decision, Reason
from airflow_mlsecops.core.policy.evaluate import evaluate
from airflow_mlsecops.core.policy.gather import Dossier, gather
from airflow_mlsecops.core.policy.release_policy import ReleasePolicy, Requirement

__all__ = ["Decision", "Dossier", "Reason", "ReleasePolicy", "Requirement", "evaluate", "gather"]
