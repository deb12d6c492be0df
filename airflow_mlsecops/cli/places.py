"""Opens what the options name: evidence store, trust policy, release policy, S3.

Core modules are imported when they are used, so that ``--help`` is instant.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import ConfigurationError, MissingExtraError, MlsecopsError, PolicyError, TrustError

if TYPE_CHECKING:
    from airflow_mlsecops.core.pinning import Access
    from airflow_mlsecops.core.policy import ReleasePolicy
    from airflow_mlsecops.core.store import EvidenceStore
    from airflow_mlsecops.core.trust import TrustPolicy

DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}\Z")


_DOCUMENTS: dict[str, tuple[str, type[MlsecopsError]]] = {
    "trust": ("trust policy", TrustError),
    "policy": ("release policy", PolicyError),
    "cases": ("file of cases", PolicyError),
    "log key": ("log's key", TrustError),
}


S3_CLIENT: ContextVar[Callable[[], Any] | None] = ContextVar("S3_CLIENT", default=None)
"""What makes the client instead of boto3's own chain: an Airflow connection, in ``airflow mlsecops``."""


def access() -> Access:
    """How S3 is reached; nothing is dialled before an ``s3:`` URI is met."""
    from airflow_mlsecops.core.pinning import Access

    return Access(s3=S3_CLIENT.get() or _s3_client)


def open_evidence(root: str) -> EvidenceStore:
    """The evidence store at ``root``; nothing is dialled yet.

    Raises:
        ConfigurationError: if there can't be one.
    """
    from airflow_mlsecops.core.store import open_store

    return open_store(root, access())


def read_trust(path: str) -> TrustPolicy:
    """Read a trust policy.

    Raises:
        TrustError: if there is no readable one.
    """
    from airflow_mlsecops.core.trust import TrustPolicy

    return TrustPolicy.from_file(Path(path.removeprefix("file://")))


def read_policy(path: str) -> ReleasePolicy:
    """Read a release policy with all that it extends.

    Raises:
        PolicyError: if there is no readable one.
    """
    from airflow_mlsecops.core.policy import ReleasePolicy

    return ReleasePolicy.from_file(path.removeprefix("file://"))


def read_document(path: str, what: str) -> bytes:
    """The bytes of a ``trust`` or ``policy`` file.

    Raises:
        TrustError, PolicyError: if there is no readable one.
    """
    return _read(path, *_DOCUMENTS[what])


def open_export(path: str) -> EvidenceStore:
    """The evidence in an export.

    Raises:
        ArchiveError, EvidenceNotFoundError: if there is none.
    """
    from airflow_mlsecops.core.store.archive import open_export as open_file

    return open_file(Path(path.removeprefix("file://")))


def digest_of(artifact: str) -> str:
    """The SHA-256 of an artifact: a digest is taken as it is; everything else is hashed where it lies.

    Raises:
        ArtifactError: if it can't be pinned.
    """
    from airflow_mlsecops.core.pinning import pin

    if DIGEST.match(artifact):
        return artifact.removeprefix("sha256:")
    return pin(artifact, access=access()).artifact.digest


def _read(path: str, what: str, error_class: type[MlsecopsError]) -> bytes:
    from airflow_mlsecops.core.config_file import MAX_BYTES

    try:
        with Path(path.removeprefix("file://")).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise error_class(f"the {what} {path} can't be read: {why}", "check the path") from error


def _s3_client() -> Any:
    try:
        from boto3.session import Session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise MissingExtraError("S3 needs boto3, which isn't installed", "pip install boto3") from error

    # A person waits for the answer: a place that is down has to say so within a minute or so.
    config = Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 2, "mode": "standard"})
    try:
        # A session of its own: boto3's default one keeps the credentials that it saw first.
        return Session().client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"S3 can't be used: {error}", "check AWS_PROFILE, AWS_ENDPOINT_URL_S3 and the other AWS_ variables"
        ) from error
