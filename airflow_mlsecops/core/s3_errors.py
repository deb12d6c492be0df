"""What an exception from boto3 means, told once for pinning and for the store."""

from __future__ import annotations

from enum import StrEnum


class S3Failure(StrEnum):
    """The few answers that callers tell apart."""

    MISSING = "missing"
    EXISTS = "exists"
    NO_BUCKET = "no-bucket"
    DENIED = "denied"
    UNAVAILABLE = "unavailable"


_CODES = {
    "404": S3Failure.MISSING,
    "NoSuchKey": S3Failure.MISSING,
    "NoSuchBucket": S3Failure.NO_BUCKET,
    "NoSuchVersion": S3Failure.MISSING,
    "NotFound": S3Failure.MISSING,
    "412": S3Failure.EXISTS,
    "PreconditionFailed": S3Failure.EXISTS,
    # 409 ConditionalRequestConflict is none of these: another write is under way, whose end nobody knows yet, so it is
    # "unavailable" and tried again.
    "401": S3Failure.DENIED,
    "403": S3Failure.DENIED,
    "AccessDenied": S3Failure.DENIED,
    "InvalidAccessKeyId": S3Failure.DENIED,
    "SignatureDoesNotMatch": S3Failure.DENIED,
    "ExpiredToken": S3Failure.DENIED,
}


def classify(error: BaseException) -> S3Failure | None:
    """Name the failure, or ``None`` if the exception isn't one of S3's.

    Whatever isn't known to be permanent counts as unavailable, so that it is retried and never passed.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    if isinstance(error, ClientError):
        return _CODES.get(str(error.response.get("Error", {}).get("Code", "")), S3Failure.UNAVAILABLE)
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return S3Failure.DENIED
    if isinstance(error, (BotoCoreError, Boto3Error, OSError)):
        return S3Failure.UNAVAILABLE
    return None
