"""Which frame each control speaks to: every control of ours is there, and names are those of the frames."""

from __future__ import annotations

import re

import pytest

from airflow_mlsecops.core.atlas import ATLAS, ATLAS_RELEASE
from airflow_mlsecops.core.compliance import load
from airflow_mlsecops.core.controls import label_poisoning, validation
from airflow_mlsecops.core.predicates import APPROVAL, PROVENANCE, REVOCATION, SIGNATURE, VERIFICATION_SUMMARY
from airflow_mlsecops.core.profile import find
from airflow_mlsecops.core.scanning import rules

FORMS = {
    "atlas": r"AML\.[TM]\d{4}(\.\d{3})?",
    "owasp-ml": r"ML(0[1-9]|10):2023",
    "nist-ai-rmf": r"(GOVERN|MAP|MEASURE|MANAGE) [1-6]\.\d+",
    "eu-ai-act": r"Art\. (9|1[0-5])",
    "iso-42001": r"A\.([2-9]|10)(\.\d+){1,2}",
}


def test_every_control_and_decision_is_mapped() -> None:
    modules = (label_poisoning, validation, find, rules)
    ours = {module.CONTROL for module in modules}
    ours |= {kind.slug for kind in (APPROVAL, PROVENANCE, REVOCATION, SIGNATURE, VERIFICATION_SUMMARY)}
    assert ours <= {mapped.control for mapped in load().controls}


@pytest.mark.parametrize("frame", FORMS)
def test_items_are_numbered_as_the_frame_numbers_them(frame: str) -> None:
    items = [item for mapped in load().controls for item in mapped.speaks_to.get(frame, ())]
    assert len(items) >= 4
    assert [item.id for item in items if not re.fullmatch(FORMS[frame], item.id)] == []
    assert len({item.id for item in items}) == len(set(items)), "one item has two titles"


def test_techniques_have_the_names_of_the_release_that_findings_cite() -> None:
    mapping = load()
    assert next(frame.edition for frame in mapping.frames if frame.id == "atlas") == ATLAS_RELEASE
    techniques = {item for mapped in mapping.controls for item in mapped.speaks_to.get("atlas", ())}
    wrong = {item for item in techniques if item.id.startswith("AML.T") and not ATLAS[item.id].endswith(item.title)}
    assert wrong == set()


def test_a_frame_that_nothing_is_known_of_is_no_frame() -> None:
    assert load().of("no such control") is None
    assert {frame.id for frame in load().frames} == set(FORMS)
