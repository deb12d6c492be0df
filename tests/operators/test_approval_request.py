"""What an approver's screen says in short: never more than all of the evidence does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_mlsecops.core.approving.asking import MAX_SOURCES, Terms, new_request, sections
from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.operators.approval_request import screen
from tests.support.evidence import World, artifact, provenance_statement

TERMS = Terms(("alice",), 1, Assurance.RECORDED, timedelta(days=1), timedelta(hours=1), True)


@pytest.mark.parametrize(("verdict", "said"), [(Verdict.PASS, "2 checks, and all passed"), (Verdict.FAIL, "hidden")])
def test_a_check_of_data_that_are_not_shown_counts(verdict: Verdict, said: str) -> None:
    world = World()
    older = [artifact(f"older {n:02}", Kind.DATASET) for n in range(MAX_SOURCES + 5)]
    world.provenance(inputs=[world.dataset])
    world.put(provenance_statement(world.dataset, older, world.ago(3)), "pipeline")
    world.control()
    world.control(older[-1], control="hidden", verdict=verdict)
    dossier = world.dossier()
    assert older[-1].name not in str([name for name, _ in sections(dossier)])

    asked = new_request(dossier, TERMS, triggered_by="dave", now=world.now)
    lines = screen(world.model, asked, "0" * 64, dossier, dag_id="d", run_id="r").splitlines()
    (line,) = (line for line in lines if line.startswith("- ") and "check" in line)
    assert said in line
