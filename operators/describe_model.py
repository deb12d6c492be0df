"""Say what a model is: a CycloneDX ML-BOM and a model card, signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ArtifactChangedError, ConfigurationError
from airflow_mlsecops.hooks.references import ArtifactLike, resolve_artifact
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.operators.base import MlsecopsOperator, check_choice
from airflow_mlsecops.operators.derived import sign_derived

if TYPE_CHECKING:
    from airflow_mlsecops.core.describe.content import Content
    from airflow_mlsecops.core.describe.description import Description
    from airflow_mlsecops.core.describe.evaluation import Evaluation
    from airflow_mlsecops.core.digest import Sha256
    from airflow_mlsecops.core.manifest import Manifest
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class DescribeModelOperator(MlsecopsOperator):
    """Writes a CycloneDX 1.6 ML-BOM and a model card, and signs them as evidence.

    They say what verified evidence says, what the author says, and what was measured here on a pinned data set.
    Only a model that passes the scan, here and now, is loaded, and only with the names that the scan saw.

    Args:
        artifact: the model; the output of ``ScanModelOperator``, say.
        description: the author's words: path of a YAML or JSON file, or a mapping.
        evaluation: data set to measure it on: path, URI or reference; left out, nothing is measured.
        label_column: what the model is to predict there.
        exclude_columns: columns that are no features.
        subgroups: columns by which the figures are told apart.
        attribution: ``permutation``, ``shap`` or ``none``.
        model_file: which file of a folder is the model to load.
        target: folder (absolute path or URI) for a copy of the model with the three documents beside it, which becomes
            the artifact that is handed on: what is signed then holds its own description. It must not exist.

    Example::

        DescribeModelOperator(
            task_id="describe", artifact=scan.output, evaluation=holdout.output, label_column="label"
        )
    """

    template_fields: Sequence[str] = (
        *MlsecopsOperator.template_fields,
        "description",
        "evaluation",
        "label_column",
        "exclude_columns",
        "subgroups",
        "target",
    )
    default_kind: ClassVar[Kind] = Kind.MODEL

    def __init__(
        self,
        *,
        description: str | Mapping[str, Any] | None = None,
        evaluation: ArtifactLike | None = None,
        label_column: str = "",
        exclude_columns: Sequence[str] = (),
        subgroups: Sequence[str] = (),
        attribution: str = "permutation",
        model_file: str = "",
        target: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("attribution", attribution, ("permutation", "shap", "none"))
        if evaluation is not None and not label_column:
            raise ValueError("evaluation needs label_column: what is the model to predict?")
        self.description = description
        self.evaluation = evaluation
        self.label_column = label_column
        self.exclude_columns = list(exclude_columns)
        self.subgroups = list(subgroups)
        self.attribution = attribution
        self.model_file = model_file
        self.target = target

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Gather, measure, write, sign, put."""
        from airflow_mlsecops.core.describe.description import describe
        from airflow_mlsecops.core.predicates import bom

        with self.copied(hook) as (model, path):
            content = self._content(hook, context, model, path)
            written = describe(content)
            for data in written.cards.values():
                hook.store.put_blob(data)
            artifact, digest = model, hook.put(bom.build(model, written.bom))
            self.log.info("Described %s: %d components", model, len(written.bom["components"]))
            self.log.info("Evidence sha256:%s", digest)
            if self.target:
                artifact, digest = self._put_together(hook, context, content, path, written)
        return self.end(context, {"artifact": artifact.to_dict(), "evidence": digest}, said_no="", on_no="fail")

    def _content(self, hook: MlsecopsHook, context: Any, artifact: Artifact, path: Path) -> Content:
        from airflow_mlsecops.core.describe.content import Content
        from airflow_mlsecops.core.describe.lineage import lineage_of

        now = utcnow()
        measured, data, model_class = self._measured(hook, artifact, path)
        return Content.gather(
            artifact,
            self._manifest(artifact, path) if artifact.form is Form.TREE else None,
            self._told(),
            lineage_of(artifact, hook.store, hook.trust, now),
            now,
            evaluation=measured,
            evaluated_on=data,
            model_class=model_class,
            run=run_info(context),
        )

    def _told(self) -> Any:
        from airflow_mlsecops.core.describe.told import Told

        if self.description is None:
            return Told()
        if isinstance(self.description, Mapping):
            return Told.from_mapping(self.description)
        try:
            return Told.from_bytes(Path(self.description).read_bytes())
        except OSError as error:
            raise ConfigurationError(
                f"the description {self.description} can't be read: {error.strerror}", "check the path"
            ) from error

    def _measured(
        self, hook: MlsecopsHook, artifact: Artifact, path: Path
    ) -> tuple[Evaluation | None, Artifact | None, str]:
        """Load what the scan lets through, and measure it."""
        if self.evaluation is None:
            return None, None, ""
        from airflow_mlsecops.core.controls.tables import read_table
        from airflow_mlsecops.core.describe.evaluation import evaluate
        from airflow_mlsecops.core.scanning.load import load_scanned

        data = resolve_artifact(self.evaluation, hook, name="", kind=Kind.DATASET, keep=True)
        model = load_scanned(artifact, path, self.model_file)
        with hook.verified_copy(data) as table:
            found = evaluate(
                model,
                read_table(table),
                label_column=self.label_column,
                exclude=self.exclude_columns,
                subgroups=self.subgroups,
                attribution=self.attribution,
            )
        for metric in found.metrics:
            self.log.info("  %s %.4g on %d rows of %s", metric.name, metric.value, found.rows, data)
        return found, data, f"{type(model).__module__}.{type(model).__qualname__}"

    def _manifest(self, artifact: Artifact, path: Path) -> Manifest:
        """Of the private copy: the model is read from its place once, and these are the bytes that are described."""
        from airflow_mlsecops.core.pinning import pin

        found = pin(str(path)).manifest
        if found.digest != artifact.digest:
            raise _changed(artifact, found.digest)
        return found

    def _put_together(
        self, hook: MlsecopsHook, context: Any, content: Content, path: Path, written: Description
    ) -> tuple[Artifact, Sha256]:
        """Model and description in one new folder, with a bill and provenance of its own.

        The provenance also names what the model was made from: a policy asks about those of the folder, too.
        """
        from airflow_mlsecops.core.manifest import Manifest
        from airflow_mlsecops.core.predicates import bom
        from airflow_mlsecops.hooks.folders import publish_folder

        model, files = content.artifact, written.files
        parts = {each.relative_to(path).as_posix(): each for each in sorted(path.rglob("*")) if each.is_file()}
        sources = parts if path.is_dir() else {path.name: path}
        clash = sorted(set(sources) & set(files))
        if clash:
            raise ConfigurationError(f"the model has a file {clash[0]} already", "leave target out")
        made, manifest = publish_folder({**sources, **files}, self.target, hook, name=model.name, kind=Kind.MODEL)
        of_model = Manifest.of(entry for entry in manifest.entries if entry.name not in files)
        digest = of_model.digest if model.form is Form.TREE else of_model.entries[0].sha256
        if digest != model.digest:
            raise _changed(model, digest)
        told = {"described": sorted(files), **({"evaluated_on": data.digest} if (data := content.evaluated_on) else {})}
        sign_derived(hook, context, made, model, parameters=told, further=content.lineage.direct)
        evidence = hook.put(bom.build(made, written.bom_of(replace(content, artifact=made, manifest=manifest))))
        self.log.info("%s with its description at %s: evidence sha256:%s", made, made.uri, evidence)
        return made, evidence


def _changed(artifact: Artifact, found: Sha256) -> ArtifactChangedError:
    return ArtifactChangedError(
        f"the private copy of {artifact} changed: expected sha256:{artifact.digest}, got sha256:{found}",
        "find out what else runs as this user",
    )
