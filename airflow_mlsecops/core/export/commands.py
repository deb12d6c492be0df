"""The commands by which tools that aren't ours verify what is in an export."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.oms.bundle import Method, OmsBundle
from airflow_mlsecops.core.signing.keys import PublicKey, curve_hash

if TYPE_CHECKING:
    from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity


@dataclass(frozen=True)
class Signed:
    """A bundle with the key that signed it, and the names of what OpenSSL needs to verify it."""

    bundle: Bundle
    signer: str
    public_key: PublicKey

    @property
    def pae(self) -> str:
        """The bytes that were signed: DSSE's pre-authentication encoding of the statement."""
        return f"checks/{self.bundle.digest}.pae"

    @property
    def signature(self) -> str:
        """The bare signature."""
        return f"checks/{self.bundle.digest}.sig"

    @property
    def key(self) -> str:
        """The public key, PEM; its name is the SHA-256 of its content, which bundles have as the key's hint."""
        return f"keys/{self.public_key.hint}.pem"

    @property
    def scheme(self) -> str:
        """What securesystemslib calls signatures like this one."""
        public = serialization.load_pem_public_key(self.public_key.pem.encode())
        if isinstance(public, ed25519.Ed25519PublicKey):
            return "ed25519"
        if isinstance(public, ec.EllipticCurvePublicKey):
            return f"ecdsa-sha2-nistp{public.curve.key_size}"
        return "rsa-pkcs1v15-sha256"

    @property
    def command(self) -> str:
        """Verifies the signature with OpenSSL."""
        public = serialization.load_pem_public_key(self.public_key.pem.encode())
        if isinstance(public, ed25519.Ed25519PublicKey):
            files = f"-inkey {self.key} -sigfile {self.signature} -in {self.pae}"
            return f"openssl pkeyutl -verify -pubin -rawin {files}"
        name = curve_hash(public.curve).name if isinstance(public, ec.EllipticCurvePublicKey) else "sha256"
        return f"openssl dgst -{name} -verify {self.key} -signature {self.signature} {self.pae}"


@dataclass(frozen=True)
class Certified:
    """A bundle whose certificate names the signer. Unless it counts, nothing of it was verified here."""

    bundle: Bundle
    path: str
    identity: KeylessIdentity
    counts: bool = False

    @classmethod
    def of(cls, bundle: Bundle, path: str, *, counts: bool = False) -> Certified | None:
        """The same, if the certificate can be read and names one identity.

        Args:
            bundle: any bundle.
            path: its name in the export.
            counts: whether it was verified, and counted.
        """
        from airflow_mlsecops.core.signing.keyless_verify import identity_of

        try:
            certificate = x509.load_der_x509_certificate(bundle.certificate)
            return cls(bundle, path, identity_of(certificate), counts)
        except (MlsecopsError, ValueError):
            return None

    @property
    def command(self) -> str:
        """Verifies signature, certificate, log entry and identity with sigstore-python."""
        who = f"--cert-identity {_word(self.identity.identity)} --cert-oidc-issuer {_word(self.identity.issuer)}"
        about = self.bundle.statement.subjects[0][1]
        verify = f"verify identity --offline --bundle {self.path} {who} sha256:{about}"
        return f"sigstore --trust-config TRUST_CONFIG {verify}"


def model_signing_command(name: str, data: bytes, keys: Mapping[str, str]) -> str:
    """Verifies an OMS signature with ``model_signing``; empty if nobody knows how.

    Args:
        name: the signature's name in the export.
        data: its bytes.
        keys: the name of a public key by its hint.
    """
    try:
        bundle = OmsBundle.parse(data)
        if bundle.method is Method.KEY and bundle.key_hint in keys:
            return f"model_signing verify key MODEL --signature {name} --public_key {keys[bundle.key_hint]}"
        if bundle.method is Method.CERTIFICATE:
            return f"model_signing verify certificate MODEL --signature {name} --certificate_chain ROOT.pem"
        certified = Certified.of(Bundle.parse(data), name)
    except MlsecopsError:
        return ""
    if certified is None:
        return ""
    who, issuer = _word(certified.identity.identity), _word(certified.identity.issuer)
    how = f"--trust_config TRUST_CONFIG --identity {who} --identity_provider {issuer}"
    return f"model_signing verify sigstore MODEL --signature {name} {how}"


def shown(text: str) -> str:
    """Text from a statement, in one line: a name must not be able to add lines of its own to the instructions."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _word(text: str) -> str:
    return shlex.quote(shown(text))
