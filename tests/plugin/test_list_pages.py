"""Overview, lists and an artifact's further pages: what they say, and to whom."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates import PROMOTION, alarm
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.plugin import indexes, timeline_view
from airflow_mlsecops.plugin.source import Source
from tests.plugin.pages import BLUE, RED, Html, PipelineWorld, page, raw, run
from tests.plugin.stories import asked_for, decided, named, promoted
from tests.plugin.test_page import HOSTILE, assert_safe, seen
from tests.support.airflow_server import AirflowServer
from tests.support.evidence import artifact, policy

CRITICAL = Finding("model-scan/import", Severity.CRITICAL, "os.system is called", "data.pkl", ("AML.T0011.000",))
LISTS = ("/", "/artifacts", "/findings", "/releases", "/alarms", "/approvals", "/compliance")


def at(path: str) -> str:
    return f"/mlsecops{path}"


def alarmed(world: PipelineWorld, dag: str = RED, user: str = "mallory", detail: str = "set to success") -> str:
    said = alarm.Alarm(
        alarm.Event.STATE_SET, "ReleaseGateOperator", detail, user, world.ago(1),
        {"orchestrator": "apache-airflow", **run(dag, "release")},
    )  # fmt: skip
    return world.put(alarm.build(said), "watcher")


def story(world: PipelineWorld) -> None:
    """A data set with a warning, a model with a critical finding, released before that was seen."""
    world.checked(world.dataset, "label-poisoning", Verdict.WARN, summary="12 labels are suspect")
    world.made()
    world.signed()
    world.gate()
    world.checked(world.model, "model-scan", Verdict.FAIL, findings=[CRITICAL], summary="1 call", age=0.2)


def test_the_overview_tells_what_is_wrong(server: AirflowServer, world: PipelineWorld) -> None:
    story(world)
    alarmed(world)
    html = seen(server, at("/"))
    for words in (
        "0 waiting for a decision",
        "1 critical finding open",
        "1 bypass alarm",
        "os.system is called",
        "released, now a NO",
        "mallory: set to success",
        "1 failed",
        "1 warned",
        "evidence store in order",
    ):
        assert words in html.text, words
    assert page(RED, world.model) in html.links
    assert f"/dags/{RED}/runs/manual__1/tasks/release" in html.links


def test_before_anything_was_said(server: AirflowServer, world: PipelineWorld) -> None:
    for path in LISTS:
        html = seen(server, at(path))
        assert "No such page" not in html.text
    assert "No statement about a model yet" in seen(server, at("/")).text
    assert "Nobody is asked to decide on anything" in seen(server, at("/approvals")).text


@pytest.mark.parametrize("path", LISTS)
def test_other_teams_are_not_mentioned(server: AirflowServer, world: PipelineWorld, path: str) -> None:
    secret = Artifact("secret name", "s3://secret/x", Kind.MODEL, Form.FILE, sha256_bytes(b"secret"), 5, 1)
    finding = Finding("secret/rule", Severity.CRITICAL, "secret words")
    world.checked(secret, "secret-control", Verdict.FAIL, dag=BLUE, findings=[finding])
    alarmed(world, BLUE, "secret user")
    answer = server.client("alice").get(at(path))
    assert answer.status_code == 200
    assert "secret" not in answer.text
    assert BLUE not in answer.text
    shown = server.client("bob").get(at(path)).text
    assert ("secret" in shown) is (path in ("/", "/artifacts", "/findings", "/alarms", "/compliance"))


@pytest.mark.parametrize("path", [*LISTS, "/dags/red_pipeline/runs/manual__1/statements"])
def test_strangers_are_sent_to_the_log_in(server: AirflowServer, path: str) -> None:
    answer = server.client().get(at(path))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/api/v2/auth/login?next=%2Fmlsecops")
    assert_safe(answer)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_no_list_can_be_written(server: AirflowServer, method: str) -> None:
    for path in (*LISTS, "/api/overview", "/api/artifacts"):
        assert server.client("root").request(method, at(path)).status_code == 405


def test_a_list_is_searched_filtered_and_paged(server: AirflowServer, world: PipelineWorld) -> None:
    for number in range(30):
        world.checked(artifact(f"model {number:02}"), "model-scan", age=number + 1)
    first, second = seen(server, at("/artifacts")), seen(server, at("/artifacts?page=2"))
    assert "30 in all; page 1 of 2" in first.text
    assert "model 24" in first.text and "model 25" not in first.text
    assert "model 25" in second.text and "model 24" not in second.text
    assert at("/artifacts?page=2") in first.links
    assert at("/artifacts?page=1") in second.links
    found = seen(server, at("/artifacts?q=model+07&kind=model"))
    assert "1 in all" in found.text
    assert page(RED, artifact("model 07")) in found.links
    assert "Nothing like that" in seen(server, at(f"/artifacts?dag={BLUE}")).text


@pytest.mark.parametrize("query", ["page=0", "page=x", "kind=thing", "state=1", "q=" + "x" * 201])
def test_what_cannot_be_asked_is_refused_without_repeating_it(server: AirflowServer, query: str) -> None:
    for path in ("/artifacts", "/api/artifacts"):
        answer = server.client("alice").get(at(f"{path}?{query}"))
        assert answer.status_code == 422
        assert "thing" not in answer.text and "xxx" not in answer.text
        assert_safe(answer)


def test_a_finding_leads_to_its_statement(server: AirflowServer, world: PipelineWorld) -> None:
    story(world)
    html = seen(server, at("/findings?severity=critical&q=AML.T0011"))
    assert "os.system is called" in html.text and "1 in all" in html.text
    (link,) = [link for link in html.links if "/evidence/" in link]
    statement = seen(server, link)
    for words in (
        "model-scan ✗ fail", "It counts", "pipeline; roles: control, provenance, sign", "os.system is called",
        "the trust policy asks for no log", "https://in-toto.io/attestation/test-result/v0.1", "openssl dgst",
    ):  # fmt: skip
        assert words in statement.text, words


def test_a_statement_that_does_not_count_says_which_step_failed(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    digest = world.checked(world.model, "model-scan", summary="believe me", signer="stranger")
    html = seen(server, f"{page(RED, world.model)}/evidence/{digest}")
    assert "It doesn't count" in html.text
    assert "is not in the trust policy" in html.text
    assert "believe me" not in html.text
    assert raw(RED, digest) in html.links


def test_the_commands_of_a_statement_verify_it(
    server: AirflowServer, world: PipelineWorld, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import shutil
    import subprocess

    from tests.support.evidence import key

    if not (shutil.which("jq") and shutil.which("openssl")):
        pytest.skip("jq or openssl isn't installed: scripts/system-packages names them")
    digest = world.checked(world.model, "model-scan")
    text = server.client("alice").get(f"{page(RED, world.model)}/evidence/{digest}").text
    block = Html(text[text.index("<pre") : text.index("</pre>")])
    lines = "".join(block._texts).splitlines()
    folder = tmp_path_factory.mktemp("verify")
    (folder / f"{digest}.sigstore.json").write_bytes(server.client("alice").get(raw(RED, digest)).content)
    (folder / "public-key.pem").write_text(key("pipeline").public_key.pem)
    wanted = [line for line in lines if line.startswith(("jq", "printf", "openssl dgst"))]
    assert len(wanted) == 4
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(wanted)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "Verified OK"), done.stderr


def test_the_timeline_has_the_data_sets_too(server: AirflowServer, world: PipelineWorld) -> None:
    story(world)
    text = seen(server, f"{page(RED, world.model)}/timeline").text
    assert text.index("1 call") < text.index("These bytes are the model model")
    assert "of data set dataset" in text


def test_a_timeline_that_is_too_long_says_so(
    server: AirflowServer, world: PipelineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    story(world)
    whole = seen(server, f"{page(RED, world.model)}/timeline").text
    assert "not shown here" not in whole
    monkeypatch.setattr(timeline_view, "SHOWN", 2)
    cut = seen(server, f"{page(RED, world.model)}/timeline").text
    left_out = whole.count("signed by") - cut.count("signed by")
    assert left_out > 1
    assert f"{left_out} older statements are not shown here" in cut


def test_where_models_stand_is_told_of_the_newest_alone(server: AirflowServer, world: PipelineWorld) -> None:
    old, new, blue = (named(f"m{number}", Kind.MODEL, "1") for number in range(3))
    for model in (old, new):
        world.checked(model, "model-scan")
    world.checked(blue, "model-scan", dag=BLUE)
    promoted(world, old, "1.4.0", age=5)
    promoted(world, new, "1.5.0", age=3)
    promoted(world, blue, "9.9.9", dag=BLUE, age=1)
    text = {who: seen(server, at("/artifacts"), who).text for who in ("alice", "bob")}
    assert text["alice"].count("at production 1.5.0") == 1
    assert "1.4.0" not in text["alice"] and "9.9.9" not in text["alice"]
    assert "at production 9.9.9" in text["bob"] and "1.5.0" not in text["bob"]
    for path in ("/", "/releases"):
        html = seen(server, at(path))
        assert "1.5.0" in html.text and "1.4.0" not in html.text and "9.9.9" not in html.text
        assert page(RED, new) in html.links


def test_the_graph_leads_from_the_data_to_the_decision(server: AirflowServer, world: PipelineWorld) -> None:
    story(world)
    html = seen(server, f"{page(RED, world.model)}/graph")
    assert "Nothing was made from it" in html.text
    assert page(RED, world.dataset) in html.links
    assert "Released under policy production" in html.text
    data = seen(server, f"{page(RED, world.dataset)}/graph")
    assert "1 artifact was made from it" in data.text
    assert page(RED, world.model) in data.links


def test_the_graph_hides_what_other_teams_made(server: AirflowServer, world: PipelineWorld) -> None:
    world.checked(world.dataset)
    world.made(dag=BLUE)
    answer = server.client("alice").get(f"{page(RED, world.dataset)}/graph")
    assert "Nothing was made from it" in answer.text
    assert world.model.digest not in answer.text
    assert world.model.digest in server.client("root").get(f"{page(RED, world.dataset)}/graph").text


def test_changes_since_another_version(server: AirflowServer, world: PipelineWorld) -> None:
    old = world.model
    world.checked(old, "model-scan", Verdict.PASS, age=9)
    world.signed()
    assert world.gate()
    world.model = artifact("model", content=b"the next version")
    world.checked(world.model, "model-scan", Verdict.WARN, findings=[CRITICAL], age=2)
    world.signed()
    html = seen(server, f"{page(RED, world.model)}/changes")
    assert "the newest other version of this name that a gate released" in html.text
    assert "model-scan of the model pass warn" in html.text
    assert "model-scan/import, model-scan of the model wasn't there 1" in html.text
    back = seen(server, f"{page(RED, old)}/changes?since={world.model.digest}")
    assert "model-scan of the model warn pass" in back.text
    assert "as you asked" in back.text


def test_changes_tell_nothing_of_another_teams_statements(server: AirflowServer, world: PipelineWorld) -> None:
    old = world.model
    world.signed()
    assert world.gate()
    world.checked(old, "secret-control", dag=BLUE)
    world.model = artifact("model", content=b"the next version")
    world.signed()
    address = f"{page(RED, world.model)}/changes"
    assert "secret-control" not in server.client("alice").get(address).text
    assert "secret-control" in server.client("root").get(address).text


def test_changes_name_no_base_model_of_another_team(server: AirflowServer, world: PipelineWorld) -> None:
    old, base = world.model, named("secret-base", Kind.MODEL, "1")
    world.signed()
    world.model = artifact("model", content=b"the next version")
    world.signed()
    world.made(dag=BLUE, inputs=[base])
    address = f"{page(RED, world.model)}/changes?since={old.digest}"
    assert "secret-base" not in server.client("alice").get(address).text
    assert "secret-base" in server.client("root").get(address).text


def test_a_promotion_that_cannot_be_read_says_of_no_stage_what_stands_there(
    server: AirflowServer, world: PipelineWorld
) -> None:
    world.checked(world.model, "model-scan")
    predicate = {"run": run(RED, "promote"), "of a version": "to come"}
    world.put(Statement.build([world.model], PROMOTION.uri, predicate), "releaser")
    for path in ("/", "/releases", "/artifacts"):
        seen(server, at(path))


@pytest.mark.parametrize(("who", "waits"), [("carol", False), ("mallory", True), ("alice", True)])
def test_a_rejection_by_somebody_who_was_not_asked_ends_nothing(
    server: AirflowServer, world: PipelineWorld, who: str, waits: bool
) -> None:
    request = asked_for(world, world.model, [])
    address = f"{page(RED, world.model)}/requests/{request}"
    decided(world, world.model, request, who, "no", decision="rejected")
    assert (address in seen(server, at("/approvals")).links) == waits


def test_nobody_is_sent_to_approve_what_was_revoked(server: AirflowServer, world: PipelineWorld) -> None:
    world.checked(world.model, "model-scan")
    request = asked_for(world, world.model, [])
    address = f"{page(RED, world.model)}/requests/{request}"
    assert "Nobody can approve it" not in seen(server, address).text
    world.revoke(world.model.digest)
    assert "Nobody can approve it" in seen(server, address).text
    (row,) = (row for row in server.client("alice").get(at("/api/artifacts")).json()["items"])
    assert row["tone"] == "bad"


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleasePolicy:
    """A release policy that the api-server finds."""
    file = tmp_path / "policy.yaml"
    file.write_text(
        "version: 1\nname: production\nrequire:\n  - {evidence: signature, of: model}\n"
        "  - {evidence: test-result, control: model-scan, of: model, verdicts: [pass]}\n"
    )
    monkeypatch.setenv("AIRFLOW__MLSECOPS__RELEASE_POLICIES", str(file))
    return ReleasePolicy.from_bytes(file.read_bytes())


def test_a_releases_evidence_is_one_file(server: AirflowServer, world: PipelineWorld, rules: ReleasePolicy) -> None:
    evidence = [world.signed(), world.checked(world.model, "model-scan")]
    assert world.gate(rules)
    answer = server.client("alice").get(f"{page(RED, world.model)}/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-tar")
    with tarfile.open(fileobj=BytesIO(answer.content)) as tar:
        names = tar.getnames()
    assert all(any(digest in name for name in names) for digest in evidence)


def test_an_export_is_for_those_who_may_read_all_of_it(
    server: AirflowServer, world: PipelineWorld, rules: ReleasePolicy
) -> None:
    world.signed()
    world.checked(world.model, "model-scan", dag=BLUE)
    assert world.gate(rules)
    assert server.client("alice").get(f"{page(RED, world.model)}/export").status_code == 403
    assert server.client("root").get(f"{page(RED, world.model)}/export").status_code == 200


def test_an_export_has_what_names_no_dag(server: AirflowServer, world: PipelineWorld, rules: ReleasePolicy) -> None:
    world.signed()
    world.checked(world.model, "model-scan", where={})
    assert world.gate(rules)
    assert server.client("alice").get(f"{page(RED, world.model)}/export").status_code == 200
    assert server.client("bob").get(f"{page(BLUE, world.model)}/export").status_code in (403, 404)


def test_an_export_that_is_refused_quotes_no_evidence(
    server: AirflowServer, world: PipelineWorld, rules: ReleasePolicy
) -> None:
    """Whose Dags it is from is asked later; so the refusal tells codes alone."""
    world.signed()
    world.checked(world.model, "model-scan", Verdict.FAIL, dag=BLUE, findings=[CRITICAL], summary="a secret")
    assert not world.gate(rules)
    answer = server.client("alice").get(f"{page(RED, world.model)}/export")
    assert answer.status_code == 409
    assert "Nothing was exported" in answer.text
    assert "a secret" not in answer.text and "model-scan" not in answer.text


def test_lists_are_made_anew_when_a_key_ends(
    server: AirflowServer, world: PipelineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement is judged once, as it comes into the index; from that moment on it counts no more."""
    source, ends = Source.open(), utcnow() + timedelta(hours=1)
    signers = {hint: replace(signer, not_after=ends) for hint, signer in source.trust.signers.items()}
    ending = Source(source.store, replace(source.trust, signers=signers), embedded=False)
    assert ending.trust.era(ends + timedelta(seconds=1)) == ending.trust.era(utcnow()) + len(signers)
    before = indexes.kept_for(ending).indexer.database.path
    assert indexes.kept_for(ending).indexer.database.path == before
    monkeypatch.setattr(indexes, "utcnow", lambda: ends + timedelta(seconds=1))
    assert indexes.kept_for(ending).indexer.database.path != before


def test_what_a_run_said(server: AirflowServer, world: PipelineWorld) -> None:
    story(world)
    world.checked(world.model, "drift", where=run(RED, "other", run_id="scheduled__2026-01-01T00:00:00+00:00"))
    html = seen(server, at(f"/dags/{RED}/runs/manual__1/statements"))
    assert "model-scan" in html.text and "label-poisoning" in html.text and "drift" not in html.text
    html = seen(server, at(f"/dags/{RED}/runs/manual__1/statements?task=train&map_index=-1"))
    assert "provenance" in html.text and "label-poisoning" not in html.text
    html = seen(server, at(f"/dags/{RED}/runs/scheduled__2026-01-01T00%3A00%3A00%2B00%3A00/statements"))
    assert "drift" in html.text
    assert server.client("alice").get(at(f"/dags/{BLUE}/runs/manual__1/statements")).status_code == 403


def test_compliance_of_a_release(server: AirflowServer, world: PipelineWorld) -> None:
    story(world)
    html = seen(server, f"{page(RED, world.model)}/compliance")
    for words in (
        "MITRE ATLAS",
        "OWASP",
        "NIST",
        "EU AI Act",
        "ISO/IEC 42001",
        "Art. 10",
        "AML.T0020",
        "Label poisoning",
    ):
        assert words in html.text, words
    assert html.text.index("Art. 9 ") < html.text.index("Art. 10 Data and data governance", html.text.index("Art. 9 "))


def test_hostile_text_stays_text_on_every_page(server: AirflowServer, world: PipelineWorld) -> None:
    world.model = Artifact(HOSTILE, f"s3://b/{HOSTILE}", Kind.MODEL, Form.FILE, world.model.digest, 5, 1)
    world.dataset = Artifact(HOSTILE, HOSTILE, Kind.DATASET, Form.FILE, world.dataset.digest, 5, 1)
    found = [Finding(HOSTILE, Severity.CRITICAL, HOSTILE, HOSTILE, (HOSTILE,))]
    digest = world.checked(world.model, HOSTILE, Verdict.FAIL, summary=HOSTILE, findings=found, where=run(RED, HOSTILE))
    world.checked(world.dataset, HOSTILE, Verdict.FAIL, summary=HOSTILE, findings=found)
    world.made()
    world.signed()
    world.gate(policy({"evidence": "signature", "of": "model"}, name=HOSTILE))
    alarmed(world, user=HOSTILE, detail=HOSTILE)
    old = artifact("older")
    world.checked(Artifact(HOSTILE, "x", Kind.MODEL, Form.FILE, old.digest, 5, 1), HOSTILE)
    own = page(RED, world.model)
    pages = [at(path) for path in LISTS] + [
        own, f"{own}/timeline", f"{own}/graph", f"{own}/changes?since={old.digest}", f"{own}/compliance",
        f"{own}/evidence/{digest}", at(f"/dags/{RED}/runs/manual__1/statements"), at("/artifacts?q=%3Cscript%3E"),
    ]  # fmt: skip
    told = 0
    for address in pages:
        answer = server.client("alice").get(address)
        assert answer.status_code == 200, address
        html = Html(answer.text)
        told += "<script>alert(1)</script>" in html.text
        assert not html.tags & {"script", "img", "style", "object", "embed", "base", "math"}, address
        assert not [name for name in html.attributes if name.startswith("on") or name == "style"], address
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in html.links), address
        assert all(char.isprintable() or char == "\n" for char in answer.text), address
        assert_safe(answer)
    assert told >= 10
