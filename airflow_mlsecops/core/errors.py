"""The error tree: one base class, a stable reason code, what to do next.

A message says "expected X, got Y"; ``advice`` says what to do. ``transient`` tells an orchestrator whether a retry can
mend it: a store that is down, yes; a refused signature, never.
"""

from __future__ import annotations

from typing import ClassVar


class MlsecopsError(Exception):
    """Base of all errors raised on purpose here.

    Attributes:
        code: stable, machine-readable reason, e.g. ``artifact-not-found``.
        advice: one sentence that says what to do next.
        transient: whether trying again later can succeed without anybody changing anything.
    """

    code: ClassVar[str] = "error"
    transient: ClassVar[bool] = False

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message, advice)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        text = f"[{self.code}] {self.message}"
        return f"{text} -> {self.advice}" if self.advice else text


class ConfigurationError(MlsecopsError):
    """A parameter, a connection or a file of ours is wrong."""

    code = "configuration"


class MissingExtraError(ConfigurationError):
    """An optional dependency isn't installed; the advice names the extra."""

    code = "missing-extra"


class ArtifactError(MlsecopsError):
    """Something is wrong with a dataset or a model."""

    code = "artifact"


class ArtifactNotFoundError(ArtifactError):
    """Nothing lies at the artifact's URI."""

    code = "artifact-not-found"


class ArtifactRefusedError(ArtifactError):
    """The artifact holds what can't be pinned safely: a link, ``..``, a duplicate name, a device, or nothing at all."""

    code = "artifact-refused"


class ArtifactChangedError(ArtifactError):
    """The bytes are not the pinned bytes."""

    code = "artifact-changed"


class DataError(MlsecopsError):
    """A dataset can't be judged as it is: unreadable, empty, a column missing, labels that can't be used."""

    code = "data"


class SuiteError(ConfigurationError):
    """An expectation suite is missing, empty or not what it says."""

    code = "suite"


class StatementError(MlsecopsError):
    """Bytes that should be a statement, an envelope or a bundle are not."""

    code = "malformed-statement"


class SigningError(MlsecopsError):
    """A signer can't be used: no key, wrong passphrase, unknown scheme."""

    code = "signing"


class SignatureError(MlsecopsError):
    """A signature doesn't verify."""

    code = "signature-invalid"


class TrustError(MlsecopsError):
    """The trust policy is unreadable, or refuses a signer."""

    code = "trust"


class RevokedError(TrustError):
    """The statement, or whoever signed it, was withdrawn."""

    code = "revoked"


class PolicyError(MlsecopsError):
    """The release policy is unreadable or says nothing."""

    code = "policy"


class StoreError(MlsecopsError):
    """Something is wrong with the evidence store."""

    code = "store"


class StoreUnavailableError(StoreError):
    """The store can't be reached, or refused for now; trying again later can help."""

    code = "store-unavailable"
    transient = True


class EvidenceNotFoundError(StoreError):
    """No such blob or bundle in the store."""

    code = "evidence-not-found"


class EvidenceBrokenError(StoreError):
    """Bytes in the store are not what their address says."""

    code = "evidence-broken"


class ArtifactUnavailableError(ArtifactError):
    """The place where the artifact lies can't be reached for now."""

    code = "artifact-unavailable"
    transient = True
