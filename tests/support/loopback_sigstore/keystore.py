"""Keys and certificates of the instance, kept in files: after a restart, what was signed before still verifies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def write_private(path: Path, data: bytes) -> None:
    """Write ``data`` where only the owner reads it, in one step, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    partial.replace(path)


def spki(key: PrivateKey) -> bytes:
    """The DER SubjectPublicKeyInfo of the key's public half."""
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class Keystore:
    """A folder of PEM files, filled on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ecdsa(self, name: str) -> ec.EllipticCurvePrivateKey:
        """The ECDSA P-256 key called ``name``."""
        key = self._key(name, lambda: ec.generate_private_key(ec.SECP256R1()))
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    def ed25519(self, name: str) -> ed25519.Ed25519PrivateKey:
        """The Ed25519 key called ``name``."""
        key = self._key(name, ed25519.Ed25519PrivateKey.generate)
        assert isinstance(key, ed25519.Ed25519PrivateKey)
        return key

    def certificate(self, name: str, make: Callable[[], x509.Certificate]) -> x509.Certificate:
        """The certificate called ``name``, made once."""
        path = self._folder / f"{name}.crt"
        if not path.exists():
            write_private(path, make().public_bytes(serialization.Encoding.PEM))
        return x509.load_pem_x509_certificate(path.read_bytes())

    def _key(self, name: str, make: Callable[[], PrivateKey]) -> PrivateKey:
        path = self._folder / f"{name}.key"
        if not path.exists():
            pem = make().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            write_private(path, pem)
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey))
        return key
