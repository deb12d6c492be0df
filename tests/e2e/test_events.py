"""Asset events on a really running Airflow: one that is posted by hand triggers a Dag, and gets nothing from it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from airflow_stack import AirflowStack

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.log import EvidenceLog
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.policy import ReleasePolicy, evaluate, gather
from airflow_mlsecops.core.predicates import alarm, signature, vsa
from airflow_mlsecops.core.signing import signer_from_uri
from airflow_mlsecops.core.store import EvidenceStore, open_store
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.hooks.settings import embedded_settings

pytestmark = pytest.mark.e2e

DAG = "stack_released"
POLICY = b"version: 1\nname: small\nrequire: [{evidence: signature, of: model}]\n"


def embedded(stack: AirflowStack, monkeypatch: pytest.MonkeyPatch) -> tuple[EvidenceStore, TrustPolicy, Any]:
    """The store, trust policy and signer of the stack's embedded default."""
    monkeypatch.setenv("AIRFLOW_HOME", str(stack.home))
    settings = embedded_settings()
    trust = TrustPolicy.from_file(Path(settings.trust_policy))
    signer: Any = signer_from_uri(settings.signer)
    assert trust.log is not None  # what isn't logged doesn't count
    log = EvidenceLog(open_store(settings.evidence_root).backend, trust.log.trust, signer)
    return open_store(settings.evidence_root, log=lambda _: log), trust, signer


def release(model: Artifact, store: EvidenceStore, trust: TrustPolicy, signer: Any) -> None:
    """Sign, and say YES as a gate does."""
    store.put(signer.sign(signature.build(model, signed_at=utcnow(), evidence=[], run={})))
    policy, now = ReleasePolicy.from_bytes(POLICY), utcnow()
    decision = evaluate(policy, gather(store, model.identity, trust, now), now)
    assert decision
    said = vsa.build(
        model,
        passed=True,
        verified_at=now,
        policy_name=policy.name,
        policy_digest=policy.digest,
        trust_digest=trust.digest,
        evidence=decision.evidence,
        reasons=[],
        run={},
    )
    store.put(signer.sign(said))


def post(stack: AirflowStack, artifact: Mapping[str, Any]) -> tuple[str, str]:
    """Post an event by REST; the run that it triggers, and how that ends."""
    api = stack.api("admin")
    before = {run["dag_run_id"] for run in runs(stack)}
    (asset,) = api.request("GET", "/assets", params={"name_pattern": "stack_released_model"})["assets"]
    event = {"asset_id": asset["id"], "extra": {"mlsecops": {"artifact": dict(artifact), "released": True}}}
    api.request("POST", "/assets/events", json=event)
    deadline = time.monotonic() + 300
    while not (new := {run["dag_run_id"] for run in runs(stack)} - before):
        assert time.monotonic() < deadline, "the event triggered no run"
        time.sleep(0.5)
    (run_id,) = new
    return run_id, api.wait_for_run(DAG, run_id, timeout=300).state


def runs(stack: AirflowStack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.api("admin").request("GET", f"/dags/{DAG}/dagRuns")["dag_runs"]
    return found


def test_a_forged_event_gets_nothing(
    airflow_stack: AirflowStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (airflow_stack.home / "stack_released.yaml").write_bytes(POLICY)
    store, trust, signer = embedded(airflow_stack, monkeypatch)
    airflow_stack.api("admin").wait_for_dag(DAG)
    paths = {name: tmp_path / f"{name}.bin" for name in ("good", "evil")}
    for name, path in paths.items():
        path.write_bytes(name.encode())
    good, evil = (pin(str(path), kind=Kind.MODEL).artifact for path in paths.values())
    release(good, store, trust, signer)

    run_id, state = post(airflow_stack, good.to_dict())
    assert state == "success"
    assert airflow_stack.api("admin").xcom(DAG, run_id, "use") == good.digest

    forged, state = post(airflow_stack, evil.to_dict())
    assert state == "failed"
    assert "ALARM event-not-verified" in airflow_stack.api("admin").task_log(DAG, forged, "use")
    alarms = [
        alarm.parse(item.statement) for item in collect(store, alarm.EVERY_ALARM.digest, trust, utcnow()).of("alarm")
    ]
    assert [(seen.event.value, seen.run["run_id"]) for seen in alarms] == [("event-not-verified", forged)]
