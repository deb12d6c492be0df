"""Exit codes: part of the command's interface, so that a script can tell NO from "nobody knows"."""

from __future__ import annotations

from enum import IntEnum

from airflow_mlsecops.core import errors


class ExitCode(IntEnum):
    """What the command's exit status means."""

    YES = 0
    NO = 1
    USAGE = 2
    NO_ANSWER = 3
    INTERNAL = 70
    INTERRUPTED = 130


MEANINGS: dict[ExitCode, str] = {
    ExitCode.YES: "YES, or done",
    ExitCode.NO: "NO: refused, or what was asked for isn't there or isn't what it says",
    ExitCode.USAGE: "the command line, a key, a policy file or the access to a place is wrong",
    ExitCode.NO_ANSWER: "no answer: the store or the artifact can't be reached or read now; never a YES",
    ExitCode.INTERNAL: "an error in mlsecops itself; --debug shows where",
    ExitCode.INTERRUPTED: "interrupted",
}

_NO_CODES = frozenset({"log-broken", "log-signature", "log-entry", "log-proof", "not-logged"})
"""Of the evidence log's errors, by code: importing them would make every command start slower."""

# The first class that fits counts, so the special cases stand before the general ones.
_BY_ERROR: tuple[tuple[type[errors.MlsecopsError], ExitCode], ...] = (
    (errors.ArtifactRefusedError, ExitCode.NO),
    (errors.ArtifactError, ExitCode.NO_ANSWER),
    (errors.EvidenceNotFoundError, ExitCode.NO),
    (errors.EvidenceBrokenError, ExitCode.NO),
    (errors.StoreError, ExitCode.NO_ANSWER),
    (errors.SignatureError, ExitCode.NO),
    (errors.StatementError, ExitCode.NO),
    (errors.RevokedError, ExitCode.NO),
    (errors.ConfigurationError, ExitCode.USAGE),
    (errors.TrustError, ExitCode.USAGE),
    (errors.PolicyError, ExitCode.USAGE),
    (errors.SigningError, ExitCode.USAGE),
)


def exit_code_of(error: errors.MlsecopsError) -> ExitCode:
    """The exit code for an error that a command raised; whatever isn't in the table is no answer."""
    if error.transient:
        return ExitCode.NO_ANSWER
    if error.code in _NO_CODES:
        return ExitCode.NO
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.NO_ANSWER)
