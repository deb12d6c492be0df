"""What is loaded was verified and scanned, and imports no more than was pinned."""

from __future__ import annotations

import io
import json
import pickle
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.cli.main import main
from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.controls.model_scan import scan_model
from airflow_mlsecops.core.loading import NotVerifiedError
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import control_run, signature
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.scanning.load import ScannedModel, UnsafeModelError, _load_joblib, open_scanned
from airflow_mlsecops.core.signing import signer_from_uri
from tests.support.deployment import Deployment
from tests.support.hostile_models import EVIL4


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment")


def put(deployment: Deployment, path: Path, *, report: Report | None = None, scanned: bool = True) -> None:
    """Sign a model, and what a scan said of it."""
    artifact, signer = pin(str(path), kind=Kind.MODEL).artifact, signer_from_uri(f"file:{deployment.key}")
    if scanned:
        report = report or scan_model(artifact, path)
        blobs = {name: deployment.store.put_blob(data) for name, data in report.blobs.items()}
        full = deployment.store.put_blob(canonical_json(report.to_dict()))
        built = control_run.build(report, finished_at=utcnow(), run={}, report_blob=full, blobs=blobs)
        deployment.store.put(signer.sign(built))
    deployment.store.put(signer.sign(signature.build(artifact, signed_at=utcnow(), evidence=[], run={})))


def opened(deployment: Deployment, path: Path, **how: Any) -> ScannedModel:
    return open_scanned(str(path), deployment.store, deployment.trust, None, **how)


def written(folder: Path, data: bytes, name: str = "model.joblib") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def test_an_estimator_is_loaded_by_its_pinned_names(tmp_path: Path, deployment: Deployment) -> None:
    import joblib
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    x = np.random.default_rng(3).normal(size=(50, 3))
    model = RandomForestClassifier(4, random_state=0).fit(x, x[:, 0] > 0)
    for compress in (0, 3, ("xz", 3)):
        path = tmp_path / f"model-{str(compress)[0]}{compress if isinstance(compress, int) else 'xz'}.joblib"
        joblib.dump(model, path, compress=compress)
        put(deployment, path)
        with opened(deployment, path) as scanned:
            path.write_bytes(EVIL4)  # a swap after the check
            loaded = scanned.load()
            assert (loaded.predict_proba(x) == model.predict_proba(x)).all()
            assert "sklearn.ensemble._forest.RandomForestClassifier" in scanned.imports
        assert not scanned.path.exists()


def test_plain_pickle_in_sealed_memory(tmp_path: Path, deployment: Deployment) -> None:
    value = OrderedDict(a=datetime(2020, 1, 1, tzinfo=UTC))
    path = written(tmp_path, pickle.dumps(value), "model.pkl")
    put(deployment, path)
    with opened(deployment, path, in_memory=True) as scanned:
        assert scanned.load() == value


def test_a_torch_model_is_loaded(tmp_path: Path, deployment: Deployment) -> None:
    torch = pytest.importorskip("torch", reason="torch isn't installed: its files aren't tested here")
    target = io.BytesIO()
    torch.save({"w": torch.arange(6.0)}, target)
    path = written(tmp_path, target.getvalue(), "model.pt")
    put(deployment, path)
    with opened(deployment, path) as scanned:
        assert torch.equal(scanned.load()["w"], torch.arange(6.0))


def test_unsigned_model_is_refused(tmp_path: Path, deployment: Deployment) -> None:
    with pytest.raises(NotVerifiedError):
        opened(deployment, written(tmp_path, pickle.dumps([1])))


def test_model_without_a_scan_is_refused(tmp_path: Path, deployment: Deployment) -> None:
    path = written(tmp_path, pickle.dumps([1]))
    put(deployment, path, scanned=False)
    with pytest.raises(UnsafeModelError, match="no trusted scan"):
        opened(deployment, path)


def test_signed_trojan_is_refused_even_with_a_scan_that_lies(tmp_path: Path, deployment: Deployment) -> None:
    path = written(tmp_path, EVIL4)
    artifact = pin(str(path), kind=Kind.MODEL).artifact
    lie = Report(artifact, "model-scan", Verdict.PASS, "fine", blobs={"imports.json": canonical_json(["os.system"])})
    put(deployment, path, report=lie)
    with pytest.raises(UnsafeModelError, match=r"os\.system"):
        opened(deployment, path)


def test_name_that_was_not_pinned_is_refused(tmp_path: Path, deployment: Deployment) -> None:
    path = written(tmp_path, pickle.dumps(OrderedDict(a=1)))
    artifact = pin(str(path), kind=Kind.MODEL).artifact
    lie = Report(artifact, "model-scan", Verdict.PASS, "fine", blobs={"imports.json": canonical_json([])})
    put(deployment, path, report=lie)
    with pytest.raises(UnsafeModelError, match="aren't pinned"):
        opened(deployment, path)


def test_failed_scan_pins_nothing(tmp_path: Path, deployment: Deployment) -> None:
    path = written(tmp_path, EVIL4)
    put(deployment, path)
    with pytest.raises(UnsafeModelError, match="no trusted scan"):
        opened(deployment, path)


def test_unpickler_imports_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path, pickle.dumps([OrderedDict(a=1), datetime(2020, 1, 1)]))
    with pytest.raises(UnsafeModelError, match=r"datetime\.datetime"):
        _load_joblib(path, frozenset({"collections.OrderedDict"}))


class TestFetch:
    """The same on the command line."""

    @pytest.fixture
    def policy(self, tmp_path: Path) -> Path:
        path = tmp_path / "policy.yaml"
        path.write_text("version: 1\nname: p\nrequire:\n  - {evidence: signature, of: model}\n")
        return path

    def fetch(self, deployment: Deployment, policy: Path, model: Path, target: Path) -> int:
        places = ["--store", str(deployment.evidence), "--trust", str(deployment.trust_file), "--policy", str(policy)]
        return main(["fetch", str(model), "--to", str(target), "--json", *places])

    def released(self, deployment: Deployment, policy: Path, path: Path) -> None:
        from airflow_mlsecops.core.policy import ReleasePolicy, evaluate, gather
        from airflow_mlsecops.core.predicates import vsa

        artifact, rules = pin(str(path), kind=Kind.MODEL).artifact, ReleasePolicy.from_bytes(policy.read_bytes())
        decision = evaluate(rules, gather(deployment.store, artifact.identity, deployment.trust, utcnow()), utcnow())
        statement = vsa.build(
            artifact,
            passed=bool(decision),
            verified_at=utcnow(),
            policy_name=rules.name,
            policy_digest=rules.digest,
            trust_digest=deployment.trust.digest,
            evidence=decision.evidence,
            reasons=[],
            run={},
        )
        deployment.store.put(signer_from_uri(f"file:{deployment.key}").sign(statement))

    def test_released_model_is_copied(
        self, tmp_path: Path, deployment: Deployment, policy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path, target = written(tmp_path, pickle.dumps(OrderedDict(a=1))), tmp_path / "copy.pkl"
        put(deployment, path)
        self.released(deployment, policy, path)
        assert self.fetch(deployment, policy, path, target) == 0
        assert target.read_bytes() == path.read_bytes()
        assert json.loads(capsys.readouterr().out)["imports"] == ["collections.OrderedDict"]
        assert self.fetch(deployment, policy, path, target) == 2  # never written over

    def test_refused_model_leaves_nothing(
        self, tmp_path: Path, deployment: Deployment, policy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path, target = written(tmp_path, EVIL4), tmp_path / "copy.pkl"
        put(deployment, path)
        assert self.fetch(deployment, policy, path, target) == 1
        self.released(deployment, policy, path)
        assert self.fetch(deployment, policy, path, target) == 1
        assert not target.exists()
        assert "unsafe-model" in capsys.readouterr().out
