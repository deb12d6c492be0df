"""An OpenID Connect issuer for workloads: discovery, keys, and a mint that plays the platform's part.

On Kubernetes the kubelet gets a token for a pod and projects it into a file; here whoever holds the mint's secret does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.support.loopback_sigstore.keystore import spki, write_private
from tests.support.loopback_sigstore.web import Clock, RefusedError, Request, Response, Route

DEFAULT_AUDIENCE = "sigstore"


class Issuer:
    """Mints ES256 tokens.

    Attributes:
        url: the issuer as it stands in ``iss``.
        secret: what a caller of the mint endpoint shows.
    """

    def __init__(self, url: str, key: ec.EllipticCurvePrivateKey, clock: Clock) -> None:
        self.url = url
        self.secret = secrets.token_urlsafe(32)
        self._key = key
        self._clock = clock

    @property
    def key_id(self) -> str:
        """The ``kid`` of the signing key."""
        return hashlib.sha256(spki(self._key)).hexdigest()[:16]

    def mint(
        self,
        subject: str,
        *,
        audience: str = DEFAULT_AUDIENCE,
        lifetime: timedelta = timedelta(minutes=10),
        claims: dict[str, Any] | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> str:
        """A token for ``subject``.

        Args:
            subject: the ``sub`` claim, e.g. ``system:serviceaccount:airflow:worker``.
            audience: for whom it is meant.
            lifetime: how long it is valid; a negative one makes a token that has already expired.
            claims: further claims; they replace those made here.
            key: sign with this key instead of the issuer's, which makes a forgery.
        """
        now = self._clock.now()
        body = {"iss": self.url, "sub": subject, "aud": audience, "iat": now, "nbf": now, "exp": now + lifetime}
        if lifetime < timedelta():
            body |= {"iat": now + 2 * lifetime, "nbf": now + 2 * lifetime}
        return jwt.encode({**body, **(claims or {})}, key or self._key, "ES256", {"kid": self.key_id})

    def project(self, subject: str, path: Path, **options: Any) -> None:
        """Write a token into a file, as the kubelet does for a pod: whole or not at all, and only for its owner."""
        write_private(path, self.mint(subject, **options).encode())

    def routes(self) -> dict[str, Route]:
        """The endpoints."""
        return {
            "GET /.well-known/openid-configuration": self._discovery,
            "GET /keys": self._keys,
            "POST /mint": self._mint,
        }

    def _discovery(self, _: Request) -> Response:
        return Response.of(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "authorization_endpoint": f"{self.url}/auth",
                "token_endpoint": f"{self.url}/mint",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        )

    def _keys(self, _: Request) -> Response:
        key = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        return Response.of({"keys": [{**key, "kid": self.key_id, "use": "sig", "alg": "ES256"}]})

    def _mint(self, request: Request) -> Response:
        if not hmac.compare_digest(request.bearer(), self.secret):
            raise RefusedError(403, "not the mint's secret")
        wish = request.json()
        if not isinstance(wish, dict) or not isinstance(wish.get("sub"), str):
            raise RefusedError(400, "expected {sub, aud?}")
        return Response.of({"id_token": self.mint(wish["sub"], audience=str(wish.get("aud", DEFAULT_AUDIENCE)))})


def unverified_claims(token: str) -> dict[str, Any]:
    """The claims of a token, believed by nobody."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
