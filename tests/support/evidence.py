"""Factories for evidence: keys, trust policies, stores and signed statements.

A :class:`World` is one small deployment: four keys with the usual roles, a store, a model that was trained on a data
set, and short methods that sign and store one statement each. Nothing in it is faked: keys are real, bundles are
signed, and what a test asks goes through the same code as in production. Only time is the test's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.policy import Decision, Dossier, ReleasePolicy, evaluate, gather
from airflow_mlsecops.core.predicates import (
    APPROVAL,
    alarm,
    approval,
    approval_request,
    bom,
    control_run,
    promotion,
    provenance,
    revocation,
    signature,
    vsa,
    waiver,
)
from airflow_mlsecops.core.releases.changes import Change, Changes
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.signing.keys import generate_key
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.trust import TrustPolicy

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN = {"dag_id": "train", "run_id": "manual__1", "task_id": "t", "try_number": 1}
ROLES: dict[str, list[str]] = {
    "pipeline": ["control", "provenance", "sign"],
    "approvals": ["approve"],
    "gate": ["gate"],
    "revoker": ["revoke"],
    "waiver": ["waiver"],
    "describer": ["describe"],
}
"""The usual signers and what they may sign. ``stranger`` is in no trust policy."""


@cache
def key(name: str) -> FileKeySigner:
    """The signer of this name; the same key for the whole test process."""
    pem, _ = generate_key()
    return FileKeySigner(pem, origin=name)


def trust_bytes(
    signers: Mapping[str, Sequence[str]] | None = None,
    sections: Mapping[str, Any] | None = None,
    **extra: Mapping[str, Any],
) -> bytes:
    """A trust policy: signer -> roles (the usual ones by default); ``extra`` adds fields to a signer's entry."""
    entries = [
        {"name": name, "public_key": key(name).public_key.pem, "roles": list(roles), **extra.get(name, {})}
        for name, roles in (ROLES if signers is None else signers).items()
    ]
    return json.dumps({"version": 1, "signers": entries, **(sections or {})}).encode()


def trust(
    signers: Mapping[str, Sequence[str]] | None = None,
    sections: Mapping[str, Any] | None = None,
    **extra: Mapping[str, Any],
) -> TrustPolicy:
    """The same, read."""
    return TrustPolicy.from_bytes(trust_bytes(signers, sections, **extra))


def artifact(name: str = "model", kind: Kind = Kind.MODEL, content: bytes = b"") -> Artifact:
    """A reference to a file that needn't exist: its digest is that of ``content`` (by default of its name)."""
    data = content or name.encode()
    return Artifact(name, f"file:///artifacts/{name}", kind, Form.FILE, sha256_bytes(data), len(data), 1)


def policy(*require: Mapping[str, Any], **fields: Any) -> ReleasePolicy:
    """A release policy that asks for these requirements."""
    return ReleasePolicy.from_bytes(policy_bytes(*require, **fields))


def policy_bytes(*require: Mapping[str, Any], **fields: Any) -> bytes:
    """The same, as a file."""
    return json.dumps({"version": 1, "name": "test", "require": list(require), **fields}).encode()


class MemoryBackend(Backend):
    """Objects in a dict: for property tests, where a disk would only be slower. Tests may write to ``objects``."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def __str__(self) -> str:
        return "evidence store in memory"

    def _create(self, key: str, data: bytes) -> bool:
        if key in self.objects:
            return False
        self.objects[key] = data
        return True

    def _read(self, key: str, limit: int) -> bytes | None:
        data = self.objects.get(key)
        return None if data is None else data[: limit + 1]

    def _list(self, prefix: str) -> Iterator[str]:
        yield from (key for key in self.objects if key.startswith(prefix))


@dataclass
class World:
    """One small deployment; see the module's docstring. Times are given as an age in hours before :attr:`now`."""

    backend: Backend = field(default_factory=MemoryBackend)
    trust: TrustPolicy = field(default_factory=trust)
    now: datetime = NOW
    model: Artifact = field(default_factory=artifact)
    dataset: Artifact = field(default_factory=lambda: artifact("dataset", Kind.DATASET))

    @property
    def store(self) -> EvidenceStore:
        """The evidence store."""
        return EvidenceStore(self.backend)

    def ago(self, hours: float) -> datetime:
        """That many hours before now."""
        return self.now - timedelta(hours=hours)

    def put(self, statement: Statement, signer: str) -> Sha256:
        """Sign and keep any statement."""
        return self.store.put(key(signer).sign(statement))

    def control(
        self,
        subject: Artifact | None = None,
        *,
        control: str = "data-validation",
        verdict: Verdict = Verdict.PASS,
        age: float = 1,
        signer: str = "pipeline",
    ) -> Sha256:
        """A control's result; about the data set by default."""
        return self.put(control_statement(subject or self.dataset, control, verdict, self.ago(age)), signer)

    def provenance(
        self, *, inputs: Sequence[Artifact] | None = None, age: float = 1, signer: str = "pipeline"
    ) -> Sha256:
        """The model's provenance; trained on the data set by default."""
        sources = [self.dataset] if inputs is None else inputs
        return self.put(provenance_statement(self.model, sources, self.ago(age)), signer)

    def sign(self, subject: Artifact | None = None, *, age: float = 1, signer: str = "pipeline") -> Sha256:
        """The artifact's signature; the model's by default."""
        statement = signature.build(subject or self.model, signed_at=self.ago(age), evidence=[], run=RUN)
        return self.put(statement, signer)

    def approve(
        self,
        approver: str = "alice",
        *,
        decision: str = "approved",
        age: float = 1,
        expires_in: float | None = None,
        signer: str = "approvals",
        request: Sha256 | None = None,
    ) -> Sha256:
        """A person's decision about the model; ``expires_in`` counts in hours from now, and may be negative."""
        expires = None if expires_in is None else self.ago(-expires_in)
        return self.put(approval_statement(self.model, approver, decision, self.ago(age), expires, request), signer)

    def waive(
        self,
        subject: Artifact | None = None,
        *,
        requirement: str = "scan",
        age: float = 1,
        ends_in: float = 24,
        signer: str = "waiver",
        policy: str = "test",
    ) -> Sha256:
        """Somebody takes the risk of a requirement; of the model by default."""
        statement = waiver_statement(subject or self.model, requirement, self.ago(age), self.ago(-ends_in), policy)
        return self.put(statement, signer)

    def bill(self, subject: Artifact | None = None, *, licences: Sequence[str] = ("MIT",), age: float = 1) -> Sha256:
        """A bill of materials; of the data set by default."""
        return self.put(bill_statement(subject or self.dataset, licences, self.ago(age)), "describer")

    def revoke(
        self,
        digest: str,
        *,
        target: str = "artifact",
        cause: str = "untrusted",
        since: float = 0,
        signer: str = "revoker",
    ) -> Sha256:
        """Withdraw what has this digest."""
        return self.put(revocation_statement(digest, target, cause, self.ago(since)), signer)

    def dossier(self) -> Dossier:
        """All evidence about the model, judged now."""
        return gather(self.store, self.model.identity, self.trust, self.now)

    def decide(self, *require: Mapping[str, Any]) -> Decision:
        """Evaluate a policy of these requirements now."""
        return evaluate(policy(*require), self.dossier(), self.now)

    def release(
        self, rules: ReleasePolicy, *, age: float = 0, signer: str = "gate", passed: bool | None = None
    ) -> Sha256:
        """What a gate does: evaluate, and sign the summary; ``passed`` overrides what it says."""
        decision = evaluate(rules, self.dossier(), self.ago(age))
        statement = vsa.build(
            self.model,
            passed=bool(decision) if passed is None else passed,
            verified_at=self.ago(age),
            policy_name=rules.name,
            policy_digest=rules.digest,
            trust_digest=self.trust.digest,
            evidence=decision.evidence,
            reasons=[str(reason) for reason in decision.reasons],
            run=RUN,
        )
        return self.put(statement, signer)


def control_statement(
    subject: Artifact,
    control: str,
    verdict: Verdict,
    finished_at: datetime,
    outputs: Mapping[str, Artifact] | None = None,
) -> Statement:
    """What a control says."""
    finding = Finding(f"{control}/rule", Severity.WARNING, "something was seen", "column a", ("AML.T0020",))
    said = f"{control} said {verdict.value}"
    report = Report(subject, control, verdict, said, (finding,), {"rows": 3}, {"k": 5}, outputs=outputs or {})
    return control_run.build(
        report, finished_at=finished_at, run=RUN, report_blob=sha256_bytes(b"report"), blobs={"rows": "0" * 64}
    )


def provenance_statement(output: Artifact, inputs: Sequence[Artifact], finished_at: datetime) -> Statement:
    """How ``output`` was made."""
    return provenance.build(
        output,
        inputs=inputs,
        parameters={"seed": 1},
        run=RUN,
        builder="https://airflow.example/",
        started_at=finished_at - timedelta(minutes=5),
        finished_at=finished_at,
    )


def approval_statement(
    subject: Artifact,
    approver: str,
    decision: str,
    decided_at: datetime,
    expires_at: datetime | None = None,
    request: Sha256 | None = None,
) -> Statement:
    """What a person decided."""
    return approval.build(
        subject,
        decision=approval.Decision(decision),
        approver={"id": approver, "name": approver},
        identity_source="airflow-auth-manager",
        reason="looks right",
        request=request or sha256_bytes(b"request"),
        evidence=[sha256_bytes(b"evidence")],
        requested_at=decided_at - timedelta(minutes=1),
        decided_at=decided_at,
        expires_at=expires_at,
        run=RUN,
    )


def waiver_statement(
    subject: Artifact, requirement: str, waived_at: datetime, expires_at: datetime, policy: str = "test"
) -> Statement:
    """That somebody takes a risk."""
    return waiver.build(
        subject,
        policy=policy,
        requirement=requirement,
        reason="mended next week",
        by="carol",
        waived_at=waived_at,
        expires_at=expires_at,
        run=RUN,
    )


def bill_statement(subject: Artifact, licences: Sequence[str], made_at: datetime) -> Statement:
    """What something is made of, and under which licences it is."""
    named = [{"license": {"name": name}} for name in licences]
    metadata = {
        "timestamp": made_at.isoformat(),
        "component": {"type": "data", "name": subject.name, "licenses": named},
    }
    return bom.build(subject, {"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": metadata})


def signed_approval(statement: Statement, subject: Artifact) -> Statement:
    """The same approval, saying that the person signed it."""
    return Statement.build([subject], APPROVAL.uri, {**statement.predicate, "assurance": "signed"})


def approval_request_statement(
    subject: Artifact, approvers: Sequence[str], requested_at: datetime, **terms: Any
) -> Statement:
    """What people were asked: one approval of those named, by `RUN`, unless ``terms`` says otherwise."""
    run = terms.pop("run", RUN)
    shown = approval_request.Shown(sha256_bytes(b"evidence"), "control scan", "pass", "nothing found")
    asked = approval_request.ApprovalRequest(
        shown=(shown,),
        missing=("no bill of materials",),
        changes=("metric accuracy: 0.91, was 0.90",),
        approvers=tuple(approvers),
        excluded=("dave",),
        quorum=1,
        level=approval.Assurance.RECORDED,
        triggered_by="dave",
        requested_at=requested_at,
        expires_at=requested_at + timedelta(days=1),
        valid_for=timedelta(days=30),
    )
    return approval_request.build(subject, replace(asked, **terms), run)


def revocation_statement(
    digest: str, target: str = "artifact", cause: str = "untrusted", since: datetime = NOW
) -> Statement:
    """That something was withdrawn."""
    return revocation.build(
        revocation.Target(target),
        f"the {target}",
        digest,
        cause=revocation.Cause(cause),
        reason="it leaked",
        since=since,
        by="carol",
        revoked_at=since,
        run=RUN,
    )


def promotion_statement(subject: Artifact, **links: Any) -> Statement:
    """That a version stands at a stage; ``previous`` and ``replaces`` if they are given."""
    said = promotion.Promotion(
        release=promotion.Release("digits", "1.0", "production", reason="better"),
        artifact=subject,
        previous=links.get("previous"),
        replaces=links.get("replaces"),
        policy_name="production",
        policy=sha256_bytes(b"policy"),
        evidence=(sha256_bytes(b"evidence"),),
        changes=Changes(
            sha256_bytes(b"before"), (Change("metric", "accuracy", 0.9, 0.95),), ("packages: gone",)
        ).to_dict(),
        promoted_at=NOW,
    )
    return promotion.build(said, RUN)


def alarm_statement() -> Statement:
    """That a gate's state was set by hand."""
    run = {"orchestrator": "apache-airflow", "map_index": -1, **RUN}
    return alarm.build(alarm.Alarm(alarm.Event.STATE_SET, "ReleaseGateOperator", "set to success", "mallory", NOW, run))


def bundle(statement: Statement | None = None, signer: str = "pipeline") -> Bundle:
    """A signed bundle; of a signature statement by default."""
    return key(signer).sign(statement or signature.build(artifact(), signed_at=NOW, evidence=[], run=RUN))
