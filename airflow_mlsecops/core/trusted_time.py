"""Who signed a bundle, as the trust policy knows them, and when, if somebody else than the signer vouches for it."""

from __future__ import annotations

from datetime import datetime

from airflow_mlsecops.core.bundle import Bundle, pre_authentication_encoding
from airflow_mlsecops.core.errors import MlsecopsError, TrustError
from airflow_mlsecops.core.signing.keyless_verify import verify_keyless
from airflow_mlsecops.core.trust import TrustedSigner, TrustPolicy


def signed_by(bundle: Bundle, trust: TrustPolicy) -> tuple[TrustedSigner, datetime | None]:
    """The trusted signer, once its signature is verified, and the trusted time of the signature.

    Raises:
        TrustError: if the trust policy knows nobody who signed it.
        SignatureError: if the signature, the certificate, its log entry or its time stamps don't verify.
        StatementError: if the verification material isn't what a certificate needs.
    """
    if bundle.certificate:
        return _keyless(bundle, trust)
    signer = trust.signer(bundle.key_hint)
    if signer.key is None:
        raise TrustError(f"signer {signer.name} has no key", "it signs with certificates only")
    signer.key.verify(bundle.signature, pre_authentication_encoding(bundle.statement.payload))
    if signer.sigstore and (bundle.entry is not None or bundle.timestamps):
        from airflow_mlsecops.core.signing.attached import verify_attached

        return signer, max(verify_attached(bundle, trust.sigstore[signer.sigstore], signer.key))
    # Without an instance that the signer's entry names, what stands beside the signature counts for no time: it is
    # judged now, which is the stricter answer.
    return signer, None


def _keyless(bundle: Bundle, trust: TrustPolicy) -> tuple[TrustedSigner, datetime]:
    """Ask each instance whose identities are trusted; exactly the identities of that instance may have signed."""
    reasons: list[MlsecopsError] = []
    for name, root in trust.sigstore.items():
        identities = trust.identities(name)
        if not identities:
            continue
        try:
            verified = verify_keyless(bundle.raw, root, list(identities))
        except MlsecopsError as error:
            reasons.append(error)
            continue
        return identities[verified.signer], verified.trusted_time
    if not reasons:
        raise TrustError("it is signed with a certificate, and the trust policy knows keys only", "add the identity")
    if len(reasons) == 1:
        raise reasons[0]
    raise TrustError("no Sigstore instance vouches for it: " + "; ".join(item.message for item in reasons))
