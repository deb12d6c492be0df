"""The verdict: clean, natural noise, targeted attack, or inconclusive.

Each detector that says something about chance gives one p-value, corrected for the tests within it; Holm's method
corrects for the number of detectors. A corrected value below ``ALPHA`` is an attack: ordinary noise isn't
concentrated in one source, one stretch of time, one direction between two labels, in copies, or in what is new. A
label that changed on a row of the trusted version is one whatever chance says. No blended score: the verdict names
the detectors that decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from airflow_mlsecops.core.poisoning.detectors.baseline import CHANGED
from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.statistics import holm

ALPHA = 0.01
NOISE_FLOOR = 0.01
"""Share of doubted labels from which on data are called noisy; clean real data had 0 to 0.6 %."""

POISON_TRAINING_DATA, ERODE_INTEGRITY, DATA_POISONING = "AML.T0020", "AML.T0059", "ML02:2023"
TECHNIQUES = (POISON_TRAINING_DATA, ERODE_INTEGRITY, DATA_POISONING)
"""MITRE ATLAS: training data poisoning, erode dataset integrity. OWASP ML: data poisoning attack."""


class Judgement(StrEnum):
    """What the labels of a data set look like."""

    CLEAN = "clean"
    NATURAL_NOISE = "natural noise"
    TARGETED_ATTACK = "targeted attack"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Conclusion:
    """The verdict and what it rests on.

    Attributes:
        judgement: the verdict.
        p_value: the least corrected p-value; 1 where no detector says anything about chance.
        corrected: detector -> p-value corrected for the number of detectors.
        decided_by: the detectors below ``ALPHA``.
        detectable: the least share of poison that would be seen nine times of ten, as far as the detectors know it.
    """

    judgement: Judgement
    p_value: float
    corrected: dict[str, float]
    decided_by: tuple[str, ...]
    detectable: float | None


def conclude(
    detections: Sequence[Detection], *, doubted: float, can_judge: bool, detectable: float | None = None
) -> Conclusion:
    """Weigh what the detectors say.

    Args:
        detections: of all detectors that ran.
        doubted: share of labels that the main view doubts.
        can_judge: whether the models learned anything; if not, silence proves nothing.
        detectable: see :class:`Conclusion`.
    """
    told = [(item.detector, item.p_value) for item in detections if item.p_value is not None]
    values = holm([p for _, p in told])
    corrected = {name: value for (name, _), value in zip(told, values, strict=True)}
    decided = [name for name, value in corrected.items() if value < ALPHA]
    decided += [item.detector for item in detections if item.detector == CHANGED and item.rows]
    if not can_judge and not any(item.detector == CHANGED and item.rows for item in detections):
        judgement = Judgement.INCONCLUSIVE
    elif decided:
        judgement = Judgement.TARGETED_ATTACK
    else:
        judgement = Judgement.NATURAL_NOISE if doubted >= NOISE_FLOOR else Judgement.CLEAN
    return Conclusion(judgement, min(values, default=1.0), corrected, tuple(sorted(decided)), detectable)
