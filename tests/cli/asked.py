"""A world in which people are asked: a checked and signed model, a gate that asks, people with keys of their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.policy import gather
from airflow_mlsecops.core.predicates import approval_request, provenance, signature
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.core.predicates.approval_request import ApprovalRequest, Shown
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.signing import generate_key
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.telling import describe
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trust_document import trust_entry
from tests.cli.released import ROLES, RUN, Released

PEOPLE = ("alice", "bob", "carol")


class Asked(Released):
    """People's keys lie in files, as on their own machines."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("asker", "revoker", *PEOPLE):
            pem, _ = generate_key()
            self.key(name).write_bytes(pem)
            self.signers[name] = FileKeySigner(pem)
        self.write_people()
        start = utcnow() - timedelta(minutes=10)
        self.control(self.model_artifact, "model-scan", Verdict.PASS, start)
        made = provenance.build(
            self.model_artifact,
            inputs=[],
            parameters={},
            run={**RUN, "triggered_by": "dave"},
            builder="https://example.org/airflow",
            started_at=start,
            finished_at=start,
        )
        self.put("provenance", made, "pipeline")
        signed = signature.build(self.model_artifact, signed_at=start, evidence=[], run=RUN)
        self.put("signature", signed, "pipeline")

    def key(self, name: str) -> Path:
        return self.root / f"{name}.pem"

    def write_people(self, **persons: str) -> None:
        """The trust policy; ``persons`` says otherwise whose key it is, or nobody's."""
        self.write_trust({**ROLES, "asker": ("ask",), "revoker": ("revoke",)})
        whose = {name: name for name in PEOPLE} | persons
        entries = [trust_entry(name, self.signers[name].public_key, ["approve"], whose[name]) for name in PEOPLE]
        self.trust.write_text(self.trust.read_text() + "".join(entries))

    def ask(self, at: datetime | None = None, **terms: Any) -> Sha256:
        """Put a request, as a gate does."""
        at = at or utcnow() - timedelta(minutes=5)
        trust = TrustPolicy.from_bytes(self.trust.read_bytes())
        told = [
            (x, describe(x.statement)) for x in gather(self.store, self.model_artifact.identity, trust, at).verified
        ]
        rows = {
            "shown": tuple(
                Shown(item.digest, said.what, said.verdict, said.summary)
                for item, said in told
                if item.slug not in ("approval", "approval-request")
            ),
            "missing": ("a bill of materials",),
            "changes": ("accuracy: 0.91, was 0.90",),
            "approvers": PEOPLE,
            "excluded": ("dave",),
            "quorum": 2,
            "level": Assurance.SIGNED,
            "triggered_by": "dave",
            "requested_at": at,
            "expires_at": at + timedelta(days=1),
        }
        request = approval_request.build(self.model_artifact, ApprovalRequest(**{**rows, **terms}), RUN)
        return self.put("request", request, "asker")
