"""Public keys and key generation; the cryptography is pyca/cryptography's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import SignatureError, TrustError

MIN_RSA_BITS = 3072
_CURVE_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}


def curve_hash(curve: ec.EllipticCurve) -> hashes.HashAlgorithm:
    """The hash that Sigstore pairs with a NIST curve.

    Raises:
        TrustError: for any other curve.
    """
    algorithm = _CURVE_HASHES.get(curve.name)
    if algorithm is None:
        raise TrustError(
            f"curve {curve.name} is not supported", f"use one of {', '.join(_CURVE_HASHES)}, Ed25519 or RSA"
        )
    return algorithm()


@dataclass(frozen=True)
class PublicKey:
    """A public key: its PEM SubjectPublicKeyInfo, and the hint by which bundles name it."""

    pem: str

    @classmethod
    def from_pem(cls, pem: str | bytes) -> PublicKey:
        """Read and normalise a PEM public key.

        Raises:
            TrustError: if it isn't one, or is of a kind or size that isn't accepted.
        """
        try:
            data = pem.encode() if isinstance(pem, str) else pem
            key = serialization.load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise TrustError(
                f"not a PEM public key: {error}", "give the file that `mlsecops keygen` wrote beside the private key"
            ) from error
        return cls.of(key)

    @classmethod
    def of(cls, key: Any) -> PublicKey:
        """From a key object of pyca/cryptography."""
        if isinstance(key, ec.EllipticCurvePublicKey):
            curve_hash(key.curve)
        elif isinstance(key, rsa.RSAPublicKey):
            if key.key_size < MIN_RSA_BITS:
                raise TrustError(f"RSA key of {key.key_size} bits", f"use at least {MIN_RSA_BITS} bits")
        elif not isinstance(key, ed25519.Ed25519PublicKey):
            raise TrustError(f"keys of type {type(key).__name__} are not supported", "use ECDSA, Ed25519 or RSA")
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return cls(pem.decode())

    @property
    def hint(self) -> str:
        """SHA-256 of the PEM SubjectPublicKeyInfo, the hint that OMS v1.0 bundles use too."""
        return sha256_bytes(self.pem.encode())

    def verify(self, signature: bytes, message: bytes) -> None:
        """Verify ``signature`` over ``message``.

        Raises:
            SignatureError: if it doesn't verify.
        """
        key = serialization.load_pem_public_key(self.pem.encode())
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, message, ec.ECDSA(curve_hash(key.curve)))
            elif isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, message)
            elif isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            else:  # pragma: no cover - `of` lets no other kind in
                raise SignatureError("unsupported key")
        except InvalidSignature as error:
            raise SignatureError("the signature doesn't belong to these bytes and this key") from error


def generate_key(passphrase: bytes | None = None) -> tuple[bytes, PublicKey]:
    """Make an ECDSA P-256 key pair, the kind every Sigstore tool reads.

    Returns:
        The private key as PKCS#8 PEM (encrypted when a passphrase is given), and the public key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    protection = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    return pem, PublicKey.of(key.public_key())
