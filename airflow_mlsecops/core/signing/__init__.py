"""Signers: one URI names one; one file per scheme, in one visible table."""

from airflow_mlsecops.core.signing.access import SignerAccess
from airflow_mlsecops.core.signing.base import KeySigner, Signer
from airflow_mlsecops.core.signing.keys import PublicKey, generate_key
from airflow_mlsecops.core.signing.registry import key_signer_from_uri, signer_from_uri

__all__ = ["KeySigner", "PublicKey", "Signer", "SignerAccess", "generate_key", "key_signer_from_uri", "signer_from_uri"]
