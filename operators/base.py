"""What all operators here share: one artifact, one connection, one way to end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import ConfigurationError, MlsecopsError
from airflow_mlsecops.hooks.metrics import count
from airflow_mlsecops.hooks.mlsecops import DEFAULT_CONN_ID, MlsecopsHook
from airflow_mlsecops.hooks.notifying import Event, tell
from airflow_mlsecops.hooks.references import ArtifactLike, pinned_or_uri, resolve_artifact
from airflow_mlsecops.links import EvidenceLink, evidence_url
from airflow_mlsecops.operators.reference import bounded, check_fits

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.pinning import Pin, Reuse

OnNo = Literal["fail", "skip", "continue"]


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a misspelt choice when the Dag is parsed, not when it runs.

    Raises:
        ValueError: naming the choices.
    """
    if value not in choices:
        raise ValueError(f"{name}={value!r}: expected one of {', '.join(choices)}")


@contextmanager
def permanent_errors_fail() -> Iterator[None]:
    """Let a retry mend what it can (a store that is down), and fail at once on what it can't (a refused signature)."""
    try:
        yield
    except MlsecopsError as error:
        if error.transient:
            raise
        raise AirflowFailException(str(error)) from error


class MlsecopsOperator(BaseOperator):
    """Base of the operators that work on one artifact.

    Args:
        artifact: a path or URI, which is pinned now; or the output of a task that pinned it before, which keeps its
            digest.
        artifact_name: what people call it, if it is pinned here.
        artifact_kind: ``dataset`` or ``model``, if it is pinned here.
        mlsecops_conn_id: the connection that names evidence store, signer and trust policy.
    """

    template_fields: Sequence[str] = ("artifact", "artifact_name", "mlsecops_conn_id")
    operator_extra_links: Sequence[BaseOperatorLink] = (EvidenceLink(),)
    ui_color = "#e6f4ea"
    default_kind: ClassVar[Kind] = Kind.DATASET
    keeps_manifest: ClassVar[bool] = True
    event_of_no: ClassVar[Event] = Event.REFUSAL

    def __init__(
        self,
        *,
        artifact: ArtifactLike,
        artifact_name: str = "",
        artifact_kind: Kind | str | None = None,
        mlsecops_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.artifact = artifact
        self.artifact_name = artifact_name
        self.artifact_kind = Kind(artifact_kind or self.default_kind).value
        self.mlsecops_conn_id = mlsecops_conn_id
        self.pinned_digest = ""
        self.told: dict[str, Any] = {}

    def execute(self, context: Any) -> dict[str, Any]:
        """Do the work; what it returns is the XCom reference."""
        with permanent_errors_fail():
            return self.work(MlsecopsHook(self.mlsecops_conn_id), context)

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """What a subclass does."""
        raise NotImplementedError(f"{type(self).__name__} does nothing")

    def resolve(self, hook: MlsecopsHook, reuse: Reuse | None = None, *, remember_local: bool = False) -> Artifact:
        """Pin the artifact, or take the pinned one that was handed over; remember its digest for the link."""
        artifact = resolve_artifact(
            self.artifact,
            hook,
            name=self.artifact_name,
            kind=self.artifact_kind,
            keep=self.keeps_manifest,
            reuse=reuse,
            remember_local=remember_local,
        )
        self._note(artifact)
        return artifact

    @contextmanager
    def copied(self, hook: MlsecopsHook, within: str = "") -> Iterator[tuple[Artifact, Path]]:
        """As :meth:`resolve`, with a private copy of the bytes; what is pinned here is read once for both.

        Args:
            hook: of the evidence.
            within: a folder for the copy; by default the system's.
        """
        found = pinned_or_uri(self.artifact)
        if isinstance(found, str):
            name, kind, keep = self.artifact_name, self.artifact_kind, self.keeps_manifest
            with hook.pinned_copy(found, name=name, kind=kind, keep=keep, within=within) as (artifact, path):
                self._note(artifact)
                yield artifact, path
        else:
            self._note(found)
            with hook.verified_copy(found, within) as path:
                yield found, path

    def _note(self, artifact: Artifact) -> None:
        check_fits(artifact)
        self.pinned_digest = artifact.digest
        self.log.info("Artifact %s at %s", artifact, artifact.uri)
        self.log.info("  %d files, %d bytes, sha256:%s", artifact.files, artifact.size, artifact.digest)

    def unchanged(self, hook: MlsecopsHook, artifact: Artifact) -> Artifact:
        """Hash what lies at the artifact's URI again, because a gate decides about the bytes that are there *now*.

        Raises:
            ArtifactChangedError: if they are no longer the pinned ones.
        """
        self.hashed_again(hook, artifact)
        return artifact

    def hashed_again(self, hook: MlsecopsHook, artifact: Artifact, reuse: Reuse | None = None) -> Pin:
        """The same, for those who need to know each file's digest.

        Raises:
            ArtifactChangedError: if they are no longer the pinned ones.
        """
        again = hook.recheck(artifact, reuse)
        self.log.info("Hashed again: the bytes are the pinned ones")
        if again.reused:
            told = "  %d files (%d bytes) were not read: an earlier, signed pin has their digests"
            self.log.info(told, len(again.reused), again.reused_bytes)
        return again

    def end(self, context: Any, reference: Mapping[str, Any], *, said_no: str, on_no: str) -> dict[str, Any]:
        """Hand the reference on; on a NO fail, skip or go on, as the author chose.

        Raises:
            AirflowFailException: on a NO with ``fail``: never retried, because the bytes would be the same.
            AirflowSkipException: on a NO with ``skip``.
        """
        small = bounded(reference)
        self.told = dict(reference)
        context["ti"].xcom_push(key="mlsecops", value=small)
        answer = "mlsecops.answers.no" if said_no else "mlsecops.answers.yes"
        count(answer, operator=type(self).__name__, dag_id=str(self.dag_id))
        if said_no:
            self.notify(self.event_of_no, context, f"{self.task_id} said NO", said_no, small)
        if not said_no or on_no == "continue":
            if said_no:
                self.log.warning("Going on although the answer is NO, as told by the Dag's author: %s", said_no)
            return small
        raise (AirflowSkipException if on_no == "skip" else AirflowFailException)(said_no)

    def notify(self, event: Event, context: Any, subject: str, text: str, reference: Mapping[str, Any]) -> None:
        """Tell whom ``[mlsecops] notifiers`` names; never fails."""
        told = {"subject": f"{self.dag_id}: {subject}", "text": text, "reference": dict(reference)}
        url = evidence_url(str(self.dag_id), self.pinned_digest) if self.pinned_digest else ""
        tell(event, {**told, "evidence": reference.get("evidence", ""), "url": url}, context)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Asked by Airflow's OpenLineage provider, also when the task failed on a NO."""
        from airflow_mlsecops.lineage import evidence_lineage

        return evidence_lineage(self.told)


def require_text(name: str, value: Any) -> None:
    """Refuse an empty parameter that a template may have left empty.

    Raises:
        ConfigurationError: naming it.
    """
    if not isinstance(value, str) or not value.strip() or value == "None":
        raise ConfigurationError(f"{name} is empty", "check the parameter, and the template that fills it")
