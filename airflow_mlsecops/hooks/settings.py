"""What an ``mlsecops`` connection says, and what stands in for it when there is none."""

from __future__ import annotations

import json
import logging
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.signing import PublicKey, generate_key
from airflow_mlsecops.core.trust_document import trust_document

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

EMBEDDED_LOG = "embedded.mlsecops/evidence"
EMBEDDED_ROLES = (
    "control",
    "provenance",
    "sign",
    "approve",
    "ask",
    "gate",
    "revoke",
    "describe",
    "waiver",
    "promote",
    "alarm",
)


@dataclass(frozen=True)
class Settings:
    """Where evidence lies, who signs, whom to trust.

    Attributes:
        evidence_root: folder or ``s3://bucket/prefix``.
        signer: URI of the signer; empty where nothing is signed, as on an api-server that only shows evidence.
        trust_policy: path of the trust policy file.
        aws_conn_id: connection for S3 and AWS's key service; empty for boto3's own chain.
        log_origin: name of the evidence log to which everything that is written is added; empty for no log.
        log_signer: URI of the signer of the log's checkpoints; empty for the signer.
        retention: what the bucket's Object Lock is asked for, such as ``COMPLIANCE:365``; empty for nothing.
        sigstore_config: client trust configuration, as JSON text; ``connection`` stands for it in a signer's URI.
        passphrase: of the signers' keys, or the PIN of a token; never shown.
    """

    evidence_root: str
    signer: str
    trust_policy: str
    aws_conn_id: str = ""
    log_origin: str = ""
    log_signer: str = ""
    retention: str = ""
    sigstore_config: str = field(default="", repr=False)
    passphrase: str | None = field(default=None, repr=False)

    @classmethod
    def from_connection(cls, connection: Any) -> Settings:
        """Read the named keys of the connection's extra; nothing else of it is looked at.

        Raises:
            ConfigurationError: if one of the two needed ones is missing.
        """
        extra: Mapping[str, Any] = connection.extra_dejson
        missing = [key for key in ("evidence_root", "trust_policy") if not extra.get(key)]
        if missing:
            raise ConfigurationError(
                f"connection {connection.conn_id}: {', '.join(missing)} missing from its extra",
                "an mlsecops connection needs evidence_root and trust_policy, and a signer where something is signed",
            )
        return cls(
            evidence_root=str(extra["evidence_root"]),
            signer=str(extra.get("signer") or ""),
            trust_policy=str(extra["trust_policy"]),
            aws_conn_id=str(extra.get("aws_conn_id") or ""),
            log_origin=str(extra.get("log_origin") or ""),
            log_signer=str(extra.get("log_signer") or ""),
            retention=str(extra.get("retention") or ""),
            sigstore_config=_json_text(extra.get("sigstore_config")),
            passphrase=connection.password or None,
        )


def _json_text(value: Any) -> str:
    """JSON that was written into the extra as it is, or as a text."""
    return value if isinstance(value, str) else json.dumps(value) if value else ""


def embedded_settings(*, make: bool = True) -> Settings:
    """The default for trying out: everything under ``$AIRFLOW_HOME/mlsecops/``, with a key made on first use.

    The key lies where every task can read it, and holds every role: whoever can run a task here can sign anything.

    Args:
        make: whether to make what isn't there yet; whoever only reads says False, and then nothing may be there.
    """
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "mlsecops"
    key, trust = home / "signing-key.pem", home / "trust.yaml"
    settings = Settings(str(home / "evidence"), f"file:{key}", str(trust), log_origin=EMBEDDED_LOG)
    if not make:
        return settings
    log.warning(
        "No mlsecops connection: using the embedded store and key under %s. This is for TRYING OUT ONLY: any task "
        "here can sign anything. Create a connection of type mlsecops for real use.",
        home,
    )
    (home / "evidence").mkdir(parents=True, exist_ok=True)
    if not trust.exists():
        _make_key(home, key, trust)
    return settings


def _make_key(home: Path, key: Path, trust: Path) -> None:
    """Make key and trust policy; of several tasks that start at once, the first one's key wins for all."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from airflow_mlsecops.core.log import LogTrust

    pem, _ = generate_key()
    _create_once(key, pem, 0o600)
    winner: Any = load_pem_private_key(key.read_bytes(), None)
    public = PublicKey.of(winner.public_key())
    log_trust = LogTrust(EMBEDDED_LOG, (public,))
    _create_once(trust, trust_document("embedded", public, EMBEDDED_ROLES, log=log_trust).encode(), 0o644)


def _create_once(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
