"""All that was found, as JSON by the published schema ``poisoning-analysis-v1``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.atlas import ATLAS_RELEASE
from airflow_mlsecops.core.poisoning.blast_radius import MOST_CLASSES, blast_radius, models_on_the_rest
from airflow_mlsecops.core.poisoning.detectors.sources import NAME as SOURCE
from airflow_mlsecops.core.poisoning.detectors.time_runs import NAME as TIME_RUN
from airflow_mlsecops.core.poisoning.suspects import class_pairs
from airflow_mlsecops.core.poisoning.verdict import TECHNIQUES, Judgement

if TYPE_CHECKING:
    from airflow_mlsecops.core.poisoning.analysis import Analysis
    from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable

SCHEMA = "https://airflow-mlsecops.readthedocs.io/schemas/poisoning-analysis-v1.json"


def document(table: LabelledTable, found: Analysis) -> dict[str, Any]:
    """The analysis as a JSON-able mapping; no row ids in it, and no features."""
    conclusion, details = found.conclusion, {item.detector: item.details for item in found.detections}
    attack = conclusion.judgement is Judgement.TARGETED_ATTACK
    return {
        "$schema": SCHEMA,
        "rows": len(table.labels),
        "classes": list(table.classes),
        "verdict": {
            "judgement": conclusion.judgement.value,
            "p_value": conclusion.p_value,
            "corrected_p_values": dict(conclusion.corrected),
            "decided_by": list(conclusion.decided_by),
            "detectable_share": conclusion.detectable,
            "techniques": list(TECHNIQUES) if attack else [],
            "atlas_release": ATLAS_RELEASE,
        },
        "detectors": [
            {
                "name": item.detector,
                "rows": item.rows,
                "p_value": item.p_value,
                "message": item.message,
                "details": dict(item.details),
            }
            for item in found.detections
        ],
        "suspects": {
            "rows": int(found.accused.sum()),
            "pairs": [vars(pair) for pair in class_pairs(table, found.suspects)[:MOST_CLASSES]],
            "sources": list(details.get(SOURCE, {}).get("accused", [])),
            "time_window": details.get(TIME_RUN, {}).get("window"),
        },
        "blast_radius": blast_radius(table, found),
        "noise_matrix": None if found.noise is None or len(table.classes) > MOST_CLASSES else _rounded(found.noise),
        "models": {
            "estimator": found.estimator,
            "mean_auc": found.auc,
            **models_on_the_rest(table, found),
        },
    }


def _rounded(matrix: Any) -> list[list[float]]:
    return [[round(float(cell), 6) for cell in row] for row in matrix]
