"""A large evidence store for `pages.py`: artifacts with their statements, signed, logged and indexed by nobody yet.

Half of the artifacts are data sets, half are models that were made from one of them. Of every tenth model somebody is
asked, and it stands at a stage; now and then there is an alarm. Everything is signed with real
keys; files are written without flushing, and the log is written at once, because only reading is measured.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.log import Checkpoint, Entry, LogTrust
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.merkle import leaf_hash
from airflow_mlsecops.core.log.tiles import ENTRIES, WIDTH, Tile, encode_entries
from airflow_mlsecops.core.predicates import (
    APPROVAL_REQUEST,
    SIGNATURE,
    alarm,
    approval,
    approval_request,
    control_run,
    promotion,
    provenance,
    signature,
    vsa,
)
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.signing import generate_key
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.statement import Statement

ORIGIN = "benchmark.example/evidence"
CONTROLS = ("data-validation", "label-poisoning", "data-profile", "drift", "model-scan")
ROLES = ["control", "provenance", "sign", "gate", "promote", "ask", "alarm"]


@dataclass(frozen=True)
class Subject:
    """An artifact, and what of it pages are asked for."""

    artifact: Artifact
    dag_id: str
    run_id: str
    signature: str = ""
    request: str = ""

    @property
    def page(self) -> str:
        """Its address."""
        return f"/mlsecops/dags/{self.dag_id}/artifacts/{self.artifact.digest}"


@dataclass
class World:
    """What was written: how many statements, the models that stand at a stage, and what they were made from."""

    statements: int
    released: list[Subject]
    data_of: dict[Subject, Subject]


def make(folder: Path, artifacts: int, each: int, now: datetime, dags: list[str]) -> World:
    """Write store, log and trust policy.

    Args:
        folder: empty; afterwards it holds ``evidence/`` and ``trust.json``.
        artifacts: how many.
        each: statements about each.
        now: nothing is younger.
        dags: whose statements they are, in turns.
    """
    key = FileKeySigner(generate_key()[0], origin="benchmark")
    signer = {"name": "benchmark", "public_key": key.public_key.pem, "roles": ROLES}
    log = {"origin": ORIGIN, "keys": [key.public_key.pem], "required": True}
    (folder / "trust.json").write_text(json.dumps({"version": 1, "signers": [signer], "log": log}))
    chance = random.Random(7)  # noqa: S311 - data to measure with
    entries: list[bytes] = []
    world = World(0, [], {})
    for number in range(artifacts // 2):
        data, model = artifact(f"data-{number}", Kind.DATASET), artifact(f"model-{number}", Kind.MODEL)
        run = {"dag_id": dags[number % len(dags)], "run_id": f"manual__{number}", "map_index": -1, "try_number": 1}
        digests: dict[str, str] = {}
        told: list[Statement] = []
        for subject in (data, model):
            more = list(decisions(subject, now, run)) if subject is model and number % 10 == 0 else []
            told += [*more, *statements(subject, data, each - len(more), now, run, chance)]
        for statement in told:
            bundle = key.sign(statement)
            digests[statement.predicate_type] = bundle.digest
            entries.append(deposit(folder / "evidence", bundle))
        if number % 10 == 0:
            where = (str(run["dag_id"]), str(run["run_id"]))
            here = Subject(model, *where, digests[SIGNATURE.uri], digests[APPROVAL_REQUEST.uri])
            world.released.append(here)
            world.data_of[here] = Subject(data, *where)
    world.statements = len(entries)
    write_log(folder / "evidence", entries, LogTrust(ORIGIN, (key.public_key,)), key)
    return world


def decisions(model: Artifact, now: datetime, run: dict[str, object]) -> Iterator[Statement]:
    """It was promoted, its successor's approvers are asked, and somebody set the gate by hand."""
    seen = sha256_bytes(b"evidence")
    yield promotion.build(
        promotion.Promotion(
            release=promotion.Release(model.name, "1.0", "production", reason="measured"),
            artifact=model,
            previous=None,
            replaces=None,
            policy_name="production",
            policy=sha256_bytes(b"policy"),
            evidence=(seen,),
            changes={"rows": [], "total": 0, "unreadable": []},
            promoted_at=now - timedelta(hours=5),
        ),
        {**run, "task_id": "promote"},
    )
    asked = approval_request.ApprovalRequest(
        shown=(approval_request.Shown(seen, "model-scan", "pass", "4 imports"),),
        missing=(),
        changes=("metric accuracy: 0.971 -> 0.978",),
        approvers=("carol", "dave"),
        excluded=("alice",),
        quorum=2,
        level=approval.Assurance.RECORDED,
        triggered_by="alice",
        requested_at=now - timedelta(hours=1),
        expires_at=now + timedelta(days=1),
    )
    yield approval_request.build(model, asked, {**run, "task_id": "approve"})
    yield alarm.build(
        alarm.Alarm(
            alarm.Event.STATE_SET,
            "ReleaseGateOperator",
            "set by hand",
            "mallory",
            now - timedelta(hours=2),
            {"orchestrator": "apache-airflow", **run, "task_id": "release"},
        )
    )


def artifact(name: str, kind: Kind) -> Artifact:
    """A reference to a file that needn't exist."""
    return Artifact(name, f"s3://benchmark/{name}", kind, Form.FILE, sha256_bytes(name.encode()), 1000, 1)


def statements(
    subject: Artifact, data: Artifact, each: int, now: datetime, run: dict[str, object], chance: random.Random
) -> Iterator[Statement]:
    """The statements about one artifact, as a Dag that runs every day leaves them."""
    number = each
    if subject.kind is Kind.MODEL:
        number -= 3
        at = now - timedelta(days=chance.uniform(1, 60))
        parameters = {"seed": 7, "learning_rate": 0.1}
        where = {**run, "task_id": "train"}
        yield provenance.build(
            subject,
            inputs=[data],
            parameters=parameters,
            run=where,
            builder="https://benchmark/",
            started_at=at,
            finished_at=at,
        )
        yield signature.build(subject, signed_at=at, evidence=[], run={**run, "task_id": "sign"})
        yield vsa.build(
            subject,
            passed=chance.random() < 0.9,
            verified_at=at,
            policy_name="production",
            policy_digest=sha256_bytes(b"policy"),
            trust_digest=sha256_bytes(b"trust"),
            evidence=[],
            reasons=["[evidence-missing] no approval of the model"],
            run={**run, "task_id": "release"},
        )
    for place in range(number):
        verdict = chance.choices(list(Verdict), (8, 2, 1))[0]
        control = CONTROLS[place % len(CONTROLS)]
        found = (Finding(f"{control}/rule", Severity.WARNING, "some rows look odd", "column a", ("AML.T0020",)),)
        worse = (Finding(f"{control}/worse", Severity.CRITICAL, "many rows look odd", "column b"),)
        shown = () if verdict is Verdict.PASS else found if verdict is Verdict.WARN else found + worse
        report = Report(subject, control, verdict, f"{control}: {len(shown)} findings", shown, {"rows": 1000 + place})
        yield control_run.build(
            report,
            finished_at=now - timedelta(days=place * 2 + chance.random()),
            run={**run, "task_id": control, "run_id": f"scheduled__{place}"},
            report_blob=sha256_bytes(b"report"),
            blobs={},
        )


def deposit(root: Path, bundle: Bundle) -> bytes:
    """Write a bundle where a store keeps it; return its log entry."""
    entry = Entry.of(bundle)
    for key in entry.keys:
        target = root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(bundle.raw)
    return entry.encode()


def write_log(root: Path, entries: list[bytes], trust: LogTrust, key: FileKeySigner) -> None:
    """Write a log of these entries, as far as readers need it."""
    grown, tiles = Frontier().grow(map(leaf_hash, entries))
    files = {tile.key: data for tile, data in tiles.items()}
    for start in range(0, len(entries), WIDTH):
        part = entries[start : start + WIDTH]
        files[Tile(ENTRIES, start // WIDTH, len(part)).key] = encode_entries(part)
    files[CHECKPOINT] = Checkpoint.sign(grown.size, grown.root, trust.origin, key).raw
    for name, data in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
