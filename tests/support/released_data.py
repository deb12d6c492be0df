"""A data set that a released model was trained from."""

from __future__ import annotations

from pathlib import Path

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import provenance, vsa
from airflow_mlsecops.core.signing import signer_from_uri
from tests.support.deployment import Deployment


def release(data: Path, deployment: Deployment, name: str = "customers") -> None:
    """A model was trained from the data set, and a gate let it out."""
    model = deployment.root / "model.bin"
    model.write_bytes(data.read_bytes()[:100])
    signer, now = signer_from_uri(f"file:{deployment.key}"), utcnow()
    made, used = pin(str(model), kind=Kind.MODEL).artifact, pin(str(data), name=name).artifact
    about = provenance.build(
        made, inputs=[used], parameters={}, run={}, builder="https://airflow.example/", started_at=now, finished_at=now
    )
    said = vsa.build(
        made,
        passed=True,
        verified_at=now,
        policy_name="p",
        policy_digest="0" * 64,
        trust_digest="0" * 64,
        evidence=[],
        reasons=[],
        run={},
    )
    deployment.store.put_all([signer.sign(about), signer.sign(said)])
