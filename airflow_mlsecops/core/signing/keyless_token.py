"""The workload's token: who this process is, in the words of its platform.

On Kubernetes it is a projected service-account token: a file that the kubelet renews, with an audience of its own. It
is read again for every certificate, and never logged, quoted or kept.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlsecops.core.errors import ConfigurationError, SigningError

if TYPE_CHECKING:
    from sigstore.oidc import IdentityToken

TokenSource = Callable[[], str]
"""Gives the current token whenever it is asked."""

DEFAULT_AUDIENCE = "sigstore"
MAX_TOKEN_BYTES = 64 * 1024


def projected_token(path: Path) -> TokenSource:
    """The token in a file that somebody else keeps fresh."""

    def read() -> str:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_TOKEN_BYTES + 1)
        except OSError as error:
            raise SigningError(
                f"the workload's token {path} can't be read: {error.strerror}",
                "project a token with the instance's audience into the worker, and name its file",
            ) from error
        if len(data) > MAX_TOKEN_BYTES:
            raise SigningError(f"the workload's token {path} has more than {MAX_TOKEN_BYTES} bytes", "it is no token")
        try:
            return data.decode("ascii").strip()
        except UnicodeDecodeError:
            # Not chained: the codec's error carries the file's content.
            raise SigningError(f"the workload's token {path} is not text", "it is no token") from None

    return read


def environment_token(name: str) -> TokenSource:
    """The token in an environment variable: for platforms that set one for every job. It isn't renewed."""

    def read() -> str:
        token = os.environ.get(name, "").strip()
        if not token:
            raise SigningError(
                f"the environment variable {name} has no token", "set it for the worker, or project a token file"
            )
        return token

    return read


def called_token(target: str) -> TokenSource:
    """The token that a function of this installation returns.

    DANGER: whoever writes the signer's URI chooses code that runs in the worker, with the worker's rights. Who may
    write connections can do so.

    Args:
        target: ``package.module:function``, without arguments.

    Raises:
        ConfigurationError: if it isn't written like that.
    """
    module, separator, function = target.partition(":")
    if not separator or not all(part.isidentifier() for part in (*module.split("."), function)):
        raise ConfigurationError(f"token_callable {target[:100]!r} names no function", "write package.module:function")

    def read() -> str:
        try:
            token = getattr(importlib.import_module(module), function)()
        except Exception as error:
            # Not chained: its text may quote the token.
            raise SigningError(
                f"the token's function {target} failed with {type(error).__name__}", "call it on a worker to see why"
            ) from None
        if not isinstance(token, str):
            raise SigningError(f"the token's function {target} returned {type(token).__name__}, expected text")
        return token.strip()

    return read


def identity_token(raw: str, audience: str, issuer: str) -> IdentityToken:
    """Check what can be checked before a token is sent anywhere: its form, audience, issuer and time.

    Its signature is checked by the certificate authority, which knows the issuer's keys.

    Raises:
        SigningError: naming what is wrong, never the token.
    """
    import jwt
    from sigstore.oidc import IdentityError, IdentityToken

    try:
        token = IdentityToken(raw, client_id=audience)
    except IdentityError as error:
        cause = error.__cause__
        if isinstance(cause, jwt.ExpiredSignatureError):
            why, advice = "has expired", "see that whoever projects it renews it"
        elif isinstance(cause, jwt.InvalidAudienceError):
            why, advice = f"is not for the audience {audience!r}", "ask the platform for a token with this audience"
        else:
            why, advice = "is malformed, not valid yet, or lacks aud, sub, iat, exp or iss", "it is no workload token"
        raise SigningError(f"the workload's token {why}", advice) from None
    if token.issuer != issuer:
        raise SigningError(
            f"the workload's token is by issuer {token.issuer}, expected {issuer}",
            "this is another platform's token, or the signer's issuer is misspelt",
        )
    return token
