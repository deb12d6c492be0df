"""Why an answer to a request is refused; each with a code, so that a script can tell them apart."""

from __future__ import annotations

from airflow_mlsecops.core.errors import StatementError, TrustError


class AnswerRefusedError(StatementError):
    """This answer can't count, and so isn't signed."""

    code = "answer-refused"


class RequestUnknownError(AnswerRefusedError):
    """No request of that digest counts in this store."""

    code = "request-unknown"


class RequestExpiredError(AnswerRefusedError):
    """The time to answer it is over."""

    code = "request-expired"


class RequestDecidedError(AnswerRefusedError):
    """Enough people approved it, or one rejected it."""

    code = "request-decided"


class RequestEvidenceError(AnswerRefusedError):
    """What the request showed is gone or no longer counts, or something speaks against the artifact by being there."""

    code = "request-evidence"


class ApproverExcludedError(AnswerRefusedError):
    """Who triggered the run or signed the artifact can't approve it too."""

    code = "approver-excluded"


class ApproverNotAskedError(AnswerRefusedError):
    """The request names others."""

    code = "approver-not-asked"


class AlreadyAnsweredError(AnswerRefusedError):
    """This person signed the same answer before; a second one counts for nothing."""

    code = "answered-already"


class NobodysKeyError(TrustError):
    """The trust policy doesn't say whose own key or identity it is."""

    code = "nobodys-key"
