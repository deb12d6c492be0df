"""What a page says when it can't show what was asked for: never a traceback, never where the store lies."""

from __future__ import annotations

from airflow_mlsecops.core.errors import MlsecopsError


class Problem(Exception):  # noqa: N818 - an answer, not only an error
    """An answer other than 200.

    Attributes:
        status: the HTTP status.
        code: stable, machine-readable reason.
        title: what happened, in a few words.
        text: what to do about it.
    """

    def __init__(self, status: int, code: str, title: str, text: str = "") -> None:
        super().__init__(status, code, title, text)
        self.status = status
        self.code = code
        self.title = title
        self.text = text


def no_evidence() -> Problem:
    """The answer for an artifact that nothing is known about, and for one that this person may know nothing about."""
    return Problem(
        404,
        "evidence-not-found",
        "No evidence",
        "Nothing about these bytes was signed by a task of a Dag that you may read.",
    )


def nothing_yet() -> Problem:
    """The answer while there is neither a connection nor an embedded store."""
    return Problem(
        404,
        "no-evidence-yet",
        "No evidence yet",
        "This Airflow has no connection mlsecops_default, and no task has stored evidence without one so far. Run a "
        "Dag that uses one of the operators, or create the connection.",
    )


def of_error(error: MlsecopsError) -> Problem:
    """An error of ours as an answer. Its message stays in the log: it may name a path or a bucket."""
    if error.transient:
        return Problem(
            503,
            error.code,
            "The evidence store can't be reached",
            "Nothing can be said about this artifact for now: neither good nor bad. Try again later.",
        )
    return Problem(
        500, error.code, "The evidence can't be judged", "Something is set up wrongly; the api-server's log says what."
    )
