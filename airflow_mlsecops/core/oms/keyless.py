"""Who may have signed a ``model.sig`` keyless: identities, and the Sigstore instance that vouches for them.

::

    from airflow_mlsecops.core.oms import keyless_verifier, verify_oms
    from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot
    from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity

    root = SigstoreRoot.from_bytes(Path("trusted_root.json").read_bytes())
    release = KeylessIdentity("release@example.com", "https://issuer.example.com")
    verify_oms(bundle, Path("/models/digits"), trust=keyless_verifier(root, [release]), at=utcnow())
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib.util import find_spec
from typing import TYPE_CHECKING

from airflow_mlsecops.core.errors import MissingExtraError, TrustError

if TYPE_CHECKING:
    from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot
    from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity


def need_sigstore() -> None:
    """Check that what verifies keyless signatures is there.

    Raises:
        MissingExtraError: if it isn't.
    """
    if find_spec("sigstore") is None:
        raise MissingExtraError("keyless signatures need sigstore, which isn't installed", "pip install sigstore")


def keyless_verifier(root: SigstoreRoot, allowed: Collection[KeylessIdentity]) -> Callable[[bytes], str]:
    """What :func:`~airflow_mlsecops.core.oms.verify.verify_oms` takes as trust in keyless signatures.

    It verifies offline: certificate chain, certificate transparency, log entry, checkpoint, time stamps and identity,
    all at the times that the bundle proves. See :func:`~airflow_mlsecops.core.signing.keyless_verify.verify_keyless`.

    Args:
        root: the trust root of the instance; there is no default.
        allowed: who may have signed, each compared exactly.

    Raises:
        TrustError: if nobody is allowed.
        MissingExtraError: if sigstore-python isn't installed.
    """
    need_sigstore()
    from airflow_mlsecops.core.signing.keyless_verify import verify_keyless

    if not allowed:
        raise TrustError("nobody is allowed to have signed", "name the identities, each with its issuer")
    identities = tuple(allowed)
    return lambda bundle: str(verify_keyless(bundle, root, identities).signer)
