"""What a signer's URI doesn't say: secrets, and how the services that hold keys are reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError


def default_kms(region: str, endpoint: str) -> Any:
    """A boto3 KMS client by boto3's own chain: environment, profile, instance role.

    Args:
        region: empty for the chain's.
        endpoint: empty for AWS's own.
    """
    from boto3.session import Session
    from botocore.config import Config

    config = Config(connect_timeout=10, read_timeout=30, retries={"max_attempts": 3, "mode": "standard"})
    return Session().client("kms", region_name=region or None, endpoint_url=endpoint or None, config=config)


@dataclass(frozen=True)
class SignerAccess:
    """How signers get what their URI only names. None of it is ever logged.

    Attributes:
        passphrase: of an encrypted key, or the PIN of a token.
        kms: gives a boto3 KMS client for a region and an endpoint, each empty if the URI names none.
        sigstore_config: the client trust configuration that ``connection`` stands for in a URI.
    """

    passphrase: str | None = field(default=None, repr=False)
    kms: Callable[[str, str], Any] = field(default=default_kms, repr=False)
    sigstore_config: bytes = field(default=b"", repr=False)

    def named_config(self) -> bytes:
        """The Sigstore configuration that the connection holds.

        Raises:
            ConfigurationError: if it holds none.
        """
        if not self.sigstore_config:
            raise ConfigurationError(
                "the signer's URI takes its Sigstore configuration from the connection, which has none",
                "add sigstore_config to the connection's extra, or name a file in the URI",
            )
        return self.sigstore_config
