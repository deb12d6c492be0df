"""Errors about profiles and baselines."""

from __future__ import annotations

from airflow_mlsecops.core.errors import MlsecopsError, StatementError


class ProfileError(StatementError):
    """Bytes that should be a profile are not."""

    code = "malformed-profile"


class BaselineError(MlsecopsError):
    """There is no baseline that counts: none is signed by who may, it was withdrawn, or it is about something else."""

    code = "baseline"
