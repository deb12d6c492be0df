"""Have a signature that was made with a key logged and time-stamped, and put the proofs into its bundle.

A key says nothing about when: whoever steals it can date statements back. With a log entry and a time stamp in the
bundle, verifiers judge the key's validity and revocation at a time that the thief can't choose.

Sources: the OpenAPI description of sigstore/rekor (``dsse`` 0.0.1) and the Rekor v2 specification (``hashedrekord``
0.0.2 over the envelope's pre-authentication encoding) for what is submitted; RFC 3161 for time stamps.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from airflow_mlsecops.core.bundle import Bundle, pre_authentication_encoding
from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.errors import MlsecopsError, SigningError
from airflow_mlsecops.core.signing.attached import verify_attached
from airflow_mlsecops.core.signing.base import KeySigner
from airflow_mlsecops.core.signing.errors import NO_STAMP, NO_STAMP_ADVICE, SigningUnavailableError, explained
from airflow_mlsecops.core.signing.keyless_config import check_config
from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot
from airflow_mlsecops.core.signing.keys import PublicKey, curve_hash
from airflow_mlsecops.core.statement import Statement

if TYPE_CHECKING:
    from sigstore.models import SigningConfig

_CURVES = {
    "secp256r1": "PKIX_ECDSA_P256_SHA_256",
    "secp384r1": "PKIX_ECDSA_P384_SHA_384",
    "secp521r1": "PKIX_ECDSA_P521_SHA_512",
}


class LoggedKeySigner(KeySigner):
    """Signs with another signer's key, and has every statement logged and time-stamped.

    Bytes that are no statement (:meth:`sign_bytes`) are signed as they are: there is no bundle for a proof to lie in.

    Args:
        signer: holds the key.
        config: client trust configuration (trust root, and where log and time-stamping authority are) as JSON bytes.
        log_version: 1 or 2, when the configuration has logs of both kinds.
        public_instance: allow the public Sigstore, where everything signed becomes public.

    Raises:
        ConfigurationError: if the configuration can't be used as asked.
        TrustError: if its trust root is unusable.
    """

    def __init__(
        self, signer: KeySigner, config: bytes, *, log_version: int | None = None, public_instance: bool = False
    ) -> None:
        self._signer = signer
        self._config = config
        self._log_version = log_version
        self._stamped = check_config(config, log_version, public_instance)
        self._root = SigstoreRoot.from_bytes(config)

    @property
    def public_key(self) -> PublicKey:
        """See :attr:`KeySigner.public_key`."""
        return self._signer.public_key

    def _sign(self, message: bytes) -> bytes:
        return self._signer._sign(message)

    def _bundle(self, statement: Statement) -> Bundle:
        """Sign, stamp, log, and verify it as a verifier without network will do it."""
        bundle = super()._bundle(statement)
        try:
            value = self._attached(bundle)
        except MlsecopsError:
            raise
        except Exception as error:
            raise explained(error) from error
        attached = Bundle.parse(canonical_json(value))
        verify_attached(attached, self._root, self.public_key)
        return attached

    def _attached(self, bundle: Bundle) -> dict[str, Any]:
        services = self._services()
        stamps = [_stamp(client.request_timestamp, bundle.signature) for client in services.get_tsas()]
        if self._stamped and not stamps:
            raise SigningError("no time-stamping authority of the Sigstore configuration is valid now", "renew it")
        log: Any = services.get_tlogs()[0]
        version = 2 if type(log).__name__ == "RekorV2Client" else 1
        entry = log.create_entry((_v1_request if version == 1 else _v2_request)(bundle, self.public_key))
        value: dict[str, Any] = strict_json(bundle.raw, "bundle")
        value["verificationMaterial"]["tlogEntries"] = [entry._inner.to_dict()]
        if stamps:
            value["verificationMaterial"]["timestampVerificationData"] = {
                "rfc3161Timestamps": [{"signedTimestamp": _text(stamp)} for stamp in stamps]
            }
        return value

    def _services(self) -> SigningConfig:
        from sigstore.models import ClientTrustConfig

        config = ClientTrustConfig.from_json(self._config.decode())
        config.force_tlog_version = self._log_version
        return config.signing_config

    def __repr__(self) -> str:
        return f"LoggedKeySigner({self._signer!r})"


def _stamp(request: Callable[[bytes], Any], signature: bytes) -> bytes:
    from sigstore._internal.timestamp import TimestampError

    try:
        stamp: bytes = request(signature).as_bytes()
    except TimestampError as error:
        raise SigningUnavailableError(NO_STAMP, NO_STAMP_ADVICE) from error
    return stamp


def _v1_request(bundle: Bundle, key: PublicKey) -> dict[str, Any]:
    envelope = strict_json(bundle.raw, "bundle")["dsseEnvelope"]
    proposed = {"envelope": json.dumps(envelope), "verifiers": [_text(key.pem.encode())]}
    return {"kind": "dsse", "apiVersion": "0.0.1", "spec": {"proposedContent": proposed}}


def _v2_request(bundle: Bundle, key: PublicKey) -> dict[str, Any]:
    details, algorithm = _logged_as(key)
    digest = hashes.Hash(algorithm)
    digest.update(pre_authentication_encoding(bundle.statement.payload))
    public = serialization.load_pem_public_key(key.pem.encode())
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    verifier = {"publicKey": {"rawBytes": _text(der)}, "keyDetails": details}
    signature = {"content": _text(bundle.signature), "verifier": verifier}
    return {"hashedRekordRequestV002": {"digest": _text(digest.finalize()), "signature": signature}}


def _logged_as(key: PublicKey) -> tuple[str, hashes.HashAlgorithm]:
    """How Rekor v2 calls keys of this kind, and the hash that goes with it.

    Raises:
        SigningError: if it takes none of this kind: plain Ed25519 signs no digest, and RSA keys have two sizes.
    """
    public = serialization.load_pem_public_key(key.pem.encode())
    if isinstance(public, ec.EllipticCurvePublicKey):
        return _CURVES[public.curve.name], curve_hash(public.curve)
    if isinstance(public, rsa.RSAPublicKey) and public.key_size in (3072, 4096):
        return f"PKIX_RSA_PKCS1V15_{public.key_size}_SHA256", hashes.SHA256()
    raise SigningError(
        "Rekor v2 logs no signatures by a key of this kind", "use ECDSA, or RSA with 3072 or 4096 bits, or Rekor v1"
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
