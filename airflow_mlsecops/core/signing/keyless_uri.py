"""``sigstore:`` URIs: which instance, which token, and who this workload has to turn out to be."""

from __future__ import annotations

from pathlib import Path

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.signing.access import SignerAccess
from airflow_mlsecops.core.signing.keyless import KeylessSigner
from airflow_mlsecops.core.signing.keyless_token import (
    DEFAULT_AUDIENCE,
    TokenSource,
    called_token,
    environment_token,
    projected_token,
)
from airflow_mlsecops.core.signing.keyless_tuf import tuf_config
from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity
from airflow_mlsecops.core.signing.uri import SignerUri, read_config

_TOKENS = {"token", "token_env", "token_callable"}


def keyless_signer_from_uri(uri: str, access: SignerAccess | None = None) -> KeylessSigner:
    """The signer that a ``sigstore:`` URI names.

    Args:
        uri: ``sigstore:CONFIG?identity=…&issuer=…`` and one of ``token=FILE``, ``token_env=NAME`` and
            ``token_callable=module:function``, optionally with ``audience=``, ``log=1`` or ``2``, and
            ``instance=public``. CONFIG is the path of a client trust configuration; or ``connection``, for the one
            that ``access`` has; or ``tuf``, with ``url=`` of a TUF repository and ``root=`` of its first root's file.
        access: for ``connection``.

    Raises:
        ConfigurationError: if the URI or the configuration is wrong.
        TrustError: if the configuration's trust root is unusable.
        SigningUnavailableError: if the TUF repository doesn't answer.
    """
    parsed = SignerUri.parse(uri)
    from_tuf, given = parsed.path == "tuf", parsed.parameters
    if parsed.scheme != "sigstore" or not (from_tuf or parsed.path == "connection" or parsed.path.startswith("/")):
        raise ConfigurationError(
            f"not a signer's URI: {uri[:200]}",
            "write sigstore:/path/config.json?identity=…, or sigstore:connection or sigstore:tuf in its place",
        )
    parsed.only(
        {"identity", "issuer"} | ({"url", "root"} if from_tuf else set()), {*_TOKENS, "audience", "log", "instance"}
    )
    token, log_version = _token(parsed), parsed.log_version()
    public = "instance" in given
    if from_tuf:
        config = tuf_config(given["url"], Path(given["root"]), public)
    elif parsed.path == "connection":
        config = (access or SignerAccess()).named_config()
    else:
        config = read_config(parsed.path)
    return KeylessSigner(
        config,
        token,
        KeylessIdentity(given["identity"], given["issuer"]),
        audience=given.get("audience", DEFAULT_AUDIENCE),
        log_version=log_version,
        public_instance=public,
    )


def _token(uri: SignerUri) -> TokenSource:
    given = {name: uri.parameters[name] for name in _TOKENS if name in uri.parameters}
    if len(given) != 1:
        raise ConfigurationError(
            f"the sigstore: URI has {sorted(given) or 'no token'}", f"give one of {', '.join(sorted(_TOKENS))}"
        )
    if "token" in given:
        return projected_token(Path(given["token"]))
    if "token_env" in given:
        return environment_token(given["token_env"])
    return called_token(given["token_callable"])
