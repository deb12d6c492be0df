"""Keyless bundles and trust roots for tests: what is signed, and how to spoil it."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.signing.keyless import KeylessSigner
from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot
from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity, VerifiedKeyless
from airflow_mlsecops.core.statement import Statement
from tests.support.loopback_sigstore import LoopbackSigstore

SUBJECT = "system:serviceaccount:airflow:worker"
IDENTITY = "https://kubernetes.io/namespaces/airflow/serviceaccounts/worker"

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A signature with everything that its verification needs."""

    signed: VerifiedKeyless
    root: Json
    worker: KeylessIdentity

    @property
    def bundle(self) -> Json:
        """A copy of the bundle, to be spoilt."""
        value: Json = json.loads(self.signed.raw)
        return value

    def root_copy(self) -> Json:
        """A copy of the trust root, to be spoilt."""
        return copy.deepcopy(self.root)


def statement(name: str = "model") -> Statement:
    """A statement whose bytes are not what any JSON library writes by default: they must survive as they are."""
    text = (
        '{ "_type":"https://in-toto.io/Statement/v1",'
        f' "subject":[{{"name":"{name}", "digest":{{"sha256":"{"ab" * 32}"}}, "uri":"s3://bucket/{name}"}}],\n'
        ' "predicateType":"https://example.test/claim/v1", "predicate":{"count":9007199254740991,"ratio":1.50}}'
    )
    return Statement.parse(text.encode())


def worker(sigstore: LoopbackSigstore) -> KeylessIdentity:
    """The identity that a certificate for :data:`SUBJECT` names."""
    return KeylessIdentity(IDENTITY, sigstore.issuer.url)


def signer(sigstore: LoopbackSigstore, log_version: int, with_tsa: bool = True, **options: Any) -> KeylessSigner:
    """A signer with a fresh token for every certificate."""
    options = {"token": lambda: sigstore.issuer.mint(SUBJECT), "identity": worker(sigstore), **options}
    return KeylessSigner(to_bytes(sigstore.client_trust_config(log_version, with_tsa)), **options)


def sign_unchecked(sigstore: LoopbackSigstore, log_version: int, with_tsa: bool = True) -> bytes:
    """A bundle from sigstore-python itself, which doesn't verify what it made."""
    from sigstore.dsse import Statement as SigstoreStatement
    from sigstore.models import ClientTrustConfig
    from sigstore.oidc import IdentityToken
    from sigstore.sign import SigningContext

    config = ClientTrustConfig.from_json(json.dumps(sigstore.client_trust_config(log_version, with_tsa)))
    token = IdentityToken(sigstore.issuer.mint(SUBJECT))
    with SigningContext.from_trust_config(config).signer(token) as client:
        return client.sign_dsse(SigstoreStatement(statement().payload)).to_json().encode()


def sigstore_verifies(raw: bytes, root: Json, who: KeylessIdentity) -> bytes:
    """sigstore-python's own verdict: the payload, or its error."""
    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity

    config = {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": root,
        "signingConfig": {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"},
    }
    trusted = ClientTrustConfig.from_json(json.dumps(config)).trusted_root
    policy = Identity(identity=who.identity, issuer=who.issuer)
    return Verifier(trusted_root=trusted).verify_dsse(Bundle.from_json(raw), policy)[1]


def to_bytes(value: Json) -> bytes:
    """JSON as bytes."""
    return json.dumps(value).encode()


def to_root(value: Json) -> SigstoreRoot:
    """A trust root from its JSON."""
    return SigstoreRoot.from_bytes(to_bytes(value))


def entry_of(bundle: Json) -> Json:
    """The one log entry of a bundle."""
    entry: Json = bundle["verificationMaterial"]["tlogEntries"][0]
    return entry


def edited(text: str, change: Callable[[bytes], bytes]) -> str:
    """Base64 text whose content was changed."""
    return base64.b64encode(change(base64.b64decode(text))).decode()


def flipped(data: bytes, at: int = -1) -> bytes:
    """``data`` with one bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)
