"""Judging a model by a release policy: a thousand pieces of evidence, and fifty data sets that it came from.

The store lies in a folder on this machine's disk and, in the last rows, in a bucket of the tests' SeaweedFS, whose own
work is not counted in CPU seconds. The peer of the first rows, in the same run, verifies the same signatures with
``cryptography`` and does nothing else: no file is read, no JSON parsed, no role, revocation or rule asked. That of the
last rows is a loop of boto3's ``list_objects_v2`` and ``get_object`` over the same objects, which verifies nothing;
each request of either takes 10 ms more than it does here, as to a bucket in the same region.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from report import Row, options, publish

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.bundle import Bundle, pre_authentication_encoding
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.policy import ReleasePolicy, evaluate, gather
from airflow_mlsecops.core.predicates import control_run, provenance, signature
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.signing.keys import generate_key
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.store.s3 import S3Backend
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trust_document import trust_document

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.s3_server import S3Server, run_s3_server

DATASETS, STATEMENTS = 50, 1000
LATENCY = 0.01
POLICY = b"""{version: 1, name: benchmark, require: [
  {evidence: signature, of: model}, {evidence: provenance, of: model},
  {evidence: test-result, control: labels, of: all-datasets, metrics: {share: {max: 0.1}}, max_age: 7d},
  {evidence: test-result, control: scan, of: model}]}"""


def _artifact(name: str, kind: Kind) -> Artifact:
    return Artifact(name, f"file:///{name}", kind, Form.FILE, sha256_bytes(name.encode()), 1, 1)


def fill(store: EvidenceStore, signer: FileKeySigner, count: int) -> tuple[Artifact, list[Bundle]]:
    """A model, its data sets, and so many statements about them."""
    model, now = _artifact("model", Kind.MODEL), utcnow()
    datasets = [_artifact(f"data {number}", Kind.DATASET) for number in range(DATASETS)]
    made = provenance.build(
        model, inputs=datasets, parameters={}, run={}, builder="b", started_at=None, finished_at=now
    )
    statements = [made, signature.build(model, signed_at=now, evidence=[], run={})]
    for number in range(count - len(statements)):
        about, control = (model, "scan") if number % 20 == 0 else (datasets[number % DATASETS], "labels")
        report = Report(about, control, Verdict.PASS, "fine", metrics={"share": 0.01, "rows": 1797})
        finished = now - timedelta(minutes=number)
        statements.append(
            control_run.build(report, finished_at=finished, run={}, report_blob=sha256_bytes(b"r"), blobs={})
        )
    bundles = [signer.sign(statement) for statement in statements]
    store.put_all(bundles)
    return model, bundles


def best(work: Callable[[], object], times: int) -> tuple[float, float]:
    """The smallest CPU-s and the smallest seconds of several tries."""
    cpu, wall = [], []
    for _ in range(times):
        began, started = time.process_time(), time.perf_counter()
        work()
        cpu.append(time.process_time() - began)
        wall.append(time.perf_counter() - started)
    return min(cpu), min(wall)


def far_client(server: S3Server) -> Any:
    """A client to which each request takes as long as to a bucket in the same region."""
    client = server.new_client()
    client.meta.events.register("before-send.s3", lambda **_: time.sleep(LATENCY))
    return client


def loop(client: Any, server: S3Server, prefix: str) -> None:
    """What whoever only wants the bytes does."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=server.bucket, Prefix=prefix):
        for item in page["Contents"]:
            client.get_object(Bucket=server.bucket, Key=item["Key"])["Body"].read()


def main() -> int:
    """Measure, and print."""
    given = options(__doc__ or "")
    times = 3 if given.quick else 10
    pem, _ = generate_key()
    signer = FileKeySigner(pem, origin="benchmark")
    trust = TrustPolicy.from_bytes(trust_document("all", signer.public_key, ["control", "provenance", "sign"]).encode())
    policy = ReleasePolicy.from_bytes(POLICY)

    def judge(store: EvidenceStore, model: Artifact) -> None:
        now = utcnow()
        if not evaluate(policy, gather(store, model.identity, trust, now), now):
            raise SystemExit("the policy says NO")

    with tempfile.TemporaryDirectory() as folder:
        store = EvidenceStore(LocalBackend(Path(folder)))
        model, bundles = fill(store, signer, STATEMENTS)

        def floor() -> None:
            for bundle in bundles:
                signer.public_key.verify(bundle.signature, pre_authentication_encoding(bundle.statement.payload))

        cpu, wall = best(lambda: judge(store, model), times)
        bare, _ = best(floor, times)
        now = utcnow()
        dossier = gather(store, model.identity, trust, now)
        alone, _ = best(lambda: evaluate(policy, dossier, now), times)
    with tempfile.TemporaryDirectory() as folder, run_s3_server(Path(folder)) as server:
        client = far_client(server)
        far_store = EvidenceStore(S3Backend(client, server.bucket, "evidence"))
        EvidenceStore(S3Backend(server.new_client(), server.bucket, "evidence")).put_all(bundles)
        far_cpu, far = best(lambda: judge(far_store, model), 2)
        loop_cpu, loop_wall = best(lambda: loop(client, server, "evidence/"), 2)
    what = f"{STATEMENTS:,} statements, {DATASETS} data sets"
    rows = [
        Row(f"read, verify and judge {what}, s", wall, None, None, "under a second", wall < 1),
        Row(f"read, verify and judge {what}, CPU-s", cpu, bare, cpu / bare, "under a second", cpu < 1),
        Row("judge alone, CPU-s", alone, bare, alone / bare, "less than the signatures", alone < bare),
        Row("the same from a bucket, s", far, loop_wall, far / loop_wall, "less than the loop", far < loop_wall),
        Row(
            "the same from a bucket, CPU-s",
            far_cpu,
            loop_cpu,
            far_cpu / loop_cpu,
            "at most 3 x the loop",
            far_cpu < 3 * loop_cpu,
        ),
    ]
    return publish("policy", rows, given.json)


if __name__ == "__main__":
    sys.exit(main())
