"""Make a data set without the rows that a detection accuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError, StatementError
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.operators.base import MlsecopsOperator, check_choice, require_text
from airflow_mlsecops.operators.derived import sign_derived

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.digest import Sha256
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

CONTROL = "label-poisoning"


class SanitizeDatasetOperator(MlsecopsOperator):
    """Takes the verdict of a detection, removes or relabels the accused rows, and signs what was done.

    It believes only a verified statement of the control about these very bytes. The derived data set is a new file,
    never written over another; its provenance names the original, the rule and the account: which rows, which
    labels, who accused them. What was removed is no longer an attack, but nobody has judged the rest again: let the
    detection run over the derived data set too.

    Args:
        artifact: the output of ``DetectLabelPoisoningOperator`` (with ``on_fail="continue"``).
        target: path or URI of the derived file; nothing else may lie there.
        label_column: the column with the labels.
        id_column: as the detection was told.
        rule: ``remove`` the accused rows, or ``relabel`` them with what the other rows say.
        detectors: only rows that one of these accuses; by default all that are accused.
        max_share: fails when more than this share of the rows is accused: somebody has to look first.

    Example::

        SanitizeDatasetOperator(
            task_id="sanitize", artifact=poisoning.output, target="s3://data/clean.csv", label_column="label"
        )
    """

    template_fields: Sequence[str] = (
        *MlsecopsOperator.template_fields,
        "target",
        "label_column",
        "id_column",
        "detectors",
        "max_share",
    )
    default_kind: ClassVar[Kind] = Kind.DATASET

    def __init__(
        self,
        *,
        target: str,
        label_column: str,
        id_column: str | None = None,
        rule: str = "remove",
        detectors: Sequence[str] | None = None,
        max_share: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("rule", rule, ("remove", "relabel"))
        self.target = target
        self.label_column = label_column
        self.id_column = id_column
        self.rule = rule
        self.detectors = detectors
        self.max_share = max_share

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Verify the verdict, rewrite a private copy, write, pin, sign, put."""
        from airflow_mlsecops.core.poisoning.sanitize import sanitize, suspects_from

        require_text("target", self.target)
        artifact = self.resolve(hook)
        evidence, suspects = self._verdict(hook, artifact)
        with hook.verified_copy(artifact) as path:
            made = sanitize(
                path,
                suspects_from(hook.store.get_blob(suspects)),
                rule=self.rule,  # type: ignore[arg-type]  # checked in __init__
                label_column=self.label_column,
                id_column=self.id_column,
                detectors=self.detectors,
                max_share=float(self.max_share),
            )
        account = hook.store.put_blob(made.account)
        derived = self._written(hook, made.data, self.artifact_name or f"{artifact.name}-sanitized")
        parameters = {
            "rule": self.rule,
            "verdict": evidence,
            "suspects": suspects,
            "account": account,
            "touched": made.touched,
            "rows": made.rows,
            "detectors": None if self.detectors is None else list(self.detectors),
        }
        digest = sign_derived(hook, context, derived, artifact, parameters=parameters)
        self.log.info("%s: %d rows by the rule %r, account sha256:%s", derived, made.touched, self.rule, account)
        self.log.info("Evidence sha256:%s", digest)
        counts = {"touched": made.touched, "rows": made.rows, "account": account}
        return self.end(
            context, {"artifact": derived.to_dict(), "evidence": digest, **counts}, said_no="", on_no="fail"
        )

    def _verdict(self, hook: MlsecopsHook, artifact: Artifact) -> tuple[Sha256, Sha256]:
        """Digests of the detection's verified statement and of its list of suspects.

        Raises:
            ConfigurationError: if the artifact isn't a detection's output.
            StatementError: if the statement isn't verified, isn't about these bytes, or names no suspects.
        """
        named = self.artifact.get("evidence") if isinstance(self.artifact, Mapping) else None
        if not named:
            raise ConfigurationError(
                "the artifact names no evidence", "hand over the output of DetectLabelPoisoningOperator"
            )
        for item in collect(hook.store, artifact.digest, hook.trust, utcnow()).of("test-result"):
            if item.digest != named or control_run.parse(item.statement).control != CONTROL:
                continue
            blobs = item.statement.predicate[control_run.CONTROL_RUN]["blobs"]
            for blob in blobs:
                if blob["name"] == "suspects.json":
                    return item.digest, blob["digest"]["sha256"]
        raise StatementError(
            f"no verified {CONTROL} statement sha256:{str(named)[:64]} about these bytes lists suspects",
            "let the detection run over this data set; a detection that couldn't judge lists none",
        )

    def _written(self, hook: MlsecopsHook, data: bytes, name: str) -> Artifact:
        """The derived file, whole and where nothing was; what lies there then has to be these bytes."""
        from airflow_mlsecops.hooks.snapshots import publish

        with TemporaryDirectory(prefix="mlsecops-") as folder:
            spool = Path(folder) / "sanitized"
            spool.write_bytes(data)
            return publish(spool, sha256_bytes(data), self.target, hook, name=name)
