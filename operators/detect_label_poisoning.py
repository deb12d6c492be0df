"""Look for wrong labels that may have been planted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import SignatureError
from airflow_mlsecops.hooks.baselines import trusted_dataset
from airflow_mlsecops.hooks.references import ArtifactLike
from airflow_mlsecops.operators.control import ControlOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.report import Report
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class DetectLabelPoisoningOperator(ControlOperator):
    """Finds labels that other rows speak against, says whether it looks like an attack, and by whom.

    It fails on an attack, and above a budget of doubted labels.

    Args:
        label_column: the column with the labels.
        feature_columns: numeric columns to learn from; by default all but label and id.
        id_column: the column that names a row; by default its number.
        source_column: the column that says who a row came from; each source is tested against the rest.
        time_column: the column that says when; stretches of time are tested.
        probability_columns: label -> column with its out-of-sample probability; no model is trained then.
        embedding_columns: numeric columns with a model's embedding, for detectors of backdoors.
        text_columns: columns of text to learn from too: words and pairs of words are hashed into 256 columns each.
        baseline: the last trusted version, as SHA-256, path, URI or reference, or ``last-released``: its signature is
            verified, labels changed on known rows are told, and new rows are judged by trusted ones. Needs
            ``id_column``.
        estimator: a scikit-learn classifier, a callable that returns one, or ``"package.module:factory"``; by default a
            small ensemble of a linear model, trees, nearest neighbours and a smooth kernel.
        folds: of the cross-validation.
        budget: share of suspect labels (0 to 1) above which the verdict is FAIL.
        warn_budget: share above which it is WARN.
        seed: of everything random.

    Example::

        DetectLabelPoisoningOperator(task_id="poisoning", artifact=validate.output, label_column="label", budget=0.02)
    """

    control_name: ClassVar[str] = "label-poisoning"
    template_fields: Sequence[str] = (
        *ControlOperator.template_fields,
        "label_column",
        "feature_columns",
        "id_column",
        "budget",
        "warn_budget",
        "source_column",
        "time_column",
        "baseline",
    )

    def __init__(
        self,
        *,
        label_column: str,
        feature_columns: Sequence[str] | None = None,
        id_column: str | None = None,
        estimator: Any = None,
        folds: int = 5,
        budget: float = 0.02,
        warn_budget: float | None = None,
        seed: int = 0,
        source_column: str | None = None,
        time_column: str | None = None,
        probability_columns: Mapping[str, str] | None = None,
        embedding_columns: Sequence[str] = (),
        text_columns: Sequence[str] = (),
        baseline: ArtifactLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.label_column = label_column
        self.feature_columns = feature_columns
        self.id_column = id_column
        self.estimator = estimator
        self.folds = folds
        self.budget = budget
        self.warn_budget = warn_budget
        self.seed = seed
        self.source_column = source_column
        self.time_column = time_column
        self.probability_columns = probability_columns
        self.embedding_columns = embedding_columns
        self.text_columns = text_columns
        self.baseline = baseline
        self._hook: MlsecopsHook | None = None

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """As every control; the hook is kept for the baseline."""
        self._hook = hook
        return super().work(hook, context)

    def control(self, artifact: Artifact, path: Path) -> Report:
        """See :func:`airflow_mlsecops.core.controls.label_poisoning.detect_label_poisoning`."""
        from airflow_mlsecops.core.controls.label_poisoning import detect_label_poisoning
        from airflow_mlsecops.core.poisoning.roles import Roles

        with self._trusted(artifact) as baseline:
            return detect_label_poisoning(
                artifact,
                path,
                label_column=self.label_column,
                feature_columns=self.feature_columns,
                id_column=self.id_column,
                estimator=self.estimator,
                folds=self.folds,
                budget=float(self.budget),  # a template makes it text
                warn_budget=None if self.warn_budget is None else float(self.warn_budget),
                seed=self.seed,
                roles=Roles(
                    self.source_column,
                    self.time_column,
                    self.probability_columns,
                    self.embedding_columns,
                    self.text_columns,
                ),
                baseline=baseline,
            )

    @contextmanager
    def _trusted(self, artifact: Artifact) -> Iterator[Path | None]:
        """A private copy of the baseline, once a trusted signature about its bytes is verified.

        Raises:
            SignatureError: if nobody who may sign signed it.
            BaselineError: if there is none.
        """
        from airflow_mlsecops.core.verification import verify_signature

        if self.baseline is None or self._hook is None:
            yield None
            return
        trusted = trusted_dataset(self.baseline, artifact, self._hook)
        answer = verify_signature(trusted, self._hook.store, self._hook.trust, utcnow())
        if not answer:
            reasons = "; ".join(map(str, answer.decision.reasons))
            raise SignatureError(f"the baseline {trusted} isn't signed: {reasons}", "sign it with SignArtifactOperator")
        self.log.info("Baseline %s, signed by %s", trusted, ", ".join(answer.signers))
        with self._hook.verified_copy(trusted) as path:
            yield path
