"""``sigstore:`` signers: no key to keep; a short-lived certificate for the workload's own identity.

::

    signer = signer_from_uri(
        "sigstore:/etc/mlsecops/sigstore.json"
        "?identity=https://kubernetes.io/namespaces/airflow/serviceaccounts/worker"
        "&issuer=https://kubernetes.default.svc"
        "&token=/var/run/secrets/sigstore/token"
    )
    bundle = signer.sign(statement)

The instance is always named, by a client trust configuration: the public one would publish what is signed to the whole
world, and is only used when the URI says ``instance=public``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_mlsecops.core.bundle import Bundle as SignedBundle
from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import MlsecopsError, SigningError
from airflow_mlsecops.core.signing.base import Signer
from airflow_mlsecops.core.signing.errors import NO_STAMP, NO_STAMP_ADVICE, SigningUnavailableError, explained
from airflow_mlsecops.core.signing.keyless_config import check_config
from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot
from airflow_mlsecops.core.signing.keyless_token import (
    DEFAULT_AUDIENCE,
    TokenSource,
    identity_token,
)
from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity, VerifiedKeyless, verify_keyless
from airflow_mlsecops.core.statement import Statement

if TYPE_CHECKING:
    from sigstore.models import Bundle
    from sigstore.sign import SigningContext

_RENEW_BEFORE = timedelta(minutes=1)


class KeylessSigner(Signer):
    """Signs statements with certificates for one identity.

    Args:
        config: client trust configuration (trust root, and where the services are) as JSON bytes.
        token: gives the workload's current token.
        identity: who this workload must turn out to be; a certificate for anybody else is refused.
        audience: for whom the token must be.
        log_version: 1 or 2, when the configuration has logs of both kinds.
        public_instance: allow the public Sigstore, where everything signed becomes public.

    Raises:
        ConfigurationError: if the configuration can't be used as asked.
        TrustError: if its trust root is unusable.
    """

    def __init__(
        self,
        config: bytes,
        token: TokenSource,
        identity: KeylessIdentity,
        *,
        audience: str = DEFAULT_AUDIENCE,
        log_version: int | None = None,
        public_instance: bool = False,
    ) -> None:
        self.identity = identity
        self._config = config
        self._token = token
        self._audience = audience
        self._log_version = log_version
        self._stamped = check_config(config, log_version, public_instance)
        self._root = SigstoreRoot.from_bytes(config)

    @property
    def name(self) -> str:
        """See :attr:`Signer.name`."""
        return str(self.identity)

    def sign_verified(self, statement: Statement) -> VerifiedKeyless:
        """Sign one statement, and say what its verification found. See :meth:`sign_all`."""
        return self.sign_all([statement])[0]

    def _bundle(self, statement: Statement) -> SignedBundle:
        return self.sign_verified(statement).bundle

    def sign_all(self, statements: Iterable[Statement]) -> list[VerifiedKeyless]:
        """Sign the statements' exact bytes, with one certificate as long as it lasts.

        What comes back has been verified once, as a verifier without network will do it.

        Raises:
            SigningUnavailableError: if a service can't be reached or is out of order.
            SigningError: if the token can't be used, a service refuses, or what came out doesn't verify.
        """
        try:
            return self._sign_all(list(statements))
        except SigningError:
            raise
        except MlsecopsError as error:
            raise SigningError(f"the signer gave no usable signature: {error.message}", error.advice) from error
        except Exception as error:
            raise explained(error) from error

    def _sign_all(self, statements: list[Statement]) -> list[VerifiedKeyless]:
        from sigstore import dsse

        context = self._context()
        signed: list[VerifiedKeyless] = []
        while len(signed) < len(statements):
            token = identity_token(self._token(), self._audience, self.identity.issuer)
            with context.signer(token) as signer:
                for statement in statements[len(signed) :]:
                    bundle = signer.sign_dsse(dsse.Statement(statement.payload))
                    signed.append(self._verified(bundle, statement))
                    if bundle.signing_certificate.not_valid_after_utc - utcnow() < _RENEW_BEFORE:
                        break
        return signed

    def _context(self) -> SigningContext:
        from sigstore.models import ClientTrustConfig
        from sigstore.sign import SigningContext

        config = ClientTrustConfig.from_json(self._config.decode())
        config.force_tlog_version = self._log_version
        return SigningContext.from_trust_config(config)

    def _verified(self, bundle: Bundle, statement: Statement) -> VerifiedKeyless:
        # sigstore-python only warns when the authority gives no time stamp.
        if self._stamped and bundle.verification_material.timestamp_verification_data is None:
            raise SigningUnavailableError(NO_STAMP, NO_STAMP_ADVICE)
        raw = canonical_json(strict_json(bundle.to_json().encode(), "bundle"))
        verified = verify_keyless(raw, self._root, [self.identity])
        if verified.statement.payload != statement.payload:
            raise SigningError("the signature is over other bytes than the statement's")
        return verified

    @property
    def root(self) -> SigstoreRoot:
        """The trust root of its instance: with it, others verify."""
        return self._root

    def __repr__(self) -> str:
        return f"KeylessSigner({self.identity})"
