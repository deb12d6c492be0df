"""OpenSSF Model Signing (OMS) v1.0: the ``model.sig`` that other tools verify, written and verified.

Sign a pinned model with a key, and verify it::

    from datetime import UTC, datetime
    from pathlib import Path
    from airflow_mlsecops.core.oms import sign_oms, verify_oms
    from airflow_mlsecops.core.pinning import pin
    from airflow_mlsecops.core.signing import signer_from_uri

    signer = signer_from_uri("file:/keys/model.pem")
    signature = sign_oms(pin("/models/digits"), signer)
    Path("/models/digits/model.sig").write_bytes(signature)
    verify_oms(signature, Path("/models/digits"), trust=signer.public_key, at=datetime.now(UTC))

Its consumers run ``model_signing verify key /models/digits --signature /models/digits/model.sig --public_key KEY``.
"""

from airflow_mlsecops.core.oms.bundle import Method, OmsBundle
from airflow_mlsecops.core.oms.certificates import CertificateTrust, certificates_from_pem, read_certificates
from airflow_mlsecops.core.oms.keyless import keyless_verifier
from airflow_mlsecops.core.oms.publish import (
    OmsExistsError,
    OmsNotFoundError,
    Published,
    publish_oms,
    published_oms,
    unsigned,
)
from airflow_mlsecops.core.oms.sign import DEFAULT_IGNORED, model_statement, sign_oms
from airflow_mlsecops.core.oms.statement import PREDICATE_TYPE, oms_statement
from airflow_mlsecops.core.oms.verify import KeylessVerifier, OmsTrust, OmsVerification, verify_oms
from airflow_mlsecops.core.pinning.beside import SIGNATURE_NAME

__all__ = [
    "DEFAULT_IGNORED",
    "PREDICATE_TYPE",
    "SIGNATURE_NAME",
    "CertificateTrust",
    "KeylessVerifier",
    "Method",
    "OmsBundle",
    "OmsExistsError",
    "OmsNotFoundError",
    "OmsTrust",
    "OmsVerification",
    "Published",
    "certificates_from_pem",
    "keyless_verifier",
    "model_statement",
    "oms_statement",
    "publish_oms",
    "published_oms",
    "read_certificates",
    "sign_oms",
    "unsigned",
    "verify_oms",
]
