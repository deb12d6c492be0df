"""A report is shown once its statement is verified, to those who may read its Dag, and can do nothing in a browser."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.report import REPORT, Report, Verdict
from airflow_mlsecops.links import report_url
from tests.plugin.pages import BLUE, RED, PipelineWorld, api, page, run
from tests.support.airflow_server import AirflowServer

PAGE = b"<!doctype html><title>r</title><script>window.owned=1</script>"


def reported(
    world: PipelineWorld, *, dag: str = RED, signer: str = "pipeline", name: str = REPORT, digest: str = "",
    control: str = "data-validation",
) -> Sha256:  # fmt: skip
    """A signed verdict about the data set that names a report; its blob is in the store."""
    address = digest or world.store.put_blob(PAGE)
    statement = control_run.build(
        Report(world.dataset, control, Verdict.FAIL, "no"),
        finished_at=world.ago(1),
        run=run(dag),
        report_blob=sha256_bytes(b"full"),
        blobs={name: address},
    )
    return world.put(statement, signer)


def get(server: AirflowServer, world: PipelineWorld, evidence: str, user: str = "alice", dag: str = RED) -> Any:
    return server.client(user).get(report_url(dag, world.dataset.digest, evidence))


@pytest.mark.parametrize("control", ["data-validation", "label-poisoning", "model-scan"])
def test_the_link_leads_to_the_very_bytes(server: AirflowServer, world: PipelineWorld, control: str) -> None:
    answer = get(server, world, reported(world, control=control))
    assert (answer.status_code, answer.content) == (200, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_the_browser_is_told_to_let_it_do_nothing(server: AirflowServer, world: PipelineWorld) -> None:
    headers = get(server, world, reported(world)).headers
    policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert headers.get_list("content-security-policy") == [f"{policy}; frame-ancestors 'self'"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_other_pages_keep_their_policy(server: AirflowServer, world: PipelineWorld) -> None:
    reported(world)
    policy = server.client("alice").get(page(RED, world.dataset)).headers["content-security-policy"]
    assert "sandbox" not in policy
    assert "style-src 'self'" in policy


def test_the_artifacts_page_links_to_it(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = reported(world)
    (row,) = server.client("alice").get(api(RED, world.dataset)).json()["evidence"]["rows"]
    assert row["report_url"] == report_url(RED, world.dataset.digest, evidence)
    shown = server.client("alice").get(page(RED, world.dataset)).text
    assert f'<a href="{row["report_url"]}">report</a>' in shown


def test_no_link_without_a_report(server: AirflowServer, world: PipelineWorld) -> None:
    world.checked(world.dataset)
    (row,) = server.client("alice").get(api(RED, world.dataset)).json()["evidence"]["rows"]
    assert row["report_url"] == ""


def test_strangers_are_sent_to_the_login(server: AirflowServer, world: PipelineWorld) -> None:
    assert get(server, world, reported(world), user="").status_code == 303


@pytest.mark.parametrize("case", ["other Dag's", "through one's own Dag", "unknown", "no digest"])
def test_who_may_not_read_the_dag_gets_nothing(server: AirflowServer, world: PipelineWorld, case: str) -> None:
    evidence: str = reported(world, dag=BLUE)
    status, dag = 404, RED
    if case == "other Dag's":
        status, dag = 403, BLUE
    elif case == "unknown":
        evidence = "0" * 64
    elif case == "no digest":
        evidence = "../../x"
    answer = get(server, world, evidence, dag=dag)
    assert answer.status_code == status
    assert PAGE not in answer.content


def test_a_signature_that_does_not_count(server: AirflowServer, world: PipelineWorld) -> None:
    answer = get(server, world, reported(world, signer="stranger"))
    assert answer.status_code == 404
    assert PAGE not in answer.content


def test_a_signer_without_the_role(server: AirflowServer, world: PipelineWorld) -> None:
    assert get(server, world, reported(world, signer="approvals")).status_code == 404


def test_a_report_that_was_changed(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = reported(world)
    blob = world.root / "evidence" / "blobs" / sha256_bytes(PAGE)
    blob.chmod(0o644)
    blob.write_bytes(b"<h1>all is well</h1>")
    answer = get(server, world, evidence)
    assert answer.status_code == 404
    assert "This report is broken" in answer.text
    assert "all is well" not in answer.text
    assert "sandbox" not in answer.headers["content-security-policy"]


def test_a_bundle_that_was_changed(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = reported(world)
    file = world.file_of(evidence)
    file.write_bytes(file.read_bytes().replace(b"e", b"f", 1))
    assert get(server, world, evidence).status_code == 404


def test_a_report_that_is_gone(server: AirflowServer, world: PipelineWorld) -> None:
    answer = get(server, world, reported(world, digest="1" * 64))
    assert answer.status_code == 404
    assert "The report is gone" in answer.text


@pytest.mark.parametrize("name", ["unexpected_rows.json", "report.htm", "../report.html"])
def test_no_other_blob_is_served(server: AirflowServer, world: PipelineWorld, name: str) -> None:
    assert get(server, world, reported(world, name=name)).status_code == 404


def test_a_statement_of_another_kind(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = world.signed()
    answer = server.client("alice").get(report_url(RED, world.model.digest, evidence))
    assert answer.status_code == 404


def test_a_revoked_statement(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = reported(world)
    assert get(server, world, evidence).status_code == 200
    world.revoke(evidence, target="evidence", since=0.5)
    assert get(server, world, evidence).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_written(server: AirflowServer, world: PipelineWorld, method: str) -> None:
    address = report_url(RED, world.dataset.digest, reported(world))
    assert server.client("root").request(method, address).status_code == 405
