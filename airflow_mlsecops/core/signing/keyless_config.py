"""The client trust configuration of a Sigstore instance: where its services are, and what is asked of them.

Source: ``sigstore_trustroot.proto`` of sigstore/protobuf-specs (``SigningConfig`` v0.2).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.errors import ConfigurationError, StatementError
from airflow_mlsecops.core.signing.keyless_root import CONFIG_TYPE

_PUBLIC = ("sigstore.dev", "sigstage.dev")


def check_config(config: bytes, log_version: int | None, public_instance: bool) -> bool:
    """Check a client trust configuration before anything is sent to its services.

    1. It names an authority and a log (of the wanted version).
    2. With Rekor v2, which tells no time, it names a time-stamping authority.
    3. None of it is the public Sigstore, unless that is wanted.
    4. The token and the entries go over https, or don't leave the machine.

    Args:
        config: the file's bytes.
        log_version: the wanted version of Rekor, if only one will do.
        public_instance: whether the public Sigstore is wanted.

    Returns:
        Whether signatures get time stamps.

    Raises:
        ConfigurationError: if a step fails.
    """
    # 1.
    signing = _signing_config(config)
    authorities, logs, stamps = (_services(signing, name) for name in ("caUrls", "rekorTlogUrls", "tsaUrls"))
    if log_version is not None:
        logs = [item for item in logs if item[1] == log_version]
    if not authorities or not logs:
        wanted = f"Rekor v{log_version}" if log_version else "transparency log"
        raise ConfigurationError(f"the Sigstore configuration has no certificate authority or no {wanted}")
    # 2.
    if not stamps and any(version >= 2 for _, version in logs):
        raise ConfigurationError(
            "Rekor v2 tells no time, and the Sigstore configuration has no time-stamping authority",
            "add tsaUrls, or sign with log=1",
        )
    # 3.
    for url, _ in (*authorities, *logs, *stamps):
        if not public_instance and is_public(url):
            raise ConfigurationError(
                f"{url} belongs to the public Sigstore, where all that is signed becomes public for ever",
                "name your own instance, or say instance=public",
            )
    # 4. Whoever reads the token on its way to the authority can be this workload. Time stamps hold no secret.
    for url, _ in (*authorities, *logs):
        if urlsplit(url).scheme != "https" and not is_loopback(url):
            raise ConfigurationError(f"{url} is not https", "the workload's token is never sent in the clear")
    return bool(stamps)


def _signing_config(config: bytes) -> Mapping[str, Any]:
    try:
        value = strict_json(config, "Sigstore client trust configuration")
    except StatementError as error:
        raise ConfigurationError(error.message, error.advice) from error
    signing = value.get("signingConfig") if isinstance(value, dict) else None
    if not isinstance(signing, dict) or value.get("mediaType") != CONFIG_TYPE:
        raise ConfigurationError(
            f"expected a client trust configuration ({CONFIG_TYPE})",
            "name the instance to sign with; there is no default",
        )
    return signing


def _services(signing: Mapping[str, Any], name: str) -> list[tuple[str, int]]:
    items = signing.get(name, [])
    try:
        return [(str(item["url"]), int(item["majorApiVersion"])) for item in items]
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigurationError(f"the Sigstore configuration's {name} can't be read") from error


def is_public(url: str) -> bool:
    """Whether a service belongs to the public Sigstore, or to its staging instance."""
    host = urlsplit(url).hostname or ""
    return any(host == name or host.endswith(f".{name}") for name in _PUBLIC)


def is_loopback(url: str) -> bool:
    """Whether what is sent there stays on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
