"""Model scan: could these files attack whoever loads them?

Default-deny: a file passes when its format is known, was followed to its last byte, and names nothing but classes of
known packages. A scan is no proof that a model is good: numbers can be poisoned, and code that *uses* a model can be
tricked by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from airflow_mlsecops import __version__
from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.report import REPORT, Report, Verdict, verdict_of
from airflow_mlsecops.core.scanning.allow_list import packaged
from airflow_mlsecops.core.scanning.limits import Limits
from airflow_mlsecops.core.scanning.outcome import Outcome
from airflow_mlsecops.core.scanning.report_html import report_page
from airflow_mlsecops.core.scanning.rules import CONTROL, IMPORTS_BLOB, finding
from airflow_mlsecops.core.scanning.sarif import to_sarif
from airflow_mlsecops.core.scanning.scan import Scan

__all__ = ["CONTROL", "scan_model"]

MAX_IMPORTS = 1000
SARIF_BLOB = "findings.sarif.json"


def scan_model(
    artifact: Artifact,
    path: Path,
    *,
    allow_lists: Sequence[bytes] = (),
    pinned_imports: Iterable[str] | None = None,
    opinions: Sequence[str] = (),
    limits: Limits | None = None,
) -> Report:
    """Scan a model's files.

    1. Follow every part by the format of its bytes, with the packaged allow-lists and the user's own.
    2. Compare the names that its pickles need with the pinned ones: any difference needs a person.
    3. Ask other scanners, where wanted: they can turn a pass into a review, and never a refusal into a pass.
    4. Only COMPLETE and CLEAN over every byte passes.

    The caller still owes: that ``path`` is a private copy of the artifact's pinned bytes, and that ``allow_lists`` and
    ``pinned_imports`` come from evidence that was verified.

    Args:
        artifact: what is judged.
        path: the file, or the folder.
        allow_lists: users' lists, as bytes; see ``docs/how-to/scan-model.md``.
        pinned_imports: names that the last release needed; None if there is nothing to compare with.
        opinions: names of other scanners to ask: ``picklescan``, ``modelaudit``.
        limits: bounds of the scan.

    Raises:
        ConfigurationError: if an allow-list can't be read, or a scanner isn't known.
        MissingExtraError: if a scanner isn't installed.
    """
    allowed = packaged().extended(allow_lists)
    # 1.
    outcome = Scan(allowed, limits).tree(path)
    imports = sorted(outcome.globals)
    # 2.
    findings = [*outcome.findings, *_compared(imports, pinned_imports)]
    # 3.
    tools = {"airflow-mlsecops": __version__}
    if opinions:
        from airflow_mlsecops.core.scanning.opinions import ask

        for name in opinions:
            opinion = ask(name, path)
            tools[name] = opinion.version
            findings += opinion.findings
    findings.sort(key=lambda item: -item.severity.rank)
    # 4.
    verdict = _verdict(outcome, findings)
    report = Report(
        subject=artifact,
        control=CONTROL,
        verdict=verdict,
        summary=_summary(outcome, findings, len(imports)),
        findings=tuple(findings),
        metrics=_metrics(outcome, imports),
        parameters={
            "allow_list_sha256": allowed.digest,
            "allow_lists": dict(allowed.sources),
            "pinned_imports": None if pinned_imports is None else _digest(sorted(set(pinned_imports))),
            "opinions": list(opinions),
        },
        tools=tools,
        details=outcome.to_dict(),
        blobs={IMPORTS_BLOB: canonical_json(imports), SARIF_BLOB: to_sarif(findings, artifact.uri)},
    )
    return replace(report, blobs={**report.blobs, REPORT: report_page(report, outcome)})


def _compared(imports: Sequence[str], pinned: Iterable[str] | None) -> list[Finding]:
    """Each difference is a warning: another kind of model than the last one is for a person to look at."""
    if pinned is None:
        return []
    known, needed = set(pinned), set(imports)
    new = [("new-import", name, "it needs {!r}, which the last release didn't") for name in sorted(needed - known)]
    gone = [
        ("gone-import", name, "it doesn't need {!r}, which the last release did") for name in sorted(known - needed)
    ]
    return [finding(rule, message.format(name), name) for rule, name, message in (*new, *gone)]


def _verdict(outcome: Outcome, findings: Sequence[Finding]) -> Verdict:
    verdict = verdict_of(tuple(findings))
    passes = bool(outcome) or (verdict is Verdict.WARN and outcome.bytes_examined == outcome.bytes_total > 0)
    return verdict if passes else Verdict.FAIL


def _metrics(outcome: Outcome, imports: Sequence[str]) -> Mapping[str, object]:
    return {
        "status": outcome.status.value,
        "judgement": outcome.judgement.value,
        "coverage_share": round(outcome.coverage, 6),
        "bytes": outcome.bytes_total,
        "parts": len(outcome.parts),
        "formats": sorted({part.format for part in outcome.parts}),
        "imports": list(imports[:MAX_IMPORTS]),
        "imports_total": len(imports),
        "imports_sha256": _digest(imports),
    }


def _digest(imports: Sequence[str]) -> str:
    return sha256_bytes(canonical_json(list(imports)))


def _summary(outcome: Outcome, findings: Sequence[Finding], imports: int) -> str:
    state = f"{outcome.status.value}, {outcome.judgement.value}, {outcome.coverage:.0%} of {outcome.bytes_total} bytes"
    parts = f"{len(outcome.parts)} parts, {imports} imports"
    bad = [item for item in findings if item.severity is not Severity.INFO]
    if not bad:
        return f"{state}; {parts}"
    rule = bad[0].rule.removeprefix(f"{CONTROL}/")
    return f"{state}; {parts}; {len(bad)} findings; worst: {rule}: {bad[0].message}"[:1000]
