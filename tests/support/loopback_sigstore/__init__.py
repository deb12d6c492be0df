"""A whole Sigstore on 127.0.0.1: OIDC issuer, Fulcio with SCTs, Rekor v1 and v2 on a Merkle tree, RFC 3161 stamps.

The services speak the real protocols, so that unmodified clients sign against them and unmodified verifiers accept
what comes out; nothing here is trusted by anybody who wasn't given its trust root::

    with LoopbackSigstore(home) as sigstore:
        config = sigstore.client_trust_config(log_version=2)
        token = sigstore.issuer.mint("system:serviceaccount:airflow:worker")

As a process of its own: ``python -m tests.support.loopback_sigstore --home DIR``.
"""

from tests.support.loopback_sigstore.instance import LoopbackSigstore

__all__ = ["LoopbackSigstore"]
