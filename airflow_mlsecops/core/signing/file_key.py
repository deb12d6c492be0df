"""``file:`` signers: a PEM private key on disk, encrypted or not."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from airflow_mlsecops.core.errors import SigningError, TrustError
from airflow_mlsecops.core.signing.base import KeySigner
from airflow_mlsecops.core.signing.keys import PublicKey, curve_hash

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class FileKeySigner(KeySigner):
    """Signs with a PEM key (PKCS#8, SEC1 or PKCS#1; ECDSA, Ed25519 or RSA)."""

    def __init__(self, pem: bytes, passphrase: str | None = None, origin: str = "key") -> None:
        try:
            key = serialization.load_pem_private_key(pem, passphrase.encode() if passphrase else None)
        except TypeError:
            needed = "is encrypted; give its passphrase" if not passphrase else "is not encrypted; give no passphrase"
            raise SigningError(
                f"the private key {origin} {needed}", "set it as the password of the mlsecops connection"
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            # The library's own text is left out, also from the traceback: it could quote the input.
            raise SigningError(
                f"the private key {origin} can't be read",
                "wrong passphrase, or not a PEM key; `mlsecops keygen` makes one",
            ) from None
        if not isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, rsa.RSAPrivateKey)):
            raise SigningError(f"the private key {origin} is of an unsupported kind", "use ECDSA, Ed25519 or RSA")
        self._key: PrivateKey = key
        try:
            self._public_key = PublicKey.of(key.public_key())
        except TrustError as error:
            raise SigningError(f"the private key {origin} can't be used: {error.message}", error.advice) from error

    @classmethod
    def from_file(cls, path: Path, passphrase: str | None = None) -> FileKeySigner:
        """Read the key at ``path``.

        Raises:
            SigningError: if there is no readable key.
        """
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise SigningError(
                f"the private key {path} can't be read: {error.strerror}",
                "check the signer's URI and the file's rights",
            ) from error
        return cls(pem, passphrase, str(path))

    @property
    def public_key(self) -> PublicKey:
        """See :attr:`KeySigner.public_key`."""
        return self._public_key

    def _sign(self, message: bytes) -> bytes:
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(message, ec.ECDSA(curve_hash(self._key.curve)))
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def __repr__(self) -> str:
        return f"FileKeySigner({self.public_key.hint[:12]})"
