"""``mlsecops graph``."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from airflow_mlsecops.core.pinning import pin
from tests.cli.conftest import Run
from tests.cli.released import Released


def test_a_model_by_its_path(run: Run, released: Released) -> None:
    done = run("graph", released.model, *released.options)

    assert done.code == 0
    assert "made from:" in done.out
    assert pin(str(released.data)).artifact.digest in done.out
    assert "approval" in done.out


def test_a_data_set_leads_to_the_model(run: Run, released: Released) -> None:
    digest = pin(str(released.data)).artifact.digest
    document = run("graph", f"sha256:{digest}", *released.options, "--direction", "uses", "--json").json

    assert document["edges"] == [
        {"made": released.model_artifact.digest, "from": digest, "evidence": released.digests["provenance"]}
    ]


def test_a_picture(run: Run, released: Released) -> None:
    done = run("graph", released.model, *released.options, "--svg")

    assert done.code == 0
    assert ET.fromstring(done.out).tag.endswith("svg")


def test_nothing_known_is_a_no(run: Run, released: Released) -> None:
    done = run("graph", "a" * 64, *released.options)

    assert done.code == 1
    assert "nothing that counts is known" in done.out


def test_without_trust_there_is_no_graph(run: Run, released: Released) -> None:
    assert run("graph", released.model, "--store", released.evidence).code == 2
