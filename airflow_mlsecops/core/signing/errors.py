"""What can go wrong with the services that signing asks: certificate authorities, logs, time stamps, key services."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit

from airflow_mlsecops.core.errors import SigningError

NO_STAMP = "the time-stamping authority gave no time stamp"
NO_STAMP_ADVICE = "try again, or ask whoever runs it"


class SigningUnavailableError(SigningError):
    """A service that signing needs can't be reached, or is out of order; trying again later can help."""

    code: ClassVar[str] = "signing-unavailable"
    transient: ClassVar[bool] = True


def explained(error: Exception) -> SigningError:
    """What went wrong with a Sigstore service, in words; its own text is left where it is, in the traceback."""
    import requests
    from sigstore.models import InvalidBundle

    if isinstance(error, InvalidBundle):  # Rekor v2's entry without a stamp: sigstore-python only warned before
        return SigningUnavailableError(NO_STAMP, NO_STAMP_ADVICE)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, requests.RequestException):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return SigningError(f"signing failed: {type(error).__name__}: {error}"[:300], "see the traceback")
    where = urlsplit(cause.request.url or "").netloc if cause.request is not None else "Sigstore"
    status = cause.response.status_code if cause.response is not None else None
    if status is None or status >= 500 or status == 429:
        answer = "doesn't answer" if status is None else f"answers {status}"
        return SigningUnavailableError(f"{where} {answer}", "try again; the Sigstore instance may be down")
    return SigningError(
        f"{where} refuses with {status}", "see that the instance knows the token's issuer, audience and key"
    )
