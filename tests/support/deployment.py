"""A deployment in a folder: evidence store, keys, trust policy, and the Airflow connection that names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.evidence import EvidenceSet, collect
from airflow_mlsecops.core.signing import PublicKey, generate_key
from airflow_mlsecops.core.store import EvidenceStore, open_store
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trust_document import trust_document

ROLES = ("control", "provenance", "sign", "approve", "ask", "gate")


@dataclass
class Deployment:
    """What an ``mlsecops`` connection points at."""

    root: Path
    passphrase: str = ""
    roles: tuple[str, ...] = ROLES
    public: PublicKey = field(init=False)

    def __post_init__(self) -> None:
        pem, self.public = generate_key(self.passphrase.encode() or None)
        self.evidence.mkdir(parents=True)
        self.key.write_bytes(pem)
        self.trust_file.write_text(trust_document("pipeline", self.public, self.roles))

    @property
    def evidence(self) -> Path:
        return self.root / "evidence"

    @property
    def key(self) -> Path:
        return self.root / "key.pem"

    @property
    def trust_file(self) -> Path:
        return self.root / "trust.yaml"

    @property
    def connections(self) -> dict[str, dict[str, Any]]:
        """For ``run_op(connections=…)``."""
        extra = {
            "evidence_root": str(self.evidence),
            "signer": f"file:{self.key}",
            "trust_policy": str(self.trust_file),
        }
        return {"mlsecops_default": {"conn_type": "mlsecops", "password": self.passphrase, "extra": extra}}

    @property
    def store(self) -> EvidenceStore:
        return open_store(str(self.evidence))

    @property
    def trust(self) -> TrustPolicy:
        return TrustPolicy.from_bytes(self.trust_file.read_bytes())

    def about(self, digest: str) -> EvidenceSet:
        """The judged evidence about an artifact."""
        return collect(self.store, digest, self.trust, utcnow())

    def bundles(self) -> list[Path]:
        """Every bundle file in the store."""
        return sorted((self.evidence / "bundles").rglob("*.sigstore.json"))
