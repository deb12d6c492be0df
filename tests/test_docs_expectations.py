"""The page of security expectations lists what the classes have; its examples and the how-to's suite are read."""

from __future__ import annotations

import json
import re

import pytest

from airflow_mlsecops.core.atlas import ATLAS_RELEASE
from airflow_mlsecops.core.controls.suite import load_suite
from airflow_mlsecops.core.validation.plain import PLAIN
from airflow_mlsecops.core.validation.security.threats import THREATS
from airflow_mlsecops.expectations.suites import resolve_suite, shipped_suites
from tests.support.doc_pages import blocks, pages, words

PAGE = pages()["docs/reference/expectations.md"]
SECTIONS = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_each_expectation_has_its_section() -> None:
    assert list(SECTIONS) == sorted(THREATS)
    assert f"release {ATLAS_RELEASE}" in PAGE


@pytest.mark.parametrize("kind", sorted(THREATS))
def test_a_section_tells_threat_techniques_arguments_and_cost(kind: str) -> None:
    text = SECTIONS[kind]
    (against,) = re.findall(r"^Against (.*?): (.*?)\. Cost: (\d+\.\d)\.$", text, re.MULTILINE)
    assert against[0] == THREATS[kind].words
    assert tuple(words(against[1])) == THREATS[kind].techniques
    told = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert set(told) == set(PLAIN[kind])


def test_examples_are_read_strictly() -> None:
    examples = [json.loads(block.code) for block in blocks("json") if block.mark == "expectation example"]
    assert [each["type"] for each in examples] == sorted(THREATS)
    assert load_suite({"name": "page", "expectations": examples}).expectations == len(THREATS)
    (suite,) = [json.loads(block.code) for block in blocks("json") if block.mark == "security suite"]
    assert load_suite(suite).expectations == 5


def test_the_ready_suites_are_told() -> None:
    page = pages()["docs/how-to/check-data-for-attacks.md"]
    ready = [name for name in shipped_suites() if name.endswith("_security")]
    assert re.findall(r"^\| `(\w+_security)` \|", page, re.MULTILINE) == sorted(ready, key=page.index)
    assert len(ready) == 3
    used = {item["type"] for name in ready for item in resolve_suite(name)["expectations"]}
    assert len(used & set(THREATS)) >= 9
