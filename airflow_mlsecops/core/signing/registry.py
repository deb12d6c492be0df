"""Signers by URI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.signing.base import KeySigner, Signer


def signer_from_uri(uri: str, passphrase: str | None = None) -> Signer:
    """The signer that ``uri`` names.

    Args:
        uri: ``file:/abs/path.pem`` (or a plain path).
        passphrase: of an encrypted key; never logged.

    Raises:
        ConfigurationError: if the scheme isn't known.
        SigningError: if the key can't be used.
    """
    if "-----BEGIN" in uri:  # never quoted: what follows is the key
        raise ConfigurationError("the signer is a key itself, not a URI", "write it to a file, and give file:/path.pem")
    scheme, separator, _ = uri.partition(":")
    opener = _SCHEMES.get(scheme if separator else "file")
    if opener is None:
        raise ConfigurationError(f"no signer for {scheme!r} URIs", f"use one of {', '.join(s + ':' for s in _SCHEMES)}")
    return opener(uri, passphrase)


def key_signer_from_uri(uri: str, passphrase: str | None = None) -> KeySigner:
    """The signer that ``uri`` names, where it has to hold one key: for a log's checkpoints, for example.

    Raises:
        ConfigurationError: if the scheme isn't known, or signs without a key of its own.
        SigningError: if the key can't be used.
    """
    signer = signer_from_uri(uri, passphrase)
    if not isinstance(signer, KeySigner):
        raise ConfigurationError(
            f"{signer.name} holds no key of its own", "name a signer with a key, such as file: or awskms:"
        )
    return signer


def _file(uri: str, passphrase: str | None) -> Signer:
    from airflow_mlsecops.core.signing.file_key import FileKeySigner

    path = uri.removeprefix("file:")
    if path.startswith("//"):
        path = path.removeprefix("//").removeprefix("localhost")
    return FileKeySigner.from_file(Path(unquote(path)), passphrase)


_SCHEMES: dict[str, Callable[[str, str | None], Signer]] = {"file": _file}
