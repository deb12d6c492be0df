"""Every rule of the scan: what it is about and how bad a hit is. One visible table; an unknown rule can't be reported.

Techniques: MITRE ATLAS AML.T0010 (AI supply chain compromise), AML.T0011.000 (unsafe AI artifacts), AML.T0018
(manipulate AI model), AML.T0024 (exfiltration via AI inference API), AML.T0055 (unsecured credentials); OWASP ML06:2023
(AI supply chain attacks), ML04:2023 (membership inference).
"""

from __future__ import annotations

from airflow_mlsecops.core.findings import Finding, Severity

CONTROL = "model-scan"
IMPORTS_BLOB = "imports.json"
"""What a scan calls the list of names that loading the model needs."""

_CODE = ("AML.T0011.000", "ML06:2023")
_SHAPE = ("AML.T0010", "ML06:2023")
_SECRET = ("AML.T0055",)
_ROWS = ("AML.T0024", "ML04:2023")

RULES: dict[str, tuple[Severity, tuple[str, ...]]] = {
    # pickles: what would run
    "global-not-allowed": (Severity.CRITICAL, _CODE),
    "dotted-name": (Severity.CRITICAL, _CODE),
    "call-not-allowed": (Severity.CRITICAL, _CODE),
    "computed-callable": (Severity.CRITICAL, _CODE),
    "arguments-not-allowed": (Severity.CRITICAL, _CODE),
    "build-not-allowed": (Severity.CRITICAL, _CODE),
    "mutation-not-allowed": (Severity.CRITICAL, _CODE),
    "extension-code": (Severity.CRITICAL, _CODE),
    "persistent-id": (Severity.CRITICAL, _CODE),
    "unusual-opcode": (Severity.CRITICAL, _CODE),
    "special-name": (Severity.CRITICAL, _CODE),
    "object-in-structure": (Severity.CRITICAL, _CODE),
    # pickles: their form
    "malformed": (Severity.CRITICAL, _SHAPE),
    "truncated": (Severity.CRITICAL, _SHAPE),
    "trailing-bytes": (Severity.CRITICAL, _SHAPE),
    "memo": (Severity.CRITICAL, _SHAPE),
    "array-desync": (Severity.CRITICAL, _SHAPE),
    "too-large": (Severity.CRITICAL, _SHAPE),
    # containers
    "archive-irregular": (Severity.CRITICAL, _SHAPE),
    "archive-name": (Severity.CRITICAL, _SHAPE),
    "archive-duplicate": (Severity.CRITICAL, _SHAPE),
    "archive-bomb": (Severity.CRITICAL, _SHAPE),
    "archive-encrypted": (Severity.CRITICAL, _SHAPE),
    "archive-nested": (Severity.CRITICAL, _SHAPE),
    "polyglot": (Severity.CRITICAL, _SHAPE),
    "extension-mismatch": (Severity.CRITICAL, _SHAPE),
    # formats
    "header-bounds": (Severity.CRITICAL, _SHAPE),
    "external-data": (Severity.CRITICAL, _SHAPE),
    "custom-operator": (Severity.CRITICAL, _CODE),
    "embedded-code": (Severity.CRITICAL, _CODE),
    "template": (Severity.CRITICAL, _CODE),
    "untrusted-type": (Severity.CRITICAL, _CODE),
    "file-or-shell-operator": (Severity.CRITICAL, _CODE),
    "unknown-format": (Severity.CRITICAL, _SHAPE),
    "not-examined": (Severity.CRITICAL, _SHAPE),
    "crashed": (Severity.CRITICAL, _SHAPE),
    # imports
    "new-import": (Severity.WARNING, _SHAPE),
    "gone-import": (Severity.WARNING, _SHAPE),
    # secrets and leftovers
    "private-key": (Severity.CRITICAL, _SECRET),
    "credential": (Severity.CRITICAL, _SECRET),
    "home-path": (Severity.INFO, ()),
    "notebook-output": (Severity.WARNING, ()),
    "training-rows": (Severity.INFO, _ROWS),
    "table-inside": (Severity.WARNING, _ROWS),
    # second opinions
    "second-opinion": (Severity.WARNING, _CODE),
    "second-opinion-failed": (Severity.WARNING, ()),
}


def finding(rule: str, message: str, where: str = "") -> Finding:
    """A hit of one of the rules above.

    Raises:
        KeyError: if there is no such rule.
    """
    severity, techniques = RULES[rule]
    return Finding(f"{CONTROL}/{rule}", severity, message, where, techniques)
