"""Evidence from several Dags, and reading pages as a browser does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.findings import Finding
from airflow_mlsecops.core.policy import Decision, ReleasePolicy, evaluate
from airflow_mlsecops.core.predicates import approval, control_run, provenance, signature, vsa
from airflow_mlsecops.core.report import Report, Verdict
from tests.support.evidence import World, policy

RED, BLUE, SHARED = "red_pipeline", "blue_pipeline", "shared"


def run(dag_id: str, task_id: str = "task", **more: Any) -> dict[str, Any]:
    """Which task a statement is from."""
    return {
        "dag_id": dag_id,
        "run_id": "manual__1",
        "task_id": task_id,
        "map_index": -1,
        "try_number": 1,
        **more,
    }


@dataclass
class PipelineWorld(World):
    """A world whose statements come from the Dag that a test says; of the red team by default."""

    root: Path = field(default_factory=Path)

    def checked(
        self,
        subject: Artifact,
        control: str = "data-validation",
        verdict: Verdict = Verdict.PASS,
        *,
        dag: str = RED,
        age: float = 1,
        summary: str = "",
        findings: Sequence[Finding] = (),
        signer: str = "pipeline",
        where: Mapping[str, Any] | None = None,
    ) -> Sha256:
        """A control's result."""
        report = Report(subject, control, verdict, summary or f"{control} said {verdict.value}", tuple(findings))
        statement = control_run.build(
            report,
            finished_at=self.ago(age),
            run=run(dag) if where is None else where,
            report_blob=sha256_bytes(b"report"),
            blobs={},
        )
        return self.put(statement, signer)

    def made(self, *, dag: str = RED, inputs: Sequence[Artifact] = ()) -> Sha256:
        """The model's provenance."""
        statement = provenance.build(
            self.model,
            inputs=inputs or [self.dataset],
            parameters={"seed": 7},
            run=run(dag, "train"),
            builder="https://airflow.example/",
            started_at=None,
            finished_at=self.ago(1),
        )
        return self.put(statement, "pipeline")

    def signed(self, *, dag: str = RED, signer: str = "pipeline") -> Sha256:
        """The model's signature."""
        statement = signature.build(self.model, signed_at=self.ago(1), evidence=[], run=run(dag, "sign"))
        return self.put(statement, signer)

    def decided(self, decision: str = "approved", reason: str = "looks right", *, age: float = 1) -> Sha256:
        """Somebody's decision about the model."""
        statement = approval.build(
            self.model,
            decision=approval.Decision(decision),
            approver={"id": "carol", "name": "carol"},
            identity_source="airflow-auth-manager",
            reason=reason,
            request=sha256_bytes(b"request"),
            evidence=[],
            requested_at=self.ago(age + 1),
            decided_at=self.ago(age),
            expires_at=None,
            run=run(RED, "approve"),
        )
        return self.put(statement, "approvals")

    def gate(self, rules: ReleasePolicy | None = None, *, dag: str = RED, age: float = 0.5) -> Decision:
        """What a release gate does; by default it asks for a signature only."""
        rules = rules or policy({"evidence": "signature", "of": "model"}, name="production")
        decision = evaluate(rules, self.dossier(), self.ago(age))
        statement = vsa.build(
            self.model,
            passed=bool(decision),
            verified_at=self.ago(age),
            policy_name=rules.name,
            policy_digest=rules.digest,
            trust_digest=self.trust.digest,
            evidence=decision.evidence,
            reasons=[str(reason) for reason in decision.reasons],
            run=run(dag, "release"),
        )
        self.put(statement, "gate")
        return decision

    def file_of(self, digest: str) -> Path:
        """Where a bundle lies; writable, as it is to somebody who has the disk."""
        found = next((self.root / "evidence").rglob(f"{digest}.sigstore.json"))
        found.chmod(0o644)
        return found


def page(dag_id: str, artifact: Artifact) -> str:
    """The address of an artifact's page."""
    return f"/mlsecops/dags/{dag_id}/artifacts/{artifact.digest}"


def api(dag_id: str, artifact: Artifact) -> str:
    """The address of its JSON version."""
    return f"/mlsecops/api/dags/{dag_id}/artifacts/{artifact.digest}"


def raw(dag_id: str, digest: str) -> str:
    """The address of one bundle."""
    return f"/mlsecops/dags/{dag_id}/evidence/{digest}"


class Html(HTMLParser):
    """What a browser makes of a page: elements with attributes, and the text that people read."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self._texts.append(data)

    @property
    def text(self) -> str:
        """All text, with single spaces."""
        return " ".join("".join(self._texts).split())

    @property
    def tags(self) -> set[str]:
        """Which elements there are."""
        return {tag for tag, _ in self.elements}

    @property
    def attributes(self) -> set[str]:
        """Which attributes there are."""
        return {name for _, attributes in self.elements for name in attributes}

    @property
    def links(self) -> list[str]:
        """Where links lead."""
        return [attributes["href"] or "" for _, attributes in self.elements if "href" in attributes]
