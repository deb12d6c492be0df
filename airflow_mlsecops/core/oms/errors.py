"""What can be wrong with a ``model.sig``; one code for each thing that somebody has to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_mlsecops.core.errors import ArtifactError, SignatureError, StatementError, TrustError


class OmsFormatError(StatementError):
    """The bytes are no OMS v1.0 bundle, or one of a kind that isn't read here."""

    code = "oms-format"


class OmsNamesError(OmsFormatError):
    """The list of files names one unsafely, twice or out of order, or none at all."""

    code = "oms-names"


class OmsRootDigestError(OmsFormatError):
    """The root digest isn't the one of the listed files."""

    code = "oms-root-digest"


class OmsSignatureError(SignatureError):
    """The signature doesn't belong to the statement and the trusted key."""

    code = "oms-signature"


class OmsSignerError(TrustError):
    """It was signed by another key, or in another way, than the one that is trusted here."""

    code = "oms-signer"


class OmsCertificateError(TrustError):
    """The certificate doesn't lead to a trusted root, or isn't for signing code."""

    code = "oms-certificate"


class OmsCertificateTimeError(OmsCertificateError):
    """A certificate wasn't valid at the trusted time."""

    code = "oms-certificate-time"


class OmsLogEntryError(SignatureError):
    """A log entry or timestamp in the bundle is about something else, or its proof doesn't hold."""

    code = "oms-log-entry"


class OmsFilesError(ArtifactError):
    """The files aren't the signed files.

    Attributes:
        missing: signed names that aren't there.
        changed: names whose bytes are others than the signed ones.
        unsigned: names that are there, neither signed nor ignored.
    """

    code = "oms-files"

    def __init__(
        self,
        message: str,
        advice: str = "",
        missing: Sequence[str] = (),
        changed: Sequence[str] = (),
        unsigned: Sequence[str] = (),
    ) -> None:
        super().__init__(message, advice)
        self.missing = tuple(missing)
        self.changed = tuple(changed)
        self.unsigned = tuple(unsigned)
