"""A deployment with some history, for pages that are looked at: a model in two versions, its data, people, an alarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.html.bars import bars
from airflow_mlsecops.core.html.page import page, paragraph, section
from airflow_mlsecops.core.predicates import alarm, approval, approval_request, control_run, promotion, provenance
from airflow_mlsecops.core.predicates import signature as signatures
from airflow_mlsecops.core.report import REPORT, Report, Verdict
from tests.plugin.pages import RED, PipelineWorld, run
from tests.support.evidence import policy

RULES = policy(
    {"evidence": "test-result", "control": "label-poisoning", "of": "datasets", "verdicts": ["pass", "warn"]},
    {"evidence": "test-result", "control": "model-scan", "of": "model"},
    {"evidence": "signature", "of": "model"},
    name="production",
)
SUSPECTS = Finding(
    "label-poisoning/suspect-share", Severity.WARNING, "0.7 % of the labels are suspect, most of them 3 given as 8",
    "12 of 1797 rows", ("AML.T0020", "ML02:2023"),
)  # fmt: skip
IMPORT = Finding(
    "model-scan/import", Severity.CRITICAL, "The pickle calls os.system when it is loaded", "model.joblib, offset 412",
    ("AML.T0011.000", "ML06:2023"),
)  # fmt: skip
DRIFT = Finding("data-profile/psi", Severity.WARNING, "Column pixel_36 moved: PSI 0.31, allowed 0.2", "column pixel_36")


def named(name: str, kind: Kind, version: str) -> Artifact:
    """One version of something."""
    data = f"{name} {version}".encode()
    place = f"s3://ml-artifacts/{name}/{version}/{'model.joblib' if kind is Kind.MODEL else 'train.parquet'}"
    return Artifact(name, place, kind, Form.FILE, sha256_bytes(data), 1_430_220, 1)


@dataclass
class Story:
    """What came of it.

    Attributes:
        released: the model that stands in production.
        asked: the next version, for which people are asked.
        data: what both were made from.
        request: evidence digest of the request.
        poisoning: evidence digest of the label analysis, which has a report.
        rejected: a model that something speaks against.
    """

    released: Artifact
    asked: Artifact
    data: Artifact
    request: Sha256
    poisoning: Sha256
    rejected: Artifact


def told(world: PipelineWorld) -> Story:
    """Write it all into the store."""
    data = named("digits-training", Kind.DATASET, "2026-11")
    old, new, bad = (named(name, Kind.MODEL, version) for name, version in (
        ("digits-classifier", "1.4.0"), ("digits-classifier", "1.5.0"), ("digits-embedder", "0.2.0")
    ))  # fmt: skip
    for day in range(2, 45):
        verdict = Verdict.FAIL if day % 13 == 0 else Verdict.WARN if day % 5 == 0 else Verdict.PASS
        _control(world, data, "data-validation", verdict, hours=24 * day + 3, rows=1797)
        if day % 2:
            _control(world, data, "data-profile", Verdict.PASS, hours=24 * day + 2)
    _control(world, data, "data-validation", Verdict.PASS, hours=30, summary="24 of 24 expectations hold", rows=1797)
    _control(world, data, "data-profile", Verdict.WARN, [DRIFT], hours=30, summary="1 of 64 columns moved")
    poisoning = _control(
        world, data, "label-poisoning", Verdict.WARN, [SUSPECTS], hours=29, summary="Noisy: 12 of 1,797 labels suspect",
        report=_report(),
    )  # fmt: skip
    scan = [
        _control(
            world,
            model,
            "model-scan",
            Verdict.PASS,
            hours=hours,
            summary=f"{number} imports, all of them allowed",
            imports=number,
        )
        for model, hours, number in ((old, 200.0, 3), (new, 27.0, 4))
    ]
    _control(world, bad, "model-scan", Verdict.FAIL, [IMPORT], hours=5, summary="1 call that runs code on loading")
    for model, hours in ((old, 201.0), (new, 28.0), (bad, 6.0)):
        _made(world, model, data, hours)
    for model, hours in ((old, 199.0), (new, 26.0)):
        statement = signatures.build(model, signed_at=world.ago(hours), evidence=[], run=run(RED, "sign_model"))
        world.put(statement, "pipeline")
    world.model, world.dataset = old, data
    world.gate(RULES, age=20)
    world.model = bad
    world.gate(RULES, age=4)
    promoted(world, old, "1.4.0")
    request = asked_for(world, new, [poisoning, scan[1]])
    decided(world, new, request, "carol", "Better on every class, and the suspects were looked at by hand.")
    said = alarm.Alarm(
        alarm.Event.STATE_SET, "ReleaseGateOperator", "PATCH …/taskInstances/release_gate; the task is now success",
        "mallory", world.ago(3), {"orchestrator": "apache-airflow", **run(RED, "release_gate")},
    )  # fmt: skip
    world.put(alarm.build(said), "watcher")
    return Story(old, new, data, request, poisoning, bad)


def _control(
    world: PipelineWorld,
    subject: Artifact,
    control: str,
    verdict: Verdict,
    findings: Sequence[Finding] = (),
    *,
    hours: float,
    summary: str = "",
    report: bytes = b"",
    rows: int = 0,
    imports: int = 0,
) -> Sha256:
    metrics = {name: value for name, value in {"rows": rows, "imports": imports}.items() if value}
    told = Report(
        subject, control, verdict, summary or f"{control}: {verdict.value}", tuple(findings), metrics, {"seed": 7}
    )
    where = run(RED, control.replace("-", "_"), run_id=f"scheduled__{world.ago(hours):%Y-%m-%dT%H:00:00+00:00}")
    blobs = {REPORT: world.store.put_blob(report)} if report else {}
    statement = control_run.build(
        told, finished_at=world.ago(hours), run=where, report_blob=sha256_bytes(b"full report"), blobs=blobs
    )
    return world.put(statement, "pipeline")


def _report() -> bytes:
    plot = bars(
        [f"digit {digit}" for digit in range(10)], {"given": [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]}
    )
    return page("Label poisoning", [section("Suspects by label", [paragraph("Where they are."), plot])])


def _made(world: PipelineWorld, model: Artifact, data: Artifact, hours: float) -> None:
    statement = provenance.build(
        model,
        inputs=[data],
        parameters={"C": 1.0, "kernel": "rbf", "seed": 7},
        run=run(RED, "train"),
        builder="https://airflow.example/",
        started_at=world.ago(hours + 0.2),
        finished_at=world.ago(hours),
    )
    world.put(statement, "pipeline")


def promoted(world: PipelineWorld, model: Artifact, version: str, *, dag: str = RED, age: float = 19) -> None:
    """A version of it stands in production from then on."""
    said = promotion.Promotion(
        release=promotion.Release("digits-classifier", version, "production", reason="the quarterly release"),
        artifact=model,
        previous=None,
        replaces=None,
        policy_name="production",
        policy=RULES.digest,
        evidence=(sha256_bytes(b"evidence"),),
        changes={"rows": [], "total": 0, "unreadable": []},
        promoted_at=world.ago(age),
    )
    world.put(promotion.build(said, run(dag, "promote")), "releaser")


def asked_for(world: PipelineWorld, model: Artifact, evidence: Sequence[Sha256]) -> Sha256:
    """Two of three are asked about a model; the request's digest."""
    words = (("label-poisoning", "warn", "Noisy: 12 of 1,797 labels suspect"),
             ("model-scan", "pass", "4 imports, all of them allowed"))  # fmt: skip
    asked = approval_request.ApprovalRequest(
        shown=tuple(
            approval_request.Shown(digest, *said) for digest, said in zip(evidence, words[: len(evidence)], strict=True)
        ),
        missing=(),
        changes=("metric accuracy: 0.971 -> 0.978", "package scikit-learn: 1.7.1 -> 1.7.2"),
        approvers=("carol", "dave", "erin"),
        excluded=("alice",),
        quorum=2,
        level=approval.Assurance.RECORDED,
        triggered_by="alice",
        requested_at=world.ago(2),
        expires_at=world.now + timedelta(hours=22, minutes=5),
    )
    return world.put(approval_request.build(model, asked, run(RED, "approve_release")), "asker")


def decided(
    world: PipelineWorld, model: Artifact, request: Sha256, who: str, reason: str, decision: str = "approved"
) -> None:
    """Somebody's answer to the request."""
    statement = approval.build(
        model,
        decision=approval.Decision(decision),
        approver={"id": who, "name": who},
        identity_source="airflow-auth-manager",
        reason=reason,
        request=request,
        evidence=[],
        requested_at=world.ago(2),
        decided_at=world.ago(1),
        expires_at=None,
        run=run(RED, "approve_release"),
    )
    world.put(statement, "approvals")
