"""A model's content with everything in it, and one with nothing."""

from __future__ import annotations

import pytest

from airflow_mlsecops.core.describe.attribution import Attribution
from airflow_mlsecops.core.describe.content import Content
from airflow_mlsecops.core.describe.evaluation import Bin, Evaluation, Group, Metric
from airflow_mlsecops.core.describe.lineage import Lineage, Said
from airflow_mlsecops.core.describe.told import Told
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.predicates.control_run import ControlResult
from airflow_mlsecops.core.predicates.provenance import Dependency
from airflow_mlsecops.core.report import Verdict
from tests.support.evidence import NOW, artifact

HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) | `x` \u202e evil"
TOLD = {
    "model": {
        "version": "1.2.0", "licence": "Apache-2.0", "description": HOSTILE, "task": "classification",
        "approach": "supervised", "family": "linear", "authors": ["Digits team"], "inputs": ["64 numbers"],
        "outputs": ["a digit"], "metrics": {"f1_elsewhere": 0.91},
    },
    "data": {"digits": {"licence": "CC-BY-4.0", "description": HOSTILE, "sensitive": ["handwriting"], "owner": "Data"}},
    "considerations": {
        "users": ["Post offices"], "use_cases": ["Sorting"], "limitations": [HOSTILE], "tradeoffs": ["Speed"],
        "ethical": [{"risk": HOSTILE, "mitigation": "Measured"}],
        "fairness": [{"group": "Left-handed", "benefits": "none", "harms": "misread", "mitigation": "measured"}],
    },
    "environment": {"activity": "training", "energy_kwh": 0.02, "co2_kg": 0.008, "source": "wind", "provider": "own"},
}  # fmt: skip


@pytest.fixture
def full() -> Content:
    model, data = artifact("model"), artifact("digits")
    failed = ControlResult("data-validation", Verdict.WARN, NOW, HOSTILE, {}, ())
    metrics = (Metric("accuracy", 0.95, "", 0.93, 0.97), Metric("log_loss", 0.2))
    return Content.gather(
        model,
        None,
        Told.from_mapping(TOLD),
        Lineage(
            inputs=(Dependency("digits", "dataset", data.digest, "file"),
                    Dependency("base", "model", sha256_bytes(b"base"), "file")),
            parameters={"C": 0.05, "name": HOSTILE},
            run={"dag_id": "train", "run_id": "r", "task_id": "t"},
            trained_at=NOW,
            packages={"scikit-learn": "1.9.0", "numpy": "2.4.0", "pytest": "9.0.0"},
            code={"dag.py": sha256_bytes(b"dag")},
            controls=(Said("digits", data.digest, failed, sha256_bytes(b"evidence")),),
            imports=frozenset({"sklearn.linear_model._logistic.LogisticRegression", "numpy.ndarray"}),
        ),
        NOW,
        evaluation=Evaluation(
            "classification", 100, metrics,
            (Group("site", HOSTILE, 60, (Metric("accuracy", 0.9, "site=x"),)), Group("site", "b", 3, ())),
            (Bin(40, 0.55, 0.5), Bin(60, 0.95, 0.97)), 0.03,
            (Attribution(HOSTILE, 0.4, 0.1), Attribution("pixel", -0.01, 0.1)), "permutation importance",
        ),
        evaluated_on=data,
        model_class="sklearn.linear_model._logistic.LogisticRegression",
    )  # fmt: skip


@pytest.fixture
def bare() -> Content:
    model = artifact("model")
    return Content.gather(model, None, Told(), Lineage(), NOW)
