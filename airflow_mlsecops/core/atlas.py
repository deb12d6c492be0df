"""The techniques of MITRE ATLAS that findings cite, by the names of one release: names and ids shift.

Source: https://github.com/mitre-atlas/atlas-data, release 2026.07. By then AML.T0020 had got another name,
sub-techniques of AML.T0018 had got other meanings, and AML.T0019, AML.T0058 and AML.T0104 had ended.
"""

from __future__ import annotations

from collections.abc import Iterable

ATLAS_RELEASE = "2026.07"

ATLAS: dict[str, str] = {
    "AML.T0010": "AI Supply Chain Compromise",
    "AML.T0011": "User Execution",
    "AML.T0011.000": "User Execution: Unsafe AI Artifacts",
    "AML.T0018": "Manipulate AI Model",
    "AML.T0020": "Training Data Poisoning",
    "AML.T0024": "Exfiltration via AI Inference API",
    "AML.T0029": "Denial of AI Service",
    "AML.T0031": "Erode AI Model Integrity",
    "AML.T0043": "Craft Adversarial Data",
    "AML.T0043.004": "Craft Adversarial Data: Insert Backdoor Trigger",
    "AML.T0051.001": "LLM Prompt Injection: Indirect",
    "AML.T0055": "Unsecured Credentials",
    "AML.T0057": "LLM Data Leakage",
    "AML.T0059": "Erode Dataset Integrity",
    "AML.T0068": "LLM Prompt Obfuscation",
}
"""Id -> name; a test holds every id that is written anywhere against it."""


def named(techniques: Iterable[str]) -> str:
    """Ids of techniques, those of ATLAS with their names."""
    return ", ".join(f"{each} {ATLAS[each]}" if each in ATLAS else each for each in techniques)
