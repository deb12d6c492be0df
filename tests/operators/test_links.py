"""From every task of ours a link leads to its evidence, from a control also to its report."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

import pytest
from airflow.sdk import BaseOperator

from airflow_mlsecops.links import EvidenceLink, ReportLink, evidence_url, report_url, request_url
from airflow_mlsecops.operators.control import ControlOperator
from airflow_mlsecops.plugin.links import Links
from airflow_mlsecops.provider_info import get_provider_info

SHA256, EVIDENCE = "a" * 64, "b" * 64


def operators() -> Iterator[type[BaseOperator]]:
    """Every operator and sensor that Airflow is told of."""
    info = get_provider_info()
    for module in (name for kind in ("operators", "sensors") for name in info[kind][0]["python-modules"]):
        for found in vars(importlib.import_module(module)).values():
            if inspect.isclass(found) and issubclass(found, BaseOperator) and found.__module__ == module:
                yield found


OPERATORS = list(operators())


def test_there_are_operators() -> None:
    assert len(OPERATORS) > 15
    assert sum(issubclass(each, ControlOperator) for each in OPERATORS) >= 3


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_it_links_to_its_evidence(operator: type[BaseOperator]) -> None:
    links = operator.operator_extra_links
    assert any(isinstance(link, EvidenceLink) for link in links)
    if issubclass(operator, ControlOperator):
        assert any(isinstance(link, ReportLink) for link in links)


def test_links_of_tasks_lead_where_the_pages_are() -> None:
    pages, dag = Links.under("/", "/mlsecops"), "a Dag/of mine"
    assert evidence_url(dag, SHA256).endswith(pages.page(dag, SHA256))
    assert report_url(dag, SHA256, EVIDENCE).endswith(pages.report(dag, SHA256, EVIDENCE))
    assert request_url(dag, SHA256, EVIDENCE).endswith(pages.request(dag, SHA256, EVIDENCE))
