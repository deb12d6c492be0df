"""Everything that is known of a model, from all three sources; bill and cards are made of it and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.describe.evaluation import Evaluation, Metric
from airflow_mlsecops.core.describe.lineage import Lineage
from airflow_mlsecops.core.describe.packages import installed, needed_by
from airflow_mlsecops.core.describe.told import Told
from airflow_mlsecops.core.manifest import Manifest
from airflow_mlsecops.core.report import Verdict

OF_TRAINING, OF_THIS_WORKER = "the worker that trained, by its provenance", "the worker that wrote this"


@dataclass(frozen=True)
class Content:
    """What is known.

    Attributes:
        artifact: the model.
        manifest: the files of a folder; None of a single file.
        told: what the author says.
        lineage: what verified evidence says.
        evaluation: what was measured here, and on which data set; None if nothing was.
        evaluated_on: that data set.
        model_class: class of the object that was loaded; empty if none was.
        made_at: when.
        packages: name -> version.
        packages_of: whose packages these are.
        run: which task of which run describes it, for whoever asks where this comes from.
    """

    artifact: Artifact
    manifest: Manifest | None
    told: Told
    lineage: Lineage
    evaluation: Evaluation | None
    evaluated_on: Artifact | None
    model_class: str
    made_at: datetime
    packages: Mapping[str, str]
    packages_of: str
    run: Mapping[str, Any]

    @classmethod
    def gather(
        cls,
        artifact: Artifact,
        manifest: Manifest | None,
        told: Told,
        lineage: Lineage,
        made_at: datetime,
        *,
        evaluation: Evaluation | None = None,
        evaluated_on: Artifact | None = None,
        model_class: str = "",
        run: Mapping[str, Any] | None = None,
    ) -> Content:
        """Put the sources together; packages that no provenance names are those installed here, and said to be."""
        known = lineage.packages
        return cls(
            artifact,
            manifest,
            told,
            lineage,
            evaluation,
            evaluated_on,
            model_class,
            made_at,
            installed() if known is None else known,
            OF_THIS_WORKER if known is None else OF_TRAINING,
            run or {},
        )

    @cached_property
    def needed(self) -> frozenset[str]:
        """The packages that the model's pickles import, by its trusted scan; all of them if nobody scanned it.

        Kept, because it asks every installed package for its files.
        """
        imports = self.lineage.imports
        return frozenset(self.packages) if imports is None else needed_by(imports, self.packages)

    @property
    def task(self) -> str:
        """What it is for: the author's word, or what was measured."""
        return str(self.told.model.get("task") or (self.evaluation.task if self.evaluation else ""))

    @property
    def architecture(self) -> str:
        """The author's word, or the class that was loaded."""
        return str(self.told.model.get("architecture") or self.model_class)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All figures: measured here first, over all rows and by group, then the author's own."""
        measured: tuple[Metric, ...] = ()
        if self.evaluation is not None:
            measured = (*self.evaluation.metrics, *(m for group in self.evaluation.groups for m in group.metrics))
        said = self.told.model.get("metrics", {})
        return (*measured, *(Metric(f"{name} (as the author says)", float(value)) for name, value in said.items()))

    @property
    def limits(self) -> tuple[str, ...]:
        """What the author says, and what nobody knows: a card that is silent about that would claim too much."""
        gaps = []
        if self.evaluation is None:
            gaps.append("Its performance was not measured when this was written.")
        if self.lineage.trained_at is None:
            gaps.append("No trusted provenance says what it was made from.")
        if not self.lineage.controls:
            gaps.append("No trusted statement of a control is about it.")
        failed = [s for s in self.lineage.controls if s.result.verdict is not Verdict.PASS]
        gaps += [
            f"{said.result.control} of {said.about} ended in {said.result.verdict.upper()}: {said.result.summary}"
            for said in failed
        ]
        return (*self.told.words("limitations"), *gaps)
