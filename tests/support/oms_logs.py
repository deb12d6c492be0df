"""Log entries as Rekor makes them, of both versions, over a real Merkle tree; and RFC 3161 timestamps.

Nothing is signed by a log or by a stamping authority: what is tested with them is whether an entry is about a bundle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.hazmat.primitives import serialization

from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.oms.bundle import OmsBundle
from tests.support.oms_models import base64_text
from tests.support.oms_pki import DURING

KINDS = [("dsse", "0.0.1"), ("dsse", "0.0.2"), ("hashedrekord", "0.0.1"), ("hashedrekord", "0.0.2")]


def leaf_hash(body: bytes) -> bytes:
    """RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x00" + body).digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of leaf hashes, as the RFC defines it: recursively."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree_root(leaves[:half]) + tree_root(leaves[half:])).digest()


def tree_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The inclusion proof of one leaf, as the RFC defines it: recursively."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*tree_path(leaves[:half], index), tree_root(leaves[half:])]
    return [*tree_path(leaves[half:], index - half), tree_root(leaves[:half])]


def body(kind: str, version: str, bundle: bytes, verifier_pem: bytes, verifier_der: bytes) -> dict[str, Any]:
    """The canonicalised body of an entry about ``bundle``."""
    parsed = OmsBundle.parse(bundle)
    message, signature = pre_authentication_encoding(parsed.payload), base64_text(parsed.signature)
    material = "x509Certificate" if b"CERTIFICATE" in verifier_pem else "publicKey"
    verifier = {"keyDetails": "PKIX_ECDSA_P256_SHA_256", material: {"rawBytes": base64_text(verifier_der)}}
    specs: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {
        ("dsse", "0.0.1"): lambda: {
            "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(parsed.payload).hexdigest()},
            "signatures": [{"signature": signature, "verifier": base64_text(verifier_pem)}],
        },
        ("dsse", "0.0.2"): lambda: {
            "dsseV002": {
                "payloadHash": {
                    "algorithm": "SHA2_256",
                    "digest": base64_text(hashlib.sha256(parsed.payload).digest()),
                },
                "signatures": [{"content": signature, "verifier": verifier}],
            }
        },
        ("hashedrekord", "0.0.1"): lambda: {
            "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(message).hexdigest()}},
            "signature": {"content": signature, "publicKey": {"content": base64_text(verifier_pem)}},
        },
        ("hashedrekord", "0.0.2"): lambda: {
            "hashedRekordV002": {
                "data": {"algorithm": "SHA2_256", "digest": base64_text(hashlib.sha256(message).digest())},
                "signature": {"content": signature, "verifier": verifier},
            }
        },
    }
    return {"apiVersion": version, "kind": kind, "spec": specs[kind, version]()}


def entry(value: dict[str, Any], size: int = 7, index: int = 4) -> dict[str, Any]:
    """The entry with this body, as number ``index`` of a log with ``size`` entries."""
    data = json.dumps(value).encode()
    leaves = [leaf_hash(b"other %d" % number) for number in range(size)]
    leaves[index] = leaf_hash(data)
    root = base64_text(tree_root(leaves))
    return {
        "logIndex": str(index),
        "logId": {"keyId": base64_text(b"k" * 32)},
        "kindVersion": {"kind": value["kind"], "version": value["apiVersion"]},
        "integratedTime": str(int(DURING.timestamp())),
        "inclusionProof": {
            "logIndex": str(index),
            "rootHash": root,
            "treeSize": str(size),
            "hashes": [base64_text(item) for item in tree_path(leaves, index)],
            "checkpoint": {"envelope": f"log.example\n{size}\n{root}\n\n\u2014 log.example c2ln\n"},
        },
        "canonicalizedBody": base64_text(data),
    }


def key_entry(bundle: bytes, kind: str, version: str, public_pem: str) -> dict[str, Any]:
    """An entry about a bundle that was signed with a key."""
    key = serialization.load_pem_public_key(public_pem.encode())
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return entry(body(kind, version, bundle, public_pem.encode(), der))


def timestamp(message: bytes) -> bytes:
    """An RFC 3161 response over ``message``. Its authority's signature is missing."""
    from asn1crypto import cms, tsp

    info = tsp.TSTInfo(
        {
            "version": "v1",
            "policy": "1.2.3.4",
            "message_imprint": {
                "hash_algorithm": {"algorithm": "sha256"},
                "hashed_message": hashlib.sha256(message).digest(),
            },
            "serial_number": 1,
            "gen_time": DURING,
        }
    )
    signed = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {"content_type": "tst_info", "content": cms.ParsableOctetString(info.dump())},
            "signer_infos": [],
        }
    )
    response = tsp.TimeStampResp(
        {"status": {"status": "granted"}, "time_stamp_token": {"content_type": "signed_data", "content": signed}}
    )
    return bytes(response.dump())
