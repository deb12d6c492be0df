"""All views of one table: who doubts what, what each detector says, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.poisoning.blast_radius import Figures, with_and_without
from airflow_mlsecops.core.poisoning.detectors.baseline import BaselineAnswer, against_baseline
from airflow_mlsecops.core.poisoning.detectors.blocks import blocks_of, spatial_concentration
from airflow_mlsecops.core.poisoning.detectors.by_source import doubted_by_source, stretches
from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.detectors.embeddings import activation_clustering, spectral_signatures
from airflow_mlsecops.core.poisoning.detectors.floods import duplicate_floods
from airflow_mlsecops.core.poisoning.detectors.label_pairs import label_pair_excess
from airflow_mlsecops.core.poisoning.detectors.neighbour_vote import neighbour_vote
from airflow_mlsecops.core.poisoning.detectors.regions import contiguous_regions
from airflow_mlsecops.core.poisoning.detectors.sources import source_concentration
from airflow_mlsecops.core.poisoning.detectors.time_runs import time_runs
from airflow_mlsecops.core.poisoning.detectors.triggers import trigger_enrichment
from airflow_mlsecops.core.poisoning.ensemble import NAME, TREES, VOTERS, ensemble_probabilities
from airflow_mlsecops.core.poisoning.estimators import out_of_sample_probabilities
from airflow_mlsecops.core.poisoning.neighbours import Neighbours, neighbours
from airflow_mlsecops.core.poisoning.noise_model import NoiseModel, noise_model
from airflow_mlsecops.core.poisoning.suspects import (
    CONFIDENT_LEARNING,
    NOISE_MODEL,
    Suspects,
    confident_learning,
    mean_auc,
)
from airflow_mlsecops.core.poisoning.verdict import Conclusion, conclude

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable

CHANCE_AUC = 0.55
"""A mean one-against-rest AUC up to here is chance (0.5) with room for the scatter of small data sets."""


@dataclass(frozen=True)
class Analysis:
    """What was found.

    Attributes:
        probabilities: (rows, classes), out of sample.
        estimator: whose they are.
        settings: its parameters.
        main: the detector that the budget is held against.
        suspects: what it says about every row.
        detections: what each detector says.
        conclusion: the verdict.
        auc: mean one-against-rest AUC of the probabilities.
        noise: (classes, classes) P(given label | hidden class), where it was estimated.
        near: the neighbour graph, where it was made.
        with_and_without: figures of models that learned from all rows, and of models that learned without the suspects.
        blocks: (rows,) the block of space that a row lies in, where they were made.
    """

    probabilities: NDArray[np.float64]
    estimator: str
    settings: Mapping[str, Any]
    main: str
    suspects: Suspects
    detections: tuple[Detection, ...]
    conclusion: Conclusion
    auc: float
    noise: NDArray[np.float64] | None
    near: Neighbours | None
    with_and_without: tuple[Figures, Figures] | None
    blocks: NDArray[np.int64] | None

    @property
    def accused(self) -> NDArray[np.bool_]:
        """(rows,) rows that the main view or a detector that decided the verdict accuses."""
        flagged = self.suspects.flagged.copy()
        for item in self.detections:
            if item.detector in self.conclusion.decided_by:
                flagged |= item.flagged
        return flagged


def analyse(
    table: LabelledTable, *, estimator: Any = None, folds: int = 5, seed: int = 0, trusted: LabelledTable | None = None
) -> Analysis:
    """Look at a table from all sides that its columns allow.

    Given probabilities are used as they are; a classifier of the caller's is cross-validated; by default an ensemble
    learns in two rounds.

    Raises:
        DataError: if probabilities that are given are none, or the baseline has other features.
        ConfigurationError: if the estimator is wrong.
    """
    if table.extras.probabilities is not None:
        views = _given(table, table.extras.probabilities, "probabilities given in the data", {})
    elif estimator is not None:
        predicted = out_of_sample_probabilities(
            table.features, table.labels, classes=len(table.classes), estimator=estimator, folds=folds, seed=seed
        )
        views = _given(table, predicted.probabilities, predicted.estimator, predicted.settings)
    else:
        views = _learned(table, folds, seed)
    answer = None if trusted is None else against_baseline(table, trusted, folds=folds, seed=seed)
    detections = [*views.detections, *_concentrations(table, views), *_of_baseline(table, answer, trusted)]
    auc = mean_auc(table.labels, views.probabilities)
    conclusion = conclude(
        detections,
        doubted=float(views.suspects.flagged.mean()),
        can_judge=auc > CHANCE_AUC,
        detectable=None if answer is None else answer.detectable,
    )
    return Analysis(
        probabilities=views.probabilities,
        estimator=views.estimator,
        settings=views.settings,
        main=views.main,
        suspects=views.suspects,
        detections=tuple(detections),
        conclusion=conclusion,
        auc=auc,
        noise=None if views.model is None else views.model.noise,
        near=views.near,
        with_and_without=views.with_and_without,
        blocks=views.blocks,
    )


@dataclass(frozen=True)
class _Views:
    probabilities: NDArray[np.float64]
    estimator: str
    settings: Mapping[str, Any]
    main: str
    suspects: Suspects
    detections: tuple[Detection, ...]
    model: NoiseModel | None = None
    near: Neighbours | None = None
    with_and_without: tuple[Figures, Figures] | None = None
    blocks: NDArray[np.int64] | None = None


def _given(
    table: LabelledTable, probabilities: NDArray[np.float64], estimator: str, settings: Mapping[str, Any]
) -> _Views:
    suspects = confident_learning(table.labels, probabilities)
    message = f"{int(suspects.flagged.sum())} labels are doubted by confident learning"
    one = Detection(CONFIDENT_LEARNING, suspects.flagged, None, message)
    return _Views(probabilities, estimator, settings, CONFIDENT_LEARNING, suspects, (one,))


def _learned(table: LabelledTable, folds: int, seed: int) -> _Views:
    import numpy as np

    labels, classes, near = table.labels, len(table.classes), neighbours(table.features)
    heads = np.unique(near.groups)
    if len(heads) < folds:
        raise DataError(
            f"the table has {len(heads)} groups of near-duplicates, expected at least one for each of {folds} folds",
            "rows that are copies of each other say nothing about each other's labels",
        )

    def judge(learn_from: NDArray[np.bool_] | None) -> NDArray[np.float64]:
        return ensemble_probabilities(near, labels, classes, learn_from=learn_from, folds=folds, seed=seed)

    model = noise_model(labels, classes, judge)
    rows, blocks = np.arange(len(labels)), blocks_of(near, seed=seed)
    others = model.posterior.copy()
    others[rows, labels] = -1.0
    suspects = Suspects(model.flagged, others.argmax(axis=1), np.round(model.posterior[rows, labels], 6))
    said = "labels are doubted by"
    detections = (
        Detection(NOISE_MODEL, model.flagged, None, f"{int(model.flagged.sum())} {said} the noise model"),
        Detection(CONFIDENT_LEARNING, model.confident, None, f"{int(model.confident.sum())} {said} confident learning"),
        duplicate_floods(near.groups, labels, model.flagged),
        spatial_concentration(near, labels, classes, blocks, sharpness=model.sharpness, seed=seed),
        contiguous_regions(near, labels, table.classes),
        neighbour_vote(near, labels, classes),
    )
    settings = {"folds": folds, "trees": TREES, "neighbours": VOTERS, "sharpness": model.sharpness}
    return _Views(
        model.first,
        NAME,
        settings,
        NOISE_MODEL,
        suspects,
        detections,
        model,
        near,
        with_and_without(model, labels),
        blocks,
    )


def _concentrations(table: LabelledTable, views: _Views) -> list[Detection]:
    extras, suspects, model = table.extras, views.suspects, views.model
    found = [label_pair_excess(table.labels, suspects.suggested, suspects.flagged, table.classes)]
    sources = extras.sources
    if sources is None and extras.times is not None:
        sources = tuple(stretches(extras.times))
    by_source = None
    if model is not None and sources is not None:
        by_source = doubted_by_source(model, table.labels, sources, table.classes)
        found.append(by_source)
    if extras.sources is not None:
        flagged = None if by_source is None else by_source.flagged
        found.append(source_concentration(extras.sources, suspects.flagged, flagged))
    if extras.times is not None:
        found.append(time_runs(extras.times, suspects.flagged))
    if extras.embeddings is not None:
        found.append(spectral_signatures(extras.embeddings, table.labels))
        found.append(activation_clustering(extras.embeddings, table.labels))
    return found


def _of_baseline(table: LabelledTable, answer: BaselineAnswer | None, trusted: LabelledTable | None) -> list[Detection]:
    import numpy as np

    if answer is None or trusted is None:
        return []
    new = ~answer.known
    found = [answer.changed, answer.new, answer.pair]
    if new.any():
        part = trigger_enrichment(
            table.features[new], table.labels[new], trusted.features, table.feature_names, table.classes
        )
        flagged = np.zeros(len(new), dtype=bool)
        flagged[new] = part.flagged
        found.append(Detection(part.detector, flagged, part.p_value, part.message, part.details))
    return found
