"""A control as a task. The story, told once: pin -> run -> report -> statement -> sign -> put -> reference -> end."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.errors import DataError, MlsecopsError
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.report import REPORT, Report, Verdict
from airflow_mlsecops.hooks.metrics import count, lasted
from airflow_mlsecops.hooks.notifying import Event
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.links import EvidenceLink, ReportLink
from airflow_mlsecops.operators.base import MlsecopsOperator, OnNo, check_choice

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.digest import Sha256
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

SHOWN_FINDINGS = 10


class ControlOperator(MlsecopsOperator):
    """Base of all controls. A new control is one core function ``(artifact, path, …) -> Report`` and :meth:`control`.

    Args:
        on_fail: what to do when the verdict is FAIL: ``fail`` the task (never retried: the bytes would be the same),
            ``skip`` it, or ``continue``. Whatever is chosen, the verdict is signed evidence, and a gate reads that.
    """

    control_name: ClassVar[str]
    event_of_no: ClassVar[Event] = Event.FINDING
    operator_extra_links = (EvidenceLink(), ReportLink())

    def __init__(self, *, on_fail: OnNo = "fail", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("on_fail", on_fail, ("fail", "skip", "continue"))
        self.on_fail = on_fail
        self.report_evidence = ""

    @abstractmethod
    def control(self, artifact: Artifact, path: Path) -> Report:
        """Look at the artifact; ``path`` is a private copy of its pinned bytes."""

    @contextmanager
    def opened(self, hook: MlsecopsHook) -> Iterator[tuple[Artifact, Path]]:
        """What is judged: the pinned artifact, and a private copy of its bytes."""
        with self.copied(hook) as (artifact, path):
            yield artifact, path

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Tell the story of the module's first line."""
        with self.opened(hook) as (artifact, path):
            started = time.monotonic()
            report = self._report(hook, context, artifact, path)
            tags = {"control": self.control_name, "dag_id": str(self.dag_id)}
            lasted("mlsecops.control.duration", time.monotonic() - started, **tags)
        digest = hook.record(report, run_info(context))
        self._tell(report, digest)
        self.recorded(hook, context, report, digest)
        if report.verdict is Verdict.WARN:
            warned = f"{report.control} of {artifact} has a warning"
            self.notify(Event.FINDING, context, warned, report.summary, reference(report, digest))
        said_no = "" if report else f"{report.control} of {artifact} failed: {report.summary}"
        return self.end(context, reference(report, digest), said_no=said_no, on_no=self.on_fail)

    def recorded(self, hook: MlsecopsHook, context: Any, report: Report, digest: Sha256) -> None:
        """What else is to be done once the verdict is signed and stored; it happens whatever the verdict is."""
        self.report_evidence = digest if REPORT in report.blobs else ""

    def _report(self, hook: MlsecopsHook, context: Any, artifact: Artifact, path: Path) -> Report:
        """Run the control; data that can't be judged is a FAIL, and so is a crash, which is also raised."""
        try:
            return self.control(artifact, path)
        except DataError as error:
            return self._failed(artifact, "cannot-judge", error.message)
        except MlsecopsError:
            raise  # a mistake in the Dag or a store that is down says nothing about the data
        except Exception as error:
            crashed = self._failed(artifact, "crashed", f"the control crashed with {type(error).__name__}")
            self._tell(crashed, hook.record(crashed, run_info(context)))
            raise

    def _failed(self, artifact: Artifact, rule: str, message: str) -> Report:
        finding = Finding(f"{self.control_name}/{rule}", Severity.CRITICAL, message)
        return Report(artifact, self.control_name, Verdict.FAIL, message, (finding,))

    def _tell(self, report: Report, digest: Sha256) -> None:
        """The story in a few lines that a person can follow, and in figures."""
        dag_id = str(self.dag_id)
        count(f"mlsecops.controls.{report.verdict.value}", control=report.control, dag_id=dag_id)
        for severity, number in Counter(finding.severity.value for finding in report.findings).items():
            count("mlsecops.findings", number, control=report.control, severity=severity, dag_id=dag_id)
        self.log.info("%s: %s - %s", report.control, report.verdict.upper(), report.summary)
        for finding in report.findings[:SHOWN_FINDINGS]:
            self.log.info("  [%s] %s: %s %s", finding.severity, finding.rule, finding.message, finding.where)
        if len(report.findings) > SHOWN_FINDINGS:
            self.log.info("  … and %d more in the report", len(report.findings) - SHOWN_FINDINGS)
        self.log.info("Evidence sha256:%s", digest)


def reference(report: Report, digest: Sha256) -> dict[str, Any]:
    """What travels through XCom: digests, counts and the verdict."""
    return {
        "artifact": report.subject.to_dict(),
        "control": report.control,
        "verdict": report.verdict.value,
        "summary": report.summary[:500],
        "findings": len(report.findings),
        "evidence": digest,
    }
