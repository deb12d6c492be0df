"""Write a ``model.sig``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_mlsecops.core.artifact import Form
from airflow_mlsecops.core.errors import SigningError
from airflow_mlsecops.core.oms.bundle import Method, OmsBundle, build_bundle
from airflow_mlsecops.core.oms.certificates import check_purpose, der, load_leaf
from airflow_mlsecops.core.oms.errors import OmsCertificateError
from airflow_mlsecops.core.oms.statement import oms_statement, under
from airflow_mlsecops.core.pinning import Pin
from airflow_mlsecops.core.pinning.beside import SIGNATURE_NAME
from airflow_mlsecops.core.signing.base import KeySigner, Signer
from airflow_mlsecops.core.signing.keys import PublicKey
from airflow_mlsecops.core.statement import Statement

if TYPE_CHECKING:
    from airflow_mlsecops.core.signing.keyless import KeylessSigner

    OmsSigner = Signer | KeylessSigner

_LOG = logging.getLogger(__name__)

DEFAULT_IGNORED = (".git", ".gitattributes", ".github", ".gitignore", SIGNATURE_NAME)
"""What ``model_signing`` leaves out when it signs and, whatever the signature says, when it verifies."""


def sign_oms(
    pin: Pin,
    signer: OmsSigner,
    *,
    name: str = "",
    certificates: Sequence[x509.Certificate] = (),
    ignore_paths: Sequence[str] = DEFAULT_IGNORED,
) -> bytes:
    """Sign a pinned model so that ``model_signing verify`` accepts it.

    The default leaves the same names out as ``model_signing`` does, which would refuse the model otherwise. They are
    listed in the signature; :func:`~airflow_mlsecops.core.oms.verify.verify_oms` excuses none of them unasked.

    Args:
        pin: the pinned model.
        signer: with an ECDSA key, the only kind of key that ``model_signing`` reads; or keyless.
        name: the subject's name of a folder; by default the artifact's name. A single file keeps its file name.
        certificates: the key's certificate and those between it and the root, leaf first; without any, verifiers need
            the key. A log entry names the key, so that none goes into a bundle with certificates.
        ignore_paths: names of files, or of folders with all below, that are left out.

    Returns:
        The bundle's bytes, to be written to ``model.sig`` in the model's folder, or beside a single file.

    Raises:
        SigningError: if the key can't sign such a bundle.
        OmsCertificateError: if the certificate isn't the key's, or isn't for signing code.
        OmsNamesError: if nothing is left to sign.
        StatementError: if it lists more files than a signer takes (about 80,000).
    """
    statement = model_statement(pin, name=name, ignore_paths=ignore_paths)
    if not isinstance(signer, KeySigner):
        if certificates:
            raise SigningError("a keyless signer has a certificate of its own", "leave the certificates out")
        return _checked(signer.sign(statement).raw, Method.KEYLESS)
    _check_key(signer.public_key)
    chain = _check_certificates(signer.public_key, certificates)
    signed = signer.sign(statement)
    if not chain:
        return _checked(signed.raw, Method.KEY)
    return build_bundle(signed.statement.payload, signed.signature, certificates=chain)


def model_statement(pin: Pin, *, name: str = "", ignore_paths: Sequence[str] = DEFAULT_IGNORED) -> Statement:
    """What :func:`sign_oms` signs, for signers that make bundles of their own, such as keyless ones.

    Args:
        pin: the pinned model.
        name: see :func:`sign_oms`.
        ignore_paths: see :func:`sign_oms`.

    Raises:
        OmsNamesError: if nothing is left to sign.
        StatementError: if it lists more files than a signer takes (about 80,000).
    """
    single_file = pin.artifact.form is Form.FILE
    if single_file:
        name = pin.manifest.entries[0].name
    left_out = [] if single_file else list(filter(under(ignore_paths), (e.name for e in pin.manifest.entries)))
    if left_out:
        _LOG.info("%d files are not part of the model signature, such as %s", len(left_out), left_out[0])
    return Statement.parse(
        oms_statement(pin.manifest, name=name or pin.artifact.name, single_file=single_file, ignore_paths=ignore_paths)
    )


def _checked(bundle: bytes, method: Method) -> bytes:
    """What a signer made is read back as its verifiers will read it."""
    if OmsBundle.parse(bundle).method is not method:
        raise SigningError(f"the signer made no bundle of the kind {method}", "use another signer")
    return bundle


def _check_key(key: PublicKey) -> None:
    if not isinstance(serialization.load_pem_public_key(key.pem.encode()), ec.EllipticCurvePublicKey):
        raise SigningError(
            "only ECDSA keys can sign a model.sig that other tools read", "use one on P-256, P-384 or P-521"
        )


def _check_certificates(key: PublicKey, certificates: Sequence[x509.Certificate]) -> list[bytes]:
    chain = [der(certificate) for certificate in certificates]
    if chain:
        certificate, leaf = load_leaf(chain[0])
        if leaf.key != key:
            raise OmsCertificateError("the first certificate is not the signing key's", "give the leaf first")
        check_purpose(certificate)
    return chain
