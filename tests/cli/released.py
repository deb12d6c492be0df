"""A small world for the command line: a model that went through a whole pipeline, made with the core alone.

Three keys share the work: ``pipeline`` controls, makes and signs, ``people`` records approvals, ``gate`` releases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.policy import ReleasePolicy, evaluate, gather
from airflow_mlsecops.core.predicates import approval, control_run, provenance, signature, vsa
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.signing import generate_key
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore, open_store
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trust_document import trust_entry

POLICY = """\
version: 1
name: production
require:
  - {evidence: test-result, control: data-validation, of: datasets, verdicts: [pass, warn]}
  - {evidence: test-result, control: label-poisoning, of: datasets}
  - {evidence: provenance, of: model}
  - {evidence: signature, of: model, signed_by: [pipeline]}
  - {evidence: approval, of: model}
"""
ROLES = {"pipeline": ("control", "provenance", "sign"), "people": ("approve",), "gate": ("gate",)}
RUN = {"dag_id": "train", "run_id": "manual__1", "task_id": "task"}


@dataclass
class Released:
    """Files, store and keys; ``digests`` names every bundle that was put, by what it says."""

    root: Path
    signers: dict[str, FileKeySigner] = field(default_factory=dict)
    digests: dict[str, Sha256] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir()
        self.evidence.mkdir()
        self.model.write_bytes(b"weights" * 1000)
        self.data.mkdir()
        (self.data / "a.csv").write_text("x,y\n1,0\n")
        (self.data / "b.csv").write_text("x,y\n2,1\n")
        self.signers = {name: FileKeySigner(generate_key()[0]) for name in ROLES}
        self.write_trust(ROLES)
        self.policy.write_text(POLICY)

    @property
    def evidence(self) -> Path:
        return self.root / "evidence"

    @property
    def model(self) -> Path:
        return self.root / "model.bin"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def trust(self) -> Path:
        return self.root / "trust.yaml"

    @property
    def policy(self) -> Path:
        return self.root / "policy.yaml"

    @property
    def store(self) -> EvidenceStore:
        return open_store(str(self.evidence))

    @property
    def model_artifact(self) -> Artifact:
        return pin(str(self.model), kind=Kind.MODEL).artifact

    @property
    def options(self) -> list[str]:
        return ["--store", str(self.evidence), "--trust", str(self.trust)]

    def write_trust(self, roles: dict[str, tuple[str, ...]]) -> None:
        entries = [trust_entry(name, self.signers[name].public_key, given) for name, given in roles.items()]
        self.trust.write_text("version: 1\nsigners:\n" + "".join(entries))

    def put(self, what: str, statement: Statement, by: str) -> Sha256:
        self.digests[what] = self.store.put(self.signers[by].sign(statement))
        return self.digests[what]

    def run_pipeline(self, verdict: Verdict = Verdict.PASS, policy: ReleasePolicy | None = None) -> None:
        """Check the data, train, sign, approve, release: whatever the gate then says is its own affair."""
        start = utcnow() - timedelta(minutes=10)
        pinned = pin(str(self.data))
        self.store.put_blob(pinned.manifest.to_bytes())
        for control in ("data-validation", "label-poisoning"):
            self.control(pinned.artifact, control, verdict, start)
        model = self.model_artifact
        made = provenance.build(
            model,
            inputs=[pinned.artifact],
            parameters={"depth": 3},
            run=RUN,
            builder="https://example.org/airflow",
            started_at=start,
            finished_at=start + timedelta(minutes=1),
        )
        self.put("provenance", made, "pipeline")
        signed = signature.build(model, signed_at=start + timedelta(minutes=2), evidence=[], run=RUN)
        self.put("signature", signed, "pipeline")
        self.approve(start + timedelta(minutes=3))
        self.release(start + timedelta(minutes=4), policy)

    def control(self, subject: Artifact, control: str, verdict: Verdict, at: datetime, text: str = "looked") -> Sha256:
        findings = (Finding(f"{control}/rule", Severity.INFO, "a finding"),)
        report = Report(subject, control, verdict, text, findings, metrics={"rows": 2})
        blob = self.store.put_blob(control.encode())
        built = control_run.build(report, finished_at=at, run=RUN, report_blob=blob, blobs={})
        return self.put(control, built, "pipeline")

    def approve(
        self, at: datetime, decision: approval.Decision = approval.Decision.APPROVED, reason: str = "fine"
    ) -> Sha256:
        statement = approval.build(
            self.model_artifact,
            decision=decision,
            approver={"id": "7", "name": "alice"},
            identity_source="airflow-auth-manager",
            reason=reason,
            request="0" * 64,
            evidence=[],
            requested_at=at,
            decided_at=at,
            expires_at=None,
            run=RUN,
        )
        return self.put("approval", statement, "people")

    def release(self, at: datetime, policy: ReleasePolicy | None = None) -> bool:
        """Let a gate decide as the release gate does, and put its summary."""
        model, policy = self.model_artifact, policy or ReleasePolicy.from_bytes(self.policy.read_bytes())
        trust = TrustPolicy.from_bytes(self.trust.read_bytes())
        decision = evaluate(policy, gather(self.store, model.identity, trust, at), at)
        statement = vsa.build(
            model,
            passed=bool(decision),
            verified_at=at,
            policy_name=policy.name,
            policy_digest=policy.digest,
            trust_digest=trust.digest,
            evidence=decision.evidence,
            reasons=[str(reason) for reason in decision.reasons],
            run=RUN,
        )
        self.put("summary", statement, "gate")
        return bool(decision)

    def path_of(self, what: str) -> Path:
        """Where the bundle lies on the disk."""
        return next(self.evidence.glob(f"bundles/*/*/{self.digests[what]}.sigstore.json"))


def flip_a_byte(path: Path, offset: int = -10) -> None:
    """Change one byte of a file, also of one that is read-only."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x01
    path.chmod(0o644)
    path.write_bytes(bytes(data))
