"""``awskms:`` signers: a key that never leaves AWS's Key Management Service; only digests are sent there.

``awskms:KEY?region=…&endpoint=…``, where KEY is a key id, an ARN or ``alias/NAME``. What it needs there is
``kms:GetPublicKey`` and ``kms:Sign``.

Source: the API reference of AWS KMS, actions ``GetPublicKey`` and ``Sign``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

from airflow_mlsecops.core.errors import ConfigurationError, SigningError, TrustError
from airflow_mlsecops.core.signing.access import SignerAccess
from airflow_mlsecops.core.signing.base import KeySigner
from airflow_mlsecops.core.signing.errors import SigningUnavailableError
from airflow_mlsecops.core.signing.keyless_config import is_loopback
from airflow_mlsecops.core.signing.keys import PublicKey, curve_hash
from airflow_mlsecops.core.signing.uri import SignerUri

_TRANSIENT = {
    "ThrottlingException",
    "LimitExceededException",
    "KMSInternalException",
    "DependencyTimeoutException",
    "KeyUnavailableException",
}
_ADVICE = {
    "AccessDeniedException": "allow kms:GetPublicKey and kms:Sign on the key to the AWS connection's role",
    "NotFoundException": "check the key and the region in the signer's URI",
    "DisabledException": "enable the key",
    "KMSInvalidStateException": "see the key's state: it may be waiting for its deletion",
}


class AwsKmsSigner(KeySigner):
    """Signs with one key of AWS KMS: ECDSA on a NIST curve, or RSA (PKCS#1 v1.5) with at least 3072 bits.

    Args:
        key_id: key id, ARN or alias.
        client: gives a boto3 KMS client; nothing is dialled before the first use.
    """

    def __init__(self, key_id: str, client: Callable[[], Any]) -> None:
        self._key_id = key_id
        self._make_client = client

    @classmethod
    def from_uri(cls, uri: SignerUri, access: SignerAccess) -> AwsKmsSigner:
        """The signer that an ``awskms:`` URI names.

        Raises:
            ConfigurationError: if it names no key, or an endpoint in the clear.
        """
        uri.only(set(), {"region", "endpoint"})
        key_id, endpoint = uri.path.lstrip("/"), uri.parameters.get("endpoint", "")
        if not key_id:
            raise ConfigurationError("the awskms: URI names no key", "write awskms:alias/NAME, a key id or an ARN")
        if endpoint and not endpoint.startswith("https://") and not is_loopback(endpoint):
            raise ConfigurationError(f"the endpoint {endpoint} is not https", "reach the key service by https")
        arn = key_id.split(":")
        region = uri.parameters.get("region") or (arn[3] if len(arn) > 3 and arn[0] == "arn" else "")
        return cls(key_id, lambda: access.kms(region, endpoint))

    @property
    def public_key(self) -> PublicKey:
        """See :attr:`KeySigner.public_key`.

        Raises:
            SigningError: if the service gives none, or one of another kind.
        """
        return self._described[1]

    def _sign(self, message: bytes) -> bytes:
        arn, public = self._described
        algorithm, kind = _algorithm(public)
        digest = hashes.Hash(kind)
        digest.update(message)
        # The resolved key, not the alias: an alias may have been moved since its public key was read.
        answer = self._call(
            "sign", KeyId=arn, Message=digest.finalize(), MessageType="DIGEST", SigningAlgorithm=algorithm
        )
        signature = answer.get("Signature")
        if not isinstance(signature, bytes) or answer.get("KeyId") != arn:
            raise SigningError(f"AWS KMS answered for another key than {self._key_id}", "don't trust this endpoint")
        if algorithm.startswith("ECDSA"):
            _check_der(signature)
        return signature

    @cached_property
    def _client(self) -> Any:
        return self._make_client()

    @cached_property
    def _described(self) -> tuple[str, PublicKey]:
        """The key's ARN and its public half."""
        answer = self._call("get_public_key", KeyId=self._key_id)
        if answer.get("KeyUsage") != "SIGN_VERIFY":
            raise SigningError(f"the AWS KMS key {self._key_id} is not for signing", "make one with SIGN_VERIFY")
        try:
            key = PublicKey.of(serialization.load_der_public_key(answer["PublicKey"]))
            arn = str(answer["KeyId"])
        except TrustError as error:
            raise SigningError(f"the AWS KMS key {self._key_id}: {error.message}", error.advice) from error
        except (KeyError, TypeError, ValueError) as error:
            raise SigningError(f"AWS KMS gave no public key of {self._key_id}", "see the key's spec") from error
        if _algorithm(key)[0] not in answer.get("SigningAlgorithms", ()):
            raise SigningError(f"the AWS KMS key {self._key_id} can't sign by {_algorithm(key)[0]}", "make another")
        return arn, key

    def _call(self, action: str, **parameters: Any) -> dict[str, Any]:
        from botocore import exceptions

        try:
            answer: dict[str, Any] = getattr(self._client, action)(**parameters)
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "?"))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            told = f"AWS KMS refuses {action} with key {self._key_id}: {code}"
            if code in _TRANSIENT or status >= 500 or status == 429:
                raise SigningUnavailableError(told, "try again later") from error
            raise SigningError(told, _ADVICE.get(code, "see AWS's log (CloudTrail) for why")) from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise SigningUnavailableError(f"AWS KMS doesn't answer: {type(error).__name__}", "try again") from error
        except exceptions.BotoCoreError as error:
            raise SigningError(
                f"AWS KMS can't be asked: {type(error).__name__}", "check the AWS connection: credentials and region"
            ) from error
        return answer

    def __repr__(self) -> str:
        return f"AwsKmsSigner({self._key_id})"


def _algorithm(key: PublicKey) -> tuple[str, hashes.HashAlgorithm]:
    """What KMS calls the algorithm that verifiers expect of this key, and its hash."""
    public = serialization.load_pem_public_key(key.pem.encode())
    if isinstance(public, ec.EllipticCurvePublicKey):
        kind = curve_hash(public.curve)
        return f"ECDSA_SHA_{kind.digest_size * 8}", kind
    if isinstance(public, rsa.RSAPublicKey):
        return "RSASSA_PKCS1_V1_5_SHA_256", hashes.SHA256()
    raise SigningError("AWS KMS gave a key that is neither ECDSA nor RSA", "make one with an ECC_NIST_ or RSA_ spec")


def _check_der(signature: bytes) -> None:
    """Check that an ECDSA signature is in the one canonical DER form (X.690, section 10)."""
    try:
        same = utils.encode_dss_signature(*utils.decode_dss_signature(signature)) == signature
    except ValueError:
        same = False
    if not same:
        raise SigningError("AWS KMS gave a signature that is not in canonical DER", "don't trust this endpoint")
