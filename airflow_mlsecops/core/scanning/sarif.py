"""Findings as SARIF 2.1.0, for tools that show results of code scanning.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from airflow_mlsecops import __version__
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.findings import Finding, Severity

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.CRITICAL: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def to_sarif(findings: Sequence[Finding], uri: str) -> bytes:
    """One run, with a rule for each kind of finding and a result for each finding.

    Args:
        findings: of any control.
        uri: of the artifact; a finding's place is told relative to it.
    """
    ids = sorted({item.rule for item in findings})
    techniques = {item.rule: list(item.techniques) for item in findings}
    rules = [{"id": name, "properties": {"tags": techniques[name]}} for name in ids]
    results = [
        {
            "ruleId": item.rule,
            "ruleIndex": ids.index(item.rule),
            "level": _LEVELS[item.severity],
            "message": {"text": item.message},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": quote(uri, safe="/:@")}},
                    "logicalLocations": [{"fullyQualifiedName": item.where or uri}],
                }
            ],
        }
        for item in findings
    ]
    driver = {
        "name": "airflow-mlsecops",
        "version": __version__,
        "informationUri": "https://airflow-mlsecops.readthedocs.io/",
        "rules": rules,
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return canonical_json(document)
