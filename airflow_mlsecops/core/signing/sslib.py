"""``hsm:``, ``gcpkms:``, ``azurekms:`` and ``hv:`` signers, through securesystemslib.

========================================================== ============ ==========================================
URI                                                        extra        key
========================================================== ============ ==========================================
``hsm:ID?label=TOKEN&module=/path/of/pkcs11.so``           ``hsm``      in a PKCS#11 token; the PIN is the passphrase
``gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K/`` ``gcpkms``   in Google Cloud KMS
``cryptoKeyVersions/V``
``azurekms:VAULT/KEY``                                     ``azurekms`` in Azure Key Vault
``hv:KEY``                                                 ``vault``    Ed25519 in HashiCorp Vault's transit engine
========================================================== ============ ==========================================

Source: https://python-securesystemslib.readthedocs.io/en/latest/signer.html
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from airflow_mlsecops.core.errors import (
    ConfigurationError,
    MissingExtraError,
    MlsecopsError,
    SigningError,
    TrustError,
)
from airflow_mlsecops.core.signing.access import SignerAccess
from airflow_mlsecops.core.signing.base import KeySigner
from airflow_mlsecops.core.signing.keys import PublicKey
from airflow_mlsecops.core.signing.uri import SignerUri

_MODULE_VARIABLE = "PYKCS11LIB"
_MODULE_LOCK = threading.Lock()


@dataclass(frozen=True)
class _Scheme:
    """How one scheme is opened.

    Attributes:
        extra: of this distribution, that brings what it needs.
        needs: the library that has to be importable.
        signer: name of securesystemslib's class.
        arguments: of its ``import_``, from a URI's path and parameters.
        optional: parameters of the URI.
    """

    extra: str
    needs: str
    signer: str
    arguments: Callable[[SignerUri], tuple[Any, ...]]
    optional: frozenset[str] = frozenset()


class SslibSigner(KeySigner):
    """Signs with a key that one of securesystemslib's signers reaches. Nothing is dialled before the first use.

    Args:
        uri: which key.
        secret: the PIN, where there is one.
    """

    def __init__(self, uri: SignerUri, secret: str | None) -> None:
        self._uri = uri
        self._scheme = _SCHEMES[uri.scheme]
        self._arguments = self._scheme.arguments(uri)
        self._secret = secret

    @classmethod
    def from_uri(cls, uri: SignerUri, access: SignerAccess) -> SslibSigner:
        """The signer that a URI names.

        Raises:
            ConfigurationError: if the URI isn't written as its scheme asks.
            MissingExtraError: if its library isn't installed.
        """
        uri.only(set(), _SCHEMES[uri.scheme].optional)
        signer = cls(uri, access.passphrase)
        signer._check_installed()
        return signer

    @property
    def public_key(self) -> PublicKey:
        """See :attr:`KeySigner.public_key`.

        Raises:
            SigningError: if the key can't be reached, or is of a kind that isn't used here.
        """
        return self._opened[1]

    def _sign(self, message: bytes) -> bytes:
        signer = self._opened[0]
        with self._explained("sign"), self._module():
            return bytes.fromhex(signer.sign(message).signature)

    @cached_property
    def _opened(self) -> tuple[Any, PublicKey]:
        import securesystemslib.signer

        kind = getattr(securesystemslib.signer, self._scheme.signer)
        handler = self._give_secret if self._secret else None
        with self._explained("read the public key"), self._module():
            secrets = {"secrets_handler": handler} if self._uri.scheme == "hsm" else {}
            found, key = kind.import_(*self._arguments, **secrets)
            return securesystemslib.signer.Signer.from_priv_key_uri(found, key, self._give_secret), _public_key(key)

    def _give_secret(self, _: str) -> str:
        if not self._secret:
            raise SigningError(f"{self._told} needs a PIN", "set it as the password of the mlsecops connection")
        return self._secret

    def _check_installed(self) -> None:
        for library in ("securesystemslib", self._scheme.needs):
            try:
                found = find_spec(library) is not None
            except ModuleNotFoundError:  # of a package above it
                found = False
            if not found:
                raise MissingExtraError(
                    f"{self._uri.scheme}: signers need {library}, which isn't installed",
                    f"pip install 'airflow-mlsecops[{self._scheme.extra}]'",
                )

    @property
    def _told(self) -> str:
        return f"{self._uri.scheme}:{self._uri.path}"

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except TrustError as error:
            raise SigningError(f"{self._told}: {error.message}", error.advice) from error
        except MlsecopsError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}".removesuffix(": ")
            if self._secret:
                text = text.replace(self._secret, "***")
            # Not chained: libraries quote what they were given.
            raise SigningError(
                f"{self._told} can't {what}: {text[:200]}", "check the key's name, its service and the rights on it"
            ) from None

    @contextmanager
    def _module(self) -> Iterator[None]:
        """Name the PKCS#11 module where securesystemslib looks for it."""
        path = self._uri.parameters.get("module")
        if path is None:
            yield
            return
        with _MODULE_LOCK:
            before = os.environ.get(_MODULE_VARIABLE)
            os.environ[_MODULE_VARIABLE] = path
            try:
                yield
            finally:
                os.environ.pop(_MODULE_VARIABLE)
                if before is not None:
                    os.environ[_MODULE_VARIABLE] = before

    def __repr__(self) -> str:
        return f"SslibSigner({self._told})"


def _public_key(key: Any) -> PublicKey:
    public = str(key.keyval["public"])
    if key.keytype == "ed25519":
        return PublicKey.of(ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))
    return PublicKey.from_pem(public)


def _hsm(uri: SignerUri) -> tuple[Any, ...]:
    if not uri.path.isascii() or not uri.path.isdigit():
        raise ConfigurationError(f"hsm:{uri.path[:40]} names no key", "write hsm:ID?label=TOKEN with the key's number")
    if "module" not in uri.parameters and not os.environ.get(_MODULE_VARIABLE):
        raise ConfigurationError(
            "the hsm: URI names no PKCS#11 module", f"add module=/path/of/module.so, or set {_MODULE_VARIABLE}"
        )
    return int(uri.path), uri.parameters.get("label")


def _one(uri: SignerUri) -> tuple[Any, ...]:
    if not uri.path:
        raise ConfigurationError(f"the {uri.scheme}: URI names no key", f"write {uri.scheme}:KEY")
    return (uri.path,)


def _azure(uri: SignerUri) -> tuple[Any, ...]:
    vault, _, key = uri.path.partition("/")
    if not vault or not key or "/" in key:
        raise ConfigurationError("the azurekms: URI names no key", "write azurekms:VAULT/KEY")
    return vault, key


_SCHEMES: Mapping[str, _Scheme] = {
    "hsm": _Scheme("hsm", "pkcs11", "HSMSigner", _hsm, frozenset({"label", "module"})),
    "gcpkms": _Scheme("gcpkms", "google.cloud.kms", "GCPSigner", _one),
    "azurekms": _Scheme("azurekms", "azure.keyvault.keys", "AzureSigner", _azure),
    "hv": _Scheme("vault", "hvac", "VaultSigner", _one),
}
