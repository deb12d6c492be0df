"""A deployment to be attacked: one key for each role, people with keys of their own, an evidence log, three policies.

What a pipeline would have done (make a model, record where it came from, sign it) is done here with its key, so that an
attack needs no more of Airflow than the two gates that are attacked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.evidence import EvidenceSet, collect
from airflow_mlsecops.core.log import EvidenceLog, LogTrust
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates import provenance, signature
from airflow_mlsecops.core.signing import generate_key
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore, open_store
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trust_document import trust_entry

PEOPLE = ("alice", "bob", "carol")
TRAINER = "dave"
ROLES: Mapping[str, tuple[str, ...]] = {
    "pipeline": ("provenance", "sign"),
    "gates": ("ask", "approve", "gate"),
    "alarms": ("alarm",),
    **dict.fromkeys(PEOPLE, ("approve",)),
}
NOTIFIERS = Path(__file__).resolve().parents[1] / "e2e" / "notifiers"
LOG = "attacked.example/evidence"
POLICY = """\
version: 1
name: {level}
require:
  - {{evidence: provenance, of: model}}
  - {{evidence: signature, of: model}}
  - {{evidence: approval, of: model, count: {count}, level: {level}, approvers: [alice, bob, carol], not_trainer: true,
     requested: true}}
"""
QUORUM = """\
version: 1
name: quorum
require:
  - {evidence: signature, of: model}
  - {evidence: approval, of: model, count: 2, approvers: [alice, bob, carol], not_trainer: true, requested: true}
"""


class Attacked:
    """Files in a folder; the connections name them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.pager.touch()
        self.signers: dict[str, FileKeySigner] = {}
        for name in (*ROLES, "log", "stranger"):
            pem, _ = generate_key()
            self.key(name).write_bytes(pem)
            self.signers[name] = FileKeySigner(pem, origin=name)
        entries = [
            trust_entry(name, self.signers[name].public_key, roles, name if name in PEOPLE else "")
            for name, roles in ROLES.items()
        ]
        log_key = self.signers["log"].public_key.pem.strip().replace("\n", "\n      ")
        log = f"log:\n  origin: {LOG}\n  keys:\n    - |\n      {log_key}\n"
        for level, count in (("recorded", 1), ("signed", 2)):
            self.policy(level).write_text(POLICY.format(level=level, count=count))
        self.policy("quorum").write_text(QUORUM)
        digests = [ReleasePolicy.from_file(self.policy(name)).digest for name in ("recorded", "signed", "quorum")]
        policies = f"release_policies: {json.dumps(digests)}\n"
        self.trust_file.write_text("version: 1\nsigners:\n" + "".join(entries) + log + policies)

    def key(self, name: str) -> Path:
        """The private key of this name."""
        return self.root / f"{name}.pem"

    def policy(self, name: str) -> Path:
        """A release policy: ``recorded`` and ``signed`` ask for that level, ``signed`` and ``quorum`` two people."""
        return self.root / f"{name}.yaml"

    @property
    def trust_file(self) -> Path:
        return self.root / "trust.yaml"

    @property
    def pager(self) -> Path:
        """What the notifier was told: a line of JSON for each alarm."""
        return self.root / "pager.jsonl"

    @property
    def options(self) -> list[str]:
        """Of the command line, as a person or a server that verifies gives them."""
        return ["--store", str(self.root / "evidence"), "--trust", str(self.trust_file)]

    @property
    def environment(self) -> dict[str, str]:
        """What every component of Airflow gets: the connections, and that alarms are signed and told to a notifier."""
        connections = {
            f"AIRFLOW_CONN_ATTACKED_{name.upper()}": json.dumps({"conn_type": "mlsecops", "extra": self._extra(name)})
            for name in ("gates", "alarms")
        }
        pager = {"notifier": "attacked_pager.Pager", "arguments": {"path": str(self.pager)}}
        return {
            **connections,
            "AIRFLOW__MLSECOPS__ALARM_CONN_ID": "attacked_alarms",
            "AIRFLOW__MLSECOPS__ALARM_NOTIFIERS": json.dumps([pager]),
            "PYTHONPATH": str(NOTIFIERS),
        }

    def _extra(self, name: str) -> dict[str, Any]:
        return {
            "evidence_root": str(self.root / "evidence"),
            "signer": f"file:{self.key(name)}",
            "trust_policy": str(self.trust_file),
            "log_signer": f"file:{self.key('log')}",
        }

    @cached_property
    def store(self) -> EvidenceStore:
        """The evidence store, with its log."""
        trust = LogTrust(LOG, (self.signers["log"].public_key,))

        def log(backend: Backend) -> EvidenceLog:
            return EvidenceLog(backend, trust, self.signers["log"])

        return open_store(str(self.root / "evidence"), log=log)

    @property
    def trust(self) -> TrustPolicy:
        return TrustPolicy.from_file(self.trust_file)

    def put(self, statement: Statement, signer: str) -> Sha256:
        """Sign with the key of this name, whatever it may sign, and put it."""
        return self.store.put(self.signers[signer].sign(statement))

    def about(self, digest: str) -> EvidenceSet:
        """The judged evidence."""
        return collect(self.store, digest, self.trust, utcnow())

    def model(self, name: str) -> Artifact:
        """A model of its own for one attack, as the pipeline leaves it: made by dave's run, and signed."""
        path = self.root / f"{name}.bin"
        path.write_bytes(f"weights of {name}".encode())
        artifact, now = pin(str(path), kind=Kind.MODEL).artifact, utcnow()
        run = {"dag_id": "train", "run_id": "r", "task_id": "train", "triggered_by": TRAINER}
        made = provenance.build(
            artifact, inputs=[], parameters={}, run=run, builder="b", started_at=None, finished_at=now
        )
        self.put(made, "pipeline")
        self.put(signature.build(artifact, signed_at=now, evidence=[], run={}), "pipeline")
        return artifact
