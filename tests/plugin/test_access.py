"""Who may see what, decided by Airflow's own log-in and auth manager."""

from __future__ import annotations

import pytest

from airflow_mlsecops.core.report import Verdict
from tests.plugin.pages import BLUE, RED, SHARED, Html, PipelineWorld, api, page, raw
from tests.support.airflow_server import AirflowServer
from tests.support.evidence import artifact


def test_a_page_sends_strangers_to_airflows_login_and_back(server: AirflowServer, world: PipelineWorld) -> None:
    client = server.client()
    answer = client.get(page(RED, world.model))
    assert answer.status_code == 303
    login = client.get(answer.headers["location"])
    assert login.status_code == 307
    assert login.headers["location"].startswith("/auth/login?next=%2Fmlsecops%2Fdags%2Fred_pipeline%2Fartifacts%2F")


def test_json_tells_strangers_that_they_are_not_logged_in(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = world.signed()
    for address in (api(RED, world.model), raw(RED, evidence)):
        answer = server.client().get(address)
        assert answer.status_code == 401
        assert answer.json()["code"] == "not-logged-in"


def test_a_forged_token_is_no_token(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    header, payload, _ = server.token("alice").split(".")
    forged = {"Authorization": f"Bearer {header}.{payload}.{'A' * 86}"}
    assert server.client().get(api(RED, world.model), headers=forged).status_code == 401
    assert server.client().get(page(RED, world.model), headers=forged).status_code == 303


def test_the_browsers_cookie_is_enough(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    client = server.client()
    client.cookies.set("_token", server.token("alice"))
    assert client.get(page(RED, world.model)).status_code == 200


def test_a_dag_of_another_team_is_forbidden(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = world.signed(dag=BLUE)
    client = server.client("alice")
    for address in (page(BLUE, world.model), api(BLUE, world.model), raw(BLUE, evidence)):
        assert client.get(address).status_code == 403
    assert server.client("bob").get(page(BLUE, world.model)).status_code == 200


def test_whether_a_forbidden_dag_exists_is_not_told(server: AirflowServer, world: PipelineWorld) -> None:
    client = server.client("alice")
    real, invented = client.get(api(BLUE, world.model)), client.get(api("no_such_dag", world.model))
    assert (real.status_code, real.json()) == (invented.status_code, invented.json())


def test_an_artifact_of_another_team_looks_like_none_at_all(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = world.signed(dag=BLUE)
    client = server.client("alice")
    real, invented = client.get(page(RED, world.model)), client.get(page(RED, artifact("never stored")))
    assert real.status_code == invented.status_code == 404
    assert real.text == invented.text
    assert client.get(raw(RED, evidence)).json() == client.get(raw(RED, "0" * 64)).json()


def test_statements_of_other_teams_are_only_counted(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    secret = world.checked(world.model, "blue-control", Verdict.FAIL, dag=BLUE, summary="what only blue may know")
    answer = server.client("alice").get(page(RED, world.model))
    assert "1 more statement comes from Dags that you may not read" in Html(answer.text).text
    assert not any(word in answer.text for word in ("blue", secret, secret[:10]))
    table = server.client("alice").get(api(RED, world.model)).json()["evidence"]
    assert table["hidden"] == 1
    assert [row["what"] for row in table["rows"]] == ["signature"]


def test_refused_statements_of_other_teams_are_only_counted(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    secret = world.checked(world.model, dag=BLUE, signer="stranger")
    answer = server.client("alice").get(api(RED, world.model))
    assert answer.json()["evidence"]["hidden"] == 1
    assert answer.json()["evidence"]["refused"] == []
    assert secret not in answer.text


def test_a_statement_from_no_dag_of_this_airflow_is_only_counted(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    world.checked(world.model, where={"dag_id": "removed_dag"})
    assert server.client("root").get(api(RED, world.model)).json()["evidence"]["hidden"] == 1


@pytest.mark.parametrize("where", [{}, {"dag_id": 7}], ids=["none", "number"])
def test_what_names_no_dag_goes_with_its_subject(
    server: AirflowServer, world: PipelineWorld, where: dict[str, object]
) -> None:
    said = world.checked(world.model, where=where)
    client = server.client("alice")
    assert client.get(api(RED, world.model)).status_code == 404
    assert client.get(raw(RED, said)).status_code == 404

    world.signed()
    table = client.get(api(RED, world.model)).json()["evidence"]
    assert table["hidden"] == 0
    (row,) = (row for row in table["rows"] if row["evidence"] == said)
    for address in (row["statement_url"], row["evidence_url"]):
        assert client.get(address).status_code == 200, address
        assert server.client("bob").get(address).status_code == 403


def test_what_names_no_dag_and_does_not_count_is_only_counted(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    said = world.checked(world.model, where={}, signer="stranger")
    client = server.client("alice")
    assert client.get(api(RED, world.model)).json()["evidence"]["hidden"] == 1
    assert client.get(raw(RED, said)).status_code == 404


def test_a_data_set_that_only_hidden_provenance_names_is_not_named(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    world.made(dag=BLUE)
    world.checked(world.dataset)
    view = server.client("alice").get(api(RED, world.model))
    assert view.json()["datasets"] == []
    assert world.dataset.digest not in view.text
    assert server.client("root").get(api(RED, world.model)).json()["datasets"][0]["sha256"] == world.dataset.digest


def test_what_a_gate_read_is_not_missing_because_somebody_may_not_see_it(
    server: AirflowServer, world: PipelineWorld
) -> None:
    world.signed(dag=BLUE)
    assert world.gate()
    status = server.client("alice").get(api(RED, world.model)).json()["status"]
    assert status["code"] == "released"


def test_evidence_of_a_shared_dag_is_for_both_teams(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed(dag=SHARED)
    for user in ("alice", "bob"):
        assert server.client(user).get(page(SHARED, world.model)).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_written(server: AirflowServer, world: PipelineWorld, method: str) -> None:
    evidence = world.signed()
    for address in (page(RED, world.model), api(RED, world.model), raw(RED, evidence)):
        assert server.client("root").request(method, address).status_code == 405
