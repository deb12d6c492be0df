"""The log's branch of the error tree."""

from __future__ import annotations

from airflow_mlsecops.core.errors import StoreError


class LogError(StoreError):
    """Something is wrong with the evidence log."""

    code = "log"


class LogBrokenError(LogError):
    """What lies in the log isn't what its signed checkpoint says, or is gone. Nothing is appended to such a log."""

    code = "log-broken"


class LogSignatureError(LogError):
    """A checkpoint isn't signed by the log's key, is for another log, or isn't one."""

    code = "log-signature"


class LogEntryError(LogError):
    """Bytes that should be a log entry are none."""

    code = "log-entry"


class NotLoggedError(LogError):
    """The log has no such entry."""

    code = "not-logged"


class ProofError(LogError):
    """A proof doesn't lead to the signed root."""

    code = "log-proof"


class LogBusyError(LogError):
    """Other writers were always faster, or the store stayed out of reach; trying again later can help."""

    code = "log-busy"
    transient = True
