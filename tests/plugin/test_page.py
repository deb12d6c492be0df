"""What a page says, and what hostile evidence can't make it do."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from httpx import Response

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.predicates import APPROVAL, TEST_RESULT
from airflow_mlsecops.core.predicates.control_run import CONTROL_RUN
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.statement import Statement
from tests.plugin.pages import RED, SHARED, Html, PipelineWorld, api, page, raw, run
from tests.support.airflow_server import AirflowServer
from tests.support.evidence import key, policy

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> [a](javascript:alert(3)) "
    "\x1b[31mred\x07 \u202egnp.exe {{7*7}}"
)


def seen(server: AirflowServer, address: str, user: str = "alice") -> Html:
    """The page, as this user sees it."""
    answer = server.client(user).get(address)
    assert answer.status_code == 200, answer.text
    return Html(answer.text)


def asked(server: AirflowServer, address: str, user: str = "alice") -> dict[str, Any]:
    """The JSON version; strict, as the other languages read it."""
    answer = server.client(user).get(address)
    assert answer.status_code == 200, answer.text
    value: dict[str, Any] = json.loads(answer.content, parse_constant=lambda name: pytest.fail(f"{name} isn't JSON"))
    return value


def test_a_released_model(server: AirflowServer, world: PipelineWorld) -> None:
    world.checked(world.dataset, "label-poisoning", Verdict.WARN, summary="12 of 1797 labels are suspect")
    world.made()
    world.signed()
    world.decided(reason="better than the last one")
    assert world.gate()
    html = seen(server, page(RED, world.model))
    for words in (
        f"sha256:{world.model.digest}",
        "file:///artifacts/model",
        "Released The release gate said YES under policy production",
        "These bytes are the model model",
        "carol: better than the last one",
        "by approvals",
        "Made from data set dataset",
        "12 of 1797 labels are suspect",
        f"sha256:{world.dataset.digest}",
        f"mlsecops evidence list {world.model.digest}",
        "mlsecops verify file:///artifacts/model --policy",
    ):
        assert words in html.text
    assert f"/dags/{RED}/runs/manual__1/tasks/train" in html.links
    assert page(RED, world.dataset) in html.links
    assert "embedded store" not in html.text


def test_the_data_set_has_a_page_of_its_own(server: AirflowServer, world: PipelineWorld) -> None:
    findings = [Finding("label-poisoning/share", Severity.CRITICAL, "9.4 % are suspect", "169 rows", ("AML.T0020",))]
    world.checked(world.dataset, "label-poisoning", Verdict.FAIL, summary="too many suspects", findings=findings)
    world.checked(world.dataset, "data-validation")
    html = seen(server, page(RED, world.dataset))
    assert "label-poisoning: fail too many suspects" in html.text
    assert "9.4 % are suspect label-poisoning/share 169 rows AML.T0020" in html.text
    assert next(attributes for tag, attributes in html.elements if tag == "details") == {"open": None}
    assert "mlsecops verify" not in html.text.split("Check it yourself")[1].split("Every signature")[0]


def test_why_a_gate_said_no(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    world.decided("rejected", "trained on the wrong data")
    assert not world.gate(policy({"evidence": "approval", "of": "model"}, name="production"))
    html = seen(server, page(RED, world.model))
    assert "Refused by the release gate" in html.text
    assert "model: carol rejected it: trained on the wrong data rejected" in html.text


def test_only_the_newest_of_a_control_counts(server: AirflowServer, world: PipelineWorld) -> None:
    world.checked(world.dataset, "drift", Verdict.FAIL, age=3)
    world.checked(world.dataset, "drift", Verdict.PASS, age=1)
    world.checked(world.dataset, "drift", Verdict.WARN, age=5)
    view = asked(server, api(RED, world.dataset))
    assert [(row["verdict"], row["current"]) for row in view["evidence"]["rows"]] == [
        ("pass", True),
        ("fail", False),
        ("warn", False),
    ]
    assert view["status"]["code"] == "passed"
    text = seen(server, page(RED, world.dataset)).text
    assert "2 superseded statements: a newer one says what counts today" in text
    assert text.count("superseded") == 3  # and once in each of their rows


def test_evidence_that_was_changed_is_broken(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    changed = world.checked(world.model, "model-scan", Verdict.FAIL)
    file = world.file_of(changed)
    file.write_bytes(file.read_bytes().replace(b'"', b"'", 1))
    html = seen(server, page(RED, world.model))
    assert "Evidence was tampered with" in html.text
    assert "Speaks against it (1)" in html.text
    assert raw(RED, changed) not in html.links
    answer = server.client("alice").get(raw(RED, changed))
    assert (answer.status_code, answer.json()["code"]) == (404, "evidence-broken")


def test_a_revoked_model_says_so_in_its_first_line(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    revocation = world.revoke(world.model.digest)
    view = asked(server, api(RED, world.model))
    assert view["status"]["code"] == "artifact-revoked"
    assert "carol" in view["status"]["text"] and "it leaked" in view["status"]["text"]
    assert [(item["code"], item["digest"]) for item in view["evidence"]["broken"]] == [("artifact-revoked", revocation)]


def test_a_revoked_statement_is_told_among_what_does_not_count(server: AirflowServer, world: PipelineWorld) -> None:
    digest = world.checked(world.model, "model-scan", Verdict.PASS)
    world.signed()
    world.revoke(digest, target="evidence")
    view = asked(server, api(RED, world.model))
    assert digest not in [row["evidence"] for row in view["evidence"]["rows"]]
    assert [(item["code"], item["digest"]) for item in view["evidence"]["refused"]] == [("revoked", digest)]


def test_a_forged_verdict_is_refused(server: AirflowServer, world: PipelineWorld) -> None:
    """Whoever can write to the store rewrites the verdict, and gives the object the name that fits."""
    old = world.file_of(world.checked(world.model, "model-scan", Verdict.FAIL))
    bundle = json.loads(old.read_bytes())
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    forged = payload.replace(b'"fail"', b'"pass"').replace(b'"FAILED"', b'"PASSED"').replace(b"said fail", b"forged!!!")
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(forged).decode()
    world.store.put(Bundle.parse(json.dumps(bundle).encode()))
    old.unlink()
    view = asked(server, api(RED, world.model))
    assert [item["code"] for item in view["evidence"]["refused"]] == ["signature-invalid"]
    assert view["status"]["code"] == "nothing-counts"
    assert "forged!!!" not in server.client("alice").get(page(RED, world.model)).text


@pytest.mark.parametrize(
    ("signer", "why"), [("stranger", "is not in the trust policy"), ("gate", "has roles ['gate']")]
)
def test_a_signer_without_trust_or_role_is_refused(
    server: AirflowServer, world: PipelineWorld, signer: str, why: str
) -> None:
    world.signed()
    refused = world.checked(world.model, "model-scan", summary="all is well, believe me", signer=signer)
    html = seen(server, page(RED, world.model))
    assert "Not counted (1)" in html.text
    assert why in html.text
    assert "believe me" not in html.text
    assert raw(RED, refused) in html.links  # whoever investigates needs the bytes


def test_evidence_that_vanished_after_the_release(server: AirflowServer, world: PipelineWorld) -> None:
    signed = world.signed()
    assert world.gate()
    world.file_of(signed).unlink()
    view = asked(server, api(RED, world.model))
    assert view["status"]["code"] == "release-no-longer-holds"
    assert view["decisions"][0]["gone"] == [signed]
    assert signed in seen(server, page(RED, world.model)).text


def test_nothing_but_broken_evidence_is_shown_too(server: AirflowServer, world: PipelineWorld) -> None:
    world.file_of(world.signed()).write_bytes(b"{}")
    assert asked(server, api(RED, world.model))["status"]["code"] == "evidence-broken"


def test_the_bundle_is_handed_out_byte_for_byte(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = world.signed()
    answer = server.client("alice").get(raw(RED, evidence))
    assert answer.content == world.file_of(evidence).read_bytes()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_hostile_text_stays_text(server: AirflowServer, world: PipelineWorld) -> None:
    evil = Artifact(HOSTILE, f"s3://bucket/{HOSTILE}'; rm -rf ~", Kind.MODEL, Form.FILE, world.model.digest, 5, 1)
    world.model = evil
    finding = Finding(HOSTILE, Severity.CRITICAL, HOSTILE, HOSTILE, (HOSTILE,))
    world.checked(evil, "scan", Verdict.FAIL, summary=HOSTILE, findings=[finding])
    world.checked(evil, HOSTILE, where=run(RED, HOSTILE, run_id=HOSTILE))
    world.signed()
    world.made(inputs=[Artifact(HOSTILE, HOSTILE, Kind.DATASET, Form.FILE, world.dataset.digest, 5, 1)])
    world.decided(reason=HOSTILE)
    world.gate(policy({"evidence": "approval", "of": "model", "count": 9}, name=HOSTILE))
    source = server.client("alice").get(page(RED, evil)).text
    html = Html(source)
    assert "<script>alert(1)</script>" in html.text  # readable, as text
    assert not html.tags & {"script", "img", "style", "iframe", "form", "object", "svg"}
    assert not [name for name in html.attributes if name.startswith("on") or name in ("style", "src")]
    own = [link for link in html.links if link != "#main"]
    assert own and all(link.startswith("/") and not link.startswith("//") for link in own)
    assert all(char.isprintable() or char == "\n" for char in source)
    assert "{{7*7}}" in html.text
    assert "\x1b" not in server.client("alice").get(api(RED, evil)).json()["evidence"]["rows"][0]["summary"]


def odd_control(world: PipelineWorld, **changes: Any) -> None:
    """A control's result by a trusted signer that isn't as we would write it."""
    extension = {
        "control": "odd",
        "verdict": "fail",
        "summary": "odd",
        "finishedAt": "2026-01-01T00:00:00Z",
        "metrics": {},
        "findings": [],
        "run": run(RED),
        **changes,
    }
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": world.model.digest}}],
        "predicateType": TEST_RESULT.uri,
        "predicate": {"result": "FAILED", CONTROL_RUN: extension},
    }
    world.store.put(key("pipeline").sign(Statement.parse(json.dumps(value).encode())))


@pytest.mark.parametrize(
    "changes",
    [
        {"summary": "odd: \x00 and \u2066 and \u2028"},
        {"findings": [{}, {"severity": ["critical"], "techniques": 5, "message": None, "where": {"a": 1}}]},
        {"metrics": {"items": 1, "nested": {"list": [1, None, True, "x"]}, "\x00": 1e308}},
        {"findingsTotal": "many", "tools": 7, "artifact": [1]},
        {"run": run(RED, "t\x00", run_id=["no"], map_index="x", try_number=None)},
        {"artifact": {"kind": ["model"], "form": 5, "size": "big", "files": None}},
    ],
    ids=["unseen", "findings", "metrics", "types", "run", "artifact"],
)
def test_odd_statements_of_a_trusted_signer_are_shown(
    server: AirflowServer, world: PipelineWorld, changes: dict[str, Any]
) -> None:
    odd_control(world, **changes)
    assert "odd" in seen(server, page(RED, world.model)).text
    assert asked(server, api(RED, world.model))["evidence"]["rows"][0]["verdict"] == "fail"


def test_a_statement_that_cant_be_read_says_so(server: AirflowServer, world: PipelineWorld) -> None:
    predicate = {"decision": "perhaps", "run": run(RED)}
    world.put(Statement.build([world.model], APPROVAL.uri, predicate), "approvals")
    view = asked(server, api(RED, world.model))
    assert (view["evidence"]["rows"][0]["verdict"], view["status"]["tone"]) == ("unreadable", "bad")
    assert "approval can't be read" in seen(server, page(RED, world.model)).text


def test_a_long_history_shows_the_newest(server: AirflowServer, world: PipelineWorld) -> None:
    for count in range(205):
        world.checked(world.dataset, age=1 + count / 100, summary=f"number {count}")
    html = seen(server, page(RED, world.dataset))
    assert "number 0 " in html.text
    assert "number 204" not in html.text
    assert "5 older statements are not shown here" in html.text
    assert len(asked(server, api(RED, world.dataset))["evidence"]["rows"]) == 205


def assert_safe(answer: Response) -> None:
    """Every answer, whatever its status, carries the headers that keep a browser from doing anything with it."""
    directives = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert directives == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "frame-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'self'",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


def test_every_answer_has_the_headers(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = world.signed()
    for user, address, status in (
        ("alice", page(RED, world.model), 200),
        ("alice", api(RED, world.model), 200),
        ("alice", raw(RED, evidence), 200),
        ("", "/mlsecops/static/mlsecops.css", 200),
        ("", page(RED, world.model), 303),
        ("", api(RED, world.model), 401),
        ("alice", page("blue_pipeline", world.model), 403),
        ("alice", page(SHARED, world.dataset), 404),
        ("alice", "/mlsecops/", 200),
        ("", "/mlsecops/", 303),
        ("alice", "/mlsecops/nothing", 404),
        ("alice", "/mlsecops/static/../app.py", 404),
        ("alice", "/mlsecops/openapi.json", 404),
        ("alice", "/mlsecops/docs", 404),
    ):
        answer = server.client(user).get(address)
        assert answer.status_code == status, address
        assert_safe(answer)


def test_the_style_sheet_loads_nothing(server: AirflowServer) -> None:
    answer = server.client().get("/mlsecops/static/mlsecops.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "url(" not in answer.text
    assert "@import" not in answer.text
