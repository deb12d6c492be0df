"""A Sigstore configuration from a TUF repository: its instance can change keys and services without new files here.

Source: https://theupdateframework.github.io/specification/latest/; the targets ``trusted_root.json`` and
``signing_config.v0.2.json`` are those of every Sigstore instance.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from airflow_mlsecops.core.errors import ConfigurationError, TrustError
from airflow_mlsecops.core.signing.errors import SigningUnavailableError
from airflow_mlsecops.core.signing.keyless_config import is_loopback, is_public


def tuf_config(url: str, root: Path, public_instance: bool) -> bytes:
    """The client trust configuration that a TUF repository has now.

    1. It is not the public Sigstore's, unless that is wanted.
    2. It is reached by https, or on this machine.
    3. The first root is named and there: whoever is asked for one without it would decide whom to trust.
    4. sigstore-python updates from there, and verifies root, timestamp, snapshot, targets and both files.

    Args:
        url: the repository.
        root: file of a root of it that is trusted.
        public_instance: whether the public Sigstore is wanted.

    Raises:
        ConfigurationError: if step 1, 2 or 3 fails.
        SigningUnavailableError: if the repository doesn't answer.
        TrustError: if what it has doesn't verify, or isn't a configuration.
    """
    # 1.
    if is_public(url) and not public_instance:
        raise ConfigurationError(
            f"{url} is the public Sigstore's, where all that is signed becomes public for ever",
            "name your own instance, or say instance=public",
        )
    # 2.
    if urlsplit(url).scheme != "https" and not is_loopback(url):
        raise ConfigurationError(f"{url} is not https", "reach the TUF repository by https")
    # 3.
    try:
        root.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the TUF root {root} can't be read: {error.strerror}",
            "get root.json from whoever runs the repository",
        ) from error
    # 4.
    from sigstore.models import ClientTrustConfig

    try:
        config = ClientTrustConfig.from_tuf(url, bootstrap_root=root)
        return config._inner.to_json().encode()
    except Exception as error:
        if _is_unreachable(error):
            raise SigningUnavailableError(f"the TUF repository {url} doesn't answer", "try again later") from error
        raise TrustError(
            f"the TUF repository {url} has no Sigstore configuration that verifies from {root}",
            "it may have been tampered with, or have expired; see the traceback",
        ) from error


def _is_unreachable(error: BaseException) -> bool:
    from tuf.api.exceptions import DownloadError, DownloadHTTPError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DownloadHTTPError):
            return cause.status_code >= 500
        if isinstance(cause, (DownloadError, OSError)):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
