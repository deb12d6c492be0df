"""Signers: one URI names one; one file per scheme, in one visible table."""

from airflow_mlsecops.core.signing.base import Signer
from airflow_mlsecops.core.signing.keys import PublicKey, generate_key
from airflow_mlsecops.core.signing.registry import signer_from_uri

__all__ = ["PublicKey", "Signer", "generate_key", "signer_from_uri"]
