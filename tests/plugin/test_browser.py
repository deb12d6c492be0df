"""Every page in a real browser: light, dark and on a phone, by keyboard, checked by axe, and against hostile evidence.

With ``MLSECOPS_SCREENSHOTS`` naming a folder, each page is kept there as a picture, in each of the three forms.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import parse_sha256
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.trust import TrustPolicy
from tests.core.validation.payloads import PAYLOADS
from tests.plugin.browsing import difference, give_tasks, listening, visit
from tests.plugin.conftest import connect
from tests.plugin.pages import BLUE, RED, PipelineWorld, page, run
from tests.plugin.stories import Story, told
from tests.support.airflow_server import AirflowServer
from tests.support.browser import PHONE, WIDE, axe_finds, browsing, needs_browser

pytestmark = needs_browser
DOCS = Path(__file__).parents[2] / "docs" / "images" / "pages"
NAMES = (
    "overview", "artifacts", "findings", "releases", "alarms", "approvals", "compliance", "evidence", "timeline",
    "graph", "blast radius", "changes", "statement", "request", "compliance of a release", "run", "problem",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def told_server(
    built_server: AirflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[AirflowServer, str, Story]]:
    """The server at a port, with a deployment's history behind it, and one run that Airflow knows."""
    root = tmp_path_factory.mktemp("story")
    with pytest.MonkeyPatch.context() as patch, built_server.active():
        connect(root, patch)
        trust = TrustPolicy.from_file(root / "trust.json")
        world = PipelineWorld(backend=LocalBackend(root / "evidence"), now=utcnow(), root=root, trust=trust)
        story = told(world)
        give_tasks(built_server, RED, ["train", "release_gate", "approve_release", "sign_model"], "manual__1")
        with listening(built_server) as base:
            yield built_server, base, story


PICTURES = {"overview": False, "evidence": False, "request": False, "graph": True, "compliance of a release": False}
"""The pages that the docs show, and whether in the dark."""
SAME = 0.008
"""Below it two pictures show the same page, with other times and digests."""


def address(name: str, story: Story) -> str:
    """Where a page is."""
    released, asked, data = (page(RED, item) for item in (story.released, story.asked, story.data))
    return {
        "evidence": released,
        "timeline": f"{released}/timeline",
        "graph": f"{released}/graph",
        "blast radius": f"{data}/graph",
        "changes": f"{asked}/changes",
        "statement": f"{data}/evidence/{story.poisoning}",
        "request": f"{asked}/requests/{story.request}",
        "compliance of a release": f"{released}/compliance",
        "run": f"/mlsecops/dags/{RED}/runs/manual__1/statements",
        "overview": "/mlsecops/",
        "problem": page(RED, story.released).replace(story.released.digest, "0" * 64),
    }.get(name, f"/mlsecops/{name}")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_fit_to_be_read(told_server: tuple[AirflowServer, str, Story], browser: Any, name: str) -> None:
    server, base, story = told_server
    folder = os.environ.get("MLSECOPS_SCREENSHOTS", "")
    with visit(browser, server, base) as tab:
        answer = tab.goto(address(name, story), wait_until="load")
        assert answer.status == (404 if name == "problem" else 200)
        colours = set()
        for form, size, scheme in (("light", WIDE, "light"), ("dark", WIDE, "dark"), ("phone", PHONE, "light")):
            tab.set_viewport_size(size)
            tab.emulate_media(color_scheme=scheme)
            colours.add(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert tab.evaluate("document.documentElement.scrollWidth") <= size["width"], form
            assert axe_finds(tab) == []
            if folder:
                if tab.locator("iframe").count():
                    tab.locator("iframe").scroll_into_view_if_needed()  # what was never seen isn't painted
                    tab.wait_for_timeout(300)
                tab.screenshot(path=Path(folder) / f"{name.replace(' ', '-')}-{form}.png", full_page=True)
        assert len(colours) == 2
        assert tab.locator("h1").count() == 1
        assert tab.evaluate("document.scripts.length") == 0
        assert tab.strange == []


@pytest.mark.parametrize("name", PICTURES)
def test_the_docs_show_what_is_there(told_server: tuple[AirflowServer, str, Story], browser: Any, name: str) -> None:
    """``MLSECOPS_PICTURES=renew`` takes them anew, from this very page."""
    server, base, story = told_server
    kept = {each: DOCS / f"{each.replace(' ', '-')}.png" for each in PICTURES}
    with visit(browser, server, base, dark=PICTURES[name]) as tab:
        tab.goto(address(name, story), wait_until="load")
        picture = tab.screenshot()
    if os.environ.get("MLSECOPS_PICTURES") == "renew":
        kept[name].write_bytes(picture)
    assert difference(browser, kept[name].read_bytes(), picture) < SAME
    others = [path for each, path in kept.items() if each != name]
    assert all(difference(browser, path.read_bytes(), picture) > 2 * SAME for path in others)  # it would tell


def test_it_is_printed_without_what_nobody_can_click(
    told_server: tuple[AirflowServer, str, Story], browser: Any
) -> None:
    server, base, story = told_server
    with visit(browser, server, base) as tab:
        tab.goto(address("compliance of a release", story))
        tab.emulate_media(media="print")
        assert not tab.locator("header").is_visible() and not tab.locator(".tabs").is_visible()
        assert tab.get_by_text("EU AI Act, articles 9 to 15").first.is_visible()


def test_by_keyboard_alone(told_server: tuple[AirflowServer, str, Story], browser: Any) -> None:
    server, base, _ = told_server
    with visit(browser, server, base) as tab:
        tab.goto("/mlsecops/")
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
        tab.keyboard.press("Enter")
        tab.keyboard.press("Tab")
        assert "waiting for a decision" in tab.evaluate("document.activeElement.textContent")
        assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/approvals")
        tab.goto("/mlsecops/artifacts")
        tab.get_by_label("Name or digest").focus()
        tab.keyboard.type("embed")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**q=embed*")
        assert [link.inner_text() for link in tab.locator("tbody th a").all()] == ["digits-embedder"]


def test_from_the_overview_to_a_verified_statement_and_its_report(
    told_server: tuple[AirflowServer, str, Story], browser: Any
) -> None:
    server, base, _ = told_server
    with visit(browser, server, base) as tab:
        tab.goto("/mlsecops/")
        tab.get_by_role("link", name="All findings").click()
        tab.get_by_role("link", name="label-poisoning").click()
        assert tab.get_by_role("heading", name="It counts").is_visible()
        report = tab.frame_locator("iframe.report")
        assert report.get_by_role("heading", name="Label poisoning").is_visible()
        assert tab.frames[1].evaluate("document.querySelectorAll('svg rect').length") >= 10
        # The report is of nobody's origin: it couldn't read a cookie, or the page around it.
        assert tab.frames[1].evaluate("origin") == "null"
        assert tab.strange == []


def test_airflow_shows_it_in_its_navigation(told_server: tuple[AirflowServer, str, Story], browser: Any) -> None:
    server, base, _ = told_server
    with visit(browser, server, base, dark=True) as tab:
        tab.goto("/")
        tab.get_by_role("link", name="ML Security").click()
        frame = tab.frame_locator("iframe[title='ML Security']")
        frame.get_by_role("heading", name="ML Security", exact=True).wait_for()
        inner = next(each for each in tab.frames if each.url.endswith("/mlsecops/"))
        inner.wait_for_function("document.documentElement.dataset.framed === ''")
        assert inner.evaluate("getComputedStyle(document.querySelector('.crumbs')).display") == "none"
        assert inner.evaluate("document.documentElement.dataset.theme") in ("dark", "light")
        frame.get_by_role("link", name=f"{RED} / release_gate").click()
        tab.wait_for_url(f"**/dags/{RED}/runs/manual__1/tasks/release_gate**")  # all of Airflow's page, not our frame
        assert not [url for url in tab.strange if not url.startswith("blob:")]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (f"/dags/{RED}/plugin/mlsecops-dag", "digits-embedder"),
        (f"/dags/{RED}/runs/manual__1/plugin/mlsecops-run", "Evidence of run manual__1"),
        (f"/dags/{RED}/runs/manual__1/tasks/train/plugin/mlsecops-task", "Evidence of task train in run manual__1"),
    ],
    ids=["dag", "run", "task"],
)
def test_airflow_shows_it_as_tabs(
    told_server: tuple[AirflowServer, str, Story], browser: Any, place: str, words: str
) -> None:
    server, base, _ = told_server
    with visit(browser, server, base) as tab:
        tab.goto(place.partition("/plugin/")[0])
        tab.locator(f"a[href$='{place}']").click()
        frame = tab.frame_locator("iframe[title='ML Security']")
        frame.get_by_text(words, exact=False).first.wait_for()
        if folder := os.environ.get("MLSECOPS_SCREENSHOTS", ""):
            tab.wait_for_timeout(500)
            tab.screenshot(path=Path(folder) / f"tab-{place.rsplit('-', 1)[1]}.png")


def test_a_stranger_logs_in_and_gets_where_they_wanted(
    told_server: tuple[AirflowServer, str, Story], browser: Any
) -> None:
    server, base, story = told_server
    with visit(browser, server, base, user="") as tab:
        tab.goto(address("evidence", story))
        tab.wait_for_url("**/auth/login**")
        tab.get_by_label(re.compile("username", re.I)).fill("alice")
        tab.get_by_label(re.compile("password", re.I)).fill("password of alice")
        tab.get_by_role("button", name=re.compile("sign in|log ?in", re.I)).click()
        tab.get_by_role("heading", name="digits-classifier").wait_for()
        assert tab.url.endswith(address("evidence", story))


def test_another_team_sees_nothing_of_it(told_server: tuple[AirflowServer, str, Story], browser: Any) -> None:
    server, base, story = told_server
    with visit(browser, server, base, user="bob") as tab:
        for name in ("overview", "artifacts", "findings", "alarms", "approvals", "compliance", "releases"):
            tab.goto(address(name, story))
            assert "digits" not in tab.inner_text("body")
        for name in ("evidence", "request", "statement", "graph", "changes", "run"):
            assert tab.goto(address(name, story)).status == 403


def test_hostile_evidence_does_nothing_in_a_browser(browser: Any, server: AirflowServer, world: PipelineWorld) -> None:
    payload = " ".join(PAYLOADS)[:1500]
    for number, each in enumerate((payload, *PAYLOADS[:40])):
        evil = Artifact(each, f"s3://b/{each}", Kind.MODEL, Form.FILE, parse_sha256(f"{number:064x}"), 5, 1)
        found = [Finding(each, Severity.CRITICAL, each, each, (each,))]
        world.checked(evil, each, Verdict.FAIL, summary=each, findings=found, where=run(RED, each))
    world.model = Artifact(payload, payload, Kind.MODEL, Form.FILE, parse_sha256("0" * 64), 5, 1)
    world.dataset = Artifact(payload, payload, Kind.DATASET, Form.FILE, parse_sha256(f"{1:064x}"), 5, 1)
    made = world.made()
    own, all_ours = page(RED, world.model), "/mlsecops"
    paths = [f"{all_ours}/", *(f"{all_ours}/{name}" for name in ("artifacts", "findings", "compliance"))]
    paths += [f"{all_ours}/dags/{RED}/runs/manual__1/statements", f"{own}/evidence/{made}"]
    paths += [own, *(f"{own}/{name}" for name in ("timeline", "changes", "compliance", "graph"))]
    with listening(server) as base, visit(browser, server, base) as tab:
        for path in paths:
            assert tab.goto(path, wait_until="load").status == 200
            assert tab.evaluate("window.owned") is None
            assert tab.evaluate("document.scripts.length + document.images.length") == 0
            assert BLUE not in tab.inner_text("body")
            assert "window.owned=1" in tab.inner_text("body")
        assert tab.strange == []
