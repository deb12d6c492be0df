"""The port that every signer implements, and its half-way house for signers that hold one key."""

from __future__ import annotations

from abc import ABC, abstractmethod

from airflow_mlsecops.core.bundle import Bundle, pre_authentication_encoding
from airflow_mlsecops.core.errors import MlsecopsError, SignatureError, SigningError
from airflow_mlsecops.core.signing.keys import PublicKey
from airflow_mlsecops.core.statement import Statement


class Signer(ABC):
    """Signs statements. The public method guarantees the errors; a way of signing writes :meth:`_bundle`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Who signs, for logs and pages: a key's hint or an identity; never a secret."""

    @abstractmethod
    def _bundle(self, statement: Statement) -> Bundle:
        """Sign the statement's exact bytes; what comes back has been verified once."""

    def sign(self, statement: Statement) -> Bundle:
        """Sign the statement's exact bytes; what comes back has been verified once.

        Raises:
            SigningError: if the signer can't be used, or its signature doesn't verify.
        """
        try:
            bundle = self._bundle(statement)
        except SigningError:
            raise
        except MlsecopsError as error:
            raise SigningError(f"the signer gave no usable signature: {error.message}", error.advice) from error
        if bundle.statement.payload != statement.payload:
            raise SigningError("the signature is over other bytes than the statement's")
        return bundle


class KeySigner(Signer):
    """Signs with one key, by which others verify; a scheme writes :attr:`public_key` and :meth:`_sign`."""

    @property
    @abstractmethod
    def public_key(self) -> PublicKey:
        """The key with which others verify."""

    @abstractmethod
    def _sign(self, message: bytes) -> bytes:
        """Sign ``message`` (not yet hashed)."""

    @property
    def name(self) -> str:
        """See :attr:`Signer.name`."""
        return f"key {self.public_key.hint[:16]}…"

    def sign_bytes(self, message: bytes) -> bytes:
        """Sign other bytes than a statement's, such as a log's checkpoint; the signature has been verified once.

        Raises:
            SigningError: if the key can't sign, or its signature doesn't verify with its own public half.
        """
        signature = self._sign(message)
        try:
            self.public_key.verify(signature, message)
        except SignatureError as error:
            raise SigningError(f"the signer gave no usable signature: {error.message}", error.advice) from error
        return signature

    def _bundle(self, statement: Statement) -> Bundle:
        signature = self.sign_bytes(pre_authentication_encoding(statement.payload))
        return Bundle.build(statement, signature, self.public_key.hint)
