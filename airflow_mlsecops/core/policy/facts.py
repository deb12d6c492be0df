"""Example evidence for trying a policy: facts, as people write them, become the statements that they stand for.

Nothing here is signed, and nothing of it can reach a store or a gate: only :mod:`.cases` makes a dossier of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.config_file import brief, only_keys
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import PolicyError
from airflow_mlsecops.core.evidence import Evidence
from airflow_mlsecops.core.policy.requirement import names, read_age
from airflow_mlsecops.core.predicates import (
    APPROVAL,
    APPROVAL_REQUEST,
    BOM,
    PROVENANCE,
    SIGNATURE,
    TEST_RESULT,
    WAIVER,
    approval,
    approval_request,
    bom,
    control_run,
    predicate_by_uri,
    provenance,
    signature,
    waiver,
)
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.statement import Statement

Fact = Mapping[str, Any]
_COMMON = {"of", "evidence", "age", "signer", "roles", "person", "withdrawn"}
_NOTHING = sha256_bytes(b"")


class Facts:
    """Reads facts about some artifacts.

    Args:
        artifacts: the artifacts by name.
        now: the time from which ages are counted.
        policy: name of the policy that waivers are for.
        facts: all facts by name; an approval names the request that it answers.
    """

    def __init__(
        self, artifacts: Mapping[str, Artifact], now: datetime, policy: str, facts: Mapping[str, Fact]
    ) -> None:
        self._artifacts, self._now, self._policy, self._facts = artifacts, now, policy, facts

    def evidence(self, fact: Fact) -> tuple[str, Evidence, bool]:
        """The artifact's name, the statement, and whether it was withdrawn.

        Raises:
            PolicyError: if the fact can't be read.
        """
        kind = fact.get("evidence")
        if not isinstance(kind, str) or kind not in _KINDS:
            raise PolicyError(f"a fact of unknown evidence {brief(kind)}", f"known: {', '.join(_KINDS)}")
        own, build = _KINDS[kind]
        only_keys(dict(fact), _COMMON | own, f"a fact of {kind}", PolicyError)
        artifact = self._artifact(fact.get("of"))
        made = self._now - (read_age(fact, "age") or timedelta(hours=1))
        statement = build(self, fact, artifact, made)
        signer, person = _text(fact, "signer", "signer"), _text(fact, "person", "")
        roles = names(fact, "roles") or {predicate_by_uri(statement.predicate_type).role}
        item = Evidence(
            sha256_bytes(statement.payload + signer.encode()),
            statement,
            signer,
            kind,
            sha256_bytes(signer.encode()),
            roles=frozenset(roles),
            person=person,
        )
        return artifact.name, item, fact.get("withdrawn") is True

    def _artifact(self, name: object) -> Artifact:
        if not isinstance(name, str) or name not in self._artifacts:
            raise PolicyError(f"a fact of unknown artifact {brief(name)}", f"known: {', '.join(self._artifacts)}")
        return self._artifacts[name]

    def control(self, fact: Fact, artifact: Artifact, made: datetime) -> Statement:
        """What a control said."""
        word, metrics = _text(fact, "verdict", Verdict.PASS.value), fact.get("metrics", {})
        if word not in tuple(Verdict) or not isinstance(metrics, dict):
            raise PolicyError(f"verdict {brief(word)} with metrics {brief(metrics)}", "give pass, warn or fail")
        report = Report(artifact, _text(fact, "control", ""), Verdict(word), "as the example says", metrics=metrics)
        return control_run.build(report, finished_at=made, run={}, report_blob=_NOTHING, blobs={})

    def provenance(self, fact: Fact, artifact: Artifact, made: datetime) -> Statement:
        """From what it was made, and who triggered that."""
        inputs = [self._artifact(name) for name in sorted(names(fact, "from"))]
        run = {"triggered_by": _text(fact, "triggered_by", "")}
        return provenance.build(
            artifact, inputs=inputs, parameters={}, run=run, builder="", started_at=None, finished_at=made
        )

    def signature(self, fact: Fact, artifact: Artifact, made: datetime) -> Statement:
        """That it was signed."""
        return signature.build(artifact, signed_at=made, evidence=[], run={})

    def request(self, fact: Fact, artifact: Artifact, made: datetime) -> Statement:
        """That people were asked, and on which terms."""
        triggered_by = _text(fact, "triggered_by", "example")
        asked = approval_request.ApprovalRequest(
            shown=(),
            missing=(),
            changes=(),
            approvers=tuple(names(fact, "approvers")),
            excluded=(triggered_by, *names(fact, "excluded")),
            quorum=1,
            level=approval.Assurance.RECORDED,
            triggered_by=triggered_by,
            requested_at=made,
            expires_at=made + (read_age(fact, "for") or timedelta(days=7)),
        )
        return approval_request.build(artifact, asked, {})

    def approval(self, fact: Fact, artifact: Artifact, made: datetime) -> Statement:
        """What a person decided; ``person`` says whose own key signed it, as a trust policy would."""
        who = _text(fact, "approver", "")
        decision = _text(fact, "decision", approval.Decision.APPROVED.value)
        if decision not in tuple(approval.Decision) or not who:
            raise PolicyError(f"approval {brief(decision)} by {brief(who)}", "give approver, and approved or rejected")
        statement = approval.build(
            artifact,
            decision=approval.Decision(decision),
            approver={"id": who, "name": who},
            identity_source="example",
            reason="as the example says",
            request=self._answered(fact),
            evidence=[],
            requested_at=made,
            decided_at=made,
            expires_at=None,
            run={},
        )
        level = _text(fact, "level", approval.Assurance.RECORDED.value)
        return Statement.build([artifact], APPROVAL.uri, {**statement.predicate, "assurance": level})

    def _answered(self, fact: Fact) -> Sha256:
        """Digest of the request that an approval answers."""
        name = _text(fact, "request", "")
        if not name:
            return _NOTHING
        request = self._facts.get(name, {})
        if request.get("evidence") != APPROVAL_REQUEST.slug:
            raise PolicyError(f"an approval answers {brief(name)}", "give the name of a fact of approval-request")
        return self.evidence(request)[1].digest

    def bill(self, fact: Fact, artifact: Artifact, made: datetime) -> Statement:
        """Under which licences it is."""
        licences = [{"license": {"name": name}} for name in sorted(names(fact, "licences"))]
        component = {"type": "data", "name": artifact.name, "licenses": licences}
        metadata = {"timestamp": to_text(made), "component": component}
        return bom.build(artifact, {"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": metadata})

    def waiver(self, fact: Fact, artifact: Artifact, made: datetime) -> Statement:
        """That a requirement is excused, for so long after it was made."""
        return waiver.build(
            artifact,
            policy=_text(fact, "policy", self._policy),
            requirement=_text(fact, "requirement", ""),
            reason="as the example says",
            by="example",
            waived_at=made,
            expires_at=made + (read_age(fact, "for") or timedelta(days=1)),
            run={},
        )


def example_artifact(name: str, kind: str) -> Artifact:
    """A reference to a file that doesn't exist."""
    return Artifact(name, f"file:///example/{name}", Kind(kind), Form.FILE, sha256_bytes(name.encode()), 0, 1)


def _text(fact: Fact, key: str, default: str) -> str:
    value = fact.get(key, default)
    if not isinstance(value, str):
        raise PolicyError(f"{key} {brief(value)} of a fact", "give a text")
    return value


_KINDS: dict[str, tuple[set[str], Callable[[Facts, Fact, Artifact, datetime], Statement]]] = {
    TEST_RESULT.slug: ({"control", "verdict", "metrics"}, Facts.control),
    PROVENANCE.slug: ({"from", "triggered_by"}, Facts.provenance),
    SIGNATURE.slug: (set(), Facts.signature),
    APPROVAL.slug: ({"approver", "decision", "level", "request"}, Facts.approval),
    APPROVAL_REQUEST.slug: ({"approvers", "excluded", "triggered_by", "for"}, Facts.request),
    BOM.slug: ({"licences"}, Facts.bill),
    WAIVER.slug: ({"requirement", "for", "policy"}, Facts.waiver),
}
