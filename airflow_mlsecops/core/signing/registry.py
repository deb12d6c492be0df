"""Signers by URI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.signing.access import SignerAccess
from airflow_mlsecops.core.signing.base import KeySigner, Signer
from airflow_mlsecops.core.signing.uri import SignerUri, read_config

_LOG_PARAMETERS = {"sigstore", "log", "instance"}


def signer_from_uri(uri: str, passphrase: str | None = None, *, access: SignerAccess | None = None) -> Signer:
    """The signer that ``uri`` names.

    With a key (all schemes but ``sigstore:``), the parameter ``sigstore=CONFIG`` asks for a log entry and a time stamp
    in every bundle, from the instance that the client trust configuration CONFIG names: a path, or ``connection``.
    ``log=1`` or ``2`` and ``instance=public`` go with it.

    Args:
        uri: ``file:/abs/path.pem`` (or a plain path), ``awskms:KEY``, ``hsm:ID``, ``gcpkms:KEY``, ``azurekms:KEY``,
            ``hv:KEY`` or ``sigstore:CONFIG``; see the module of each.
        passphrase: of an encrypted key; never logged.
        access: passphrase and all else that a signer needs; in place of ``passphrase``.

    Raises:
        ConfigurationError: if the scheme isn't known, or a parameter of it.
        SigningError: if the key can't be used.
    """
    if "-----BEGIN" in uri:  # never quoted: what follows is the key
        raise ConfigurationError("the signer is a key itself, not a URI", "write it to a file, and give file:/path.pem")
    access = access or SignerAccess(passphrase=passphrase)
    scheme, separator, _ = uri.partition(":")
    if not separator:
        return _file(SignerUri("file", uri, {}), access)
    if scheme == "sigstore":
        from airflow_mlsecops.core.signing.keyless_uri import keyless_signer_from_uri

        return keyless_signer_from_uri(uri, access)
    opener = _KEY_SCHEMES.get(scheme)
    if opener is None:
        known = ", ".join(f"{name}:" for name in (*_KEY_SCHEMES, "sigstore"))
        raise ConfigurationError(f"no signer for {scheme!r} URIs", f"use one of {known}")
    parsed = SignerUri.parse(uri)
    return _logged(opener(parsed.without(_LOG_PARAMETERS), access), parsed, access)


def key_signer_from_uri(uri: str, passphrase: str | None = None, *, access: SignerAccess | None = None) -> KeySigner:
    """The signer that ``uri`` names, where it has to hold one key: for a log's checkpoints, for example.

    Raises:
        ConfigurationError: if the scheme isn't known, or signs without a key of its own.
        SigningError: if the key can't be used.
    """
    signer = signer_from_uri(uri, passphrase, access=access)
    if not isinstance(signer, KeySigner):
        raise ConfigurationError(
            f"{signer.name} holds no key of its own", "name a signer with a key, such as file: or awskms:"
        )
    return signer


def _logged(signer: KeySigner, uri: SignerUri, access: SignerAccess) -> KeySigner:
    log_version, wanted = uri.log_version(), uri.parameters.get("sigstore")
    if wanted is None:
        if _LOG_PARAMETERS & set(uri.parameters):
            raise ConfigurationError(f"the {uri.scheme}: URI has log or instance without sigstore", "name both")
        return signer
    from airflow_mlsecops.core.signing.attach import LoggedKeySigner

    config = access.named_config() if wanted == "connection" else read_config(wanted)
    return LoggedKeySigner(signer, config, log_version=log_version, public_instance="instance" in uri.parameters)


def _file(uri: SignerUri, access: SignerAccess) -> KeySigner:
    from airflow_mlsecops.core.signing.file_key import FileKeySigner

    uri.only(set())
    return FileKeySigner.from_file(Path(uri.path), access.passphrase)


def _awskms(uri: SignerUri, access: SignerAccess) -> KeySigner:
    from airflow_mlsecops.core.signing.aws_kms import AwsKmsSigner

    return AwsKmsSigner.from_uri(uri, access)


def _sslib(uri: SignerUri, access: SignerAccess) -> KeySigner:
    from airflow_mlsecops.core.signing.sslib import SslibSigner

    return SslibSigner.from_uri(uri, access)


_KEY_SCHEMES: dict[str, Callable[[SignerUri, SignerAccess], KeySigner]] = {
    "file": _file,
    "awskms": _awskms,
    "hsm": _sslib,
    "gcpkms": _sslib,
    "azurekms": _sslib,
    "hv": _sslib,
}
