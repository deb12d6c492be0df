"""The port that every signer implements."""

from __future__ import annotations

from abc import ABC, abstractmethod

from airflow_mlsecops.core.bundle import Bundle, pre_authentication_encoding
from airflow_mlsecops.core.errors import MlsecopsError, SigningError
from airflow_mlsecops.core.signing.keys import PublicKey
from airflow_mlsecops.core.statement import Statement


class Signer(ABC):
    """Signs statements with one key. The public method guarantees the errors; a scheme writes :meth:`_sign`."""

    @property
    @abstractmethod
    def public_key(self) -> PublicKey:
        """The key with which others verify."""

    @abstractmethod
    def _sign(self, message: bytes) -> bytes:
        """Sign ``message`` (the PAE, not yet hashed)."""

    def sign(self, statement: Statement) -> Bundle:
        """Sign the statement's exact bytes; what comes back has been verified once.

        Raises:
            SigningError: if the key can't sign, or its signature doesn't verify with its own public half.
        """
        message = pre_authentication_encoding(statement.payload)
        try:
            signature = self._sign(message)
            self.public_key.verify(signature, message)
        except MlsecopsError as error:
            raise SigningError(f"the signer gave no usable signature: {error.message}", error.advice) from error
        return Bundle.build(statement, signature, self.public_key.hint)
