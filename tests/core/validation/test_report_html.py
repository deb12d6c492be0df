"""A hostile data set can't make the report do anything: no markup of a stranger, no script, no request."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlsecops.core.controls.validation import validate_data
from airflow_mlsecops.core.pinning.pin import pin
from airflow_mlsecops.core.report import Report
from tests.core.validation.payloads import PAYLOADS

ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "section", "dl", "dt", "dd", "span",
    "table", "thead", "tbody", "tr", "th", "td", "svg", "g", "rect", "text",
}  # fmt: skip
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


class Seen(HTMLParser):
    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture(scope="module", params=["masked", "with values"])
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Every payload as a column's name, a cell (shown or not), an argument and a part of the suite's name."""
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    pq.write_table(pa.table({payload: [payload, None] for payload in PAYLOADS}), path)
    items: list[dict[str, Any]] = []
    for payload in PAYLOADS:
        given = {"column": payload, "value_set": [payload[::-1]]}
        items.append({"type": "expect_column_values_to_be_in_set", "kwargs": given})
        items.append({"type": "expect_column_values_to_not_be_null", "kwargs": {"column": payload}, "severity": "info"})
        items.append({"type": "expect_column_values_to_not_be_null", "kwargs": {"column": f"gone {payload}"}})
    suite = {"name": "".join(PAYLOADS[:5]), "expectations": items}
    shown = request.param == "with values"
    page = validate_data(pin(str(path)).artifact, path, suite=suite, show_values=shown).blobs["report.html"]
    assert (b"Values, for example" in page) is shown
    return page


def test_no_payload_becomes_markup(hostile: bytes) -> None:
    assert len(set(PAYLOADS)) >= 200
    seen = Seen(hostile)
    assert seen.tags <= ALLOWED
    assert not {name for name in seen.attributes if name.startswith("on") or name in ("href", "src", "style", "action")}
    for vector in ("<script", "<img", "<iframe", "<svg onload", "<base", "<form", "\u202e", "\u200b"):
        assert vector not in hostile.decode()
    assert hostile.decode().count("window.owned=1") > 200  # they are there, as text


def test_the_report_says_what_is_needed_and_no_cell(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": ["secret-4711", "b", None]}), path)
    suite = {"name": "s", "expectations": [
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "x", "value_set": ["b"]}}]}  # fmt: skip
    artifact = pin(str(path)).artifact
    page = validate_data(artifact, path, suite=suite).blobs["report.html"].decode()
    assert "secret-4711" not in page
    assert artifact.digest in page
    assert re.search(r'<td class="number">2</td><td class="number">1</td><td>0</td>', page)  # saw, unexpected, row
    assert ">FAIL</span>" in page
    assert '<rect x="190.0" y="21.0" width="370.0" height="12" class="first">' in page


def shown_cells(path: Path, **kwargs: Any) -> tuple[Report, list[str]]:
    """The report, and the last cell of each row of the table of values."""
    suite = {"name": "s", "expectations": [
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "x", "value_set": ["fine"]}}]}  # fmt: skip
    report = validate_data(pin(str(path)).artifact, path, suite=suite, show_values=True, **kwargs)
    table = report.blobs["report.html"].decode().split("Values, for example")[1].split("</table>")[0]
    return report, re.findall(r"<td>([^<]*)</td></tr>", table)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_values_are_shown_by_row_if_asked_for_and_cut(tmp_path: Path, form: str) -> None:
    values = ["fine", "secret-4711", "y" * 5000, "fine", "<b>\u202e"]
    if form == "csv":
        path = tmp_path / "t.csv"
        path.write_text("x\n" + "\n".join(values) + "\n")
    else:
        path = tmp_path / "parts"
        path.mkdir()
        pq.write_table(pa.table({"x": values[:3]}), path / "1.parquet", row_group_size=1)
        pq.write_table(pa.table({"x": values[3:]}), path / "2.parquet")
    report, cells = shown_cells(path)
    assert cells == ["secret-4711", "y" * 100 + "…", "&lt;b&gt;\\u202e"]
    others = [data for name, data in report.blobs.items() if name != "report.html"]
    assert "secret-4711" not in json.dumps(report.to_dict()) + b"".join(others).decode()


def test_only_a_few_values_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [f"bad {n}" for n in range(50)]}), path)
    assert shown_cells(path)[1] == [f"bad {n}" for n in range(10)]


@pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium, else nobody opens the hostile report"
)
def test_a_real_browser_runs_no_script_and_sends_no_request(hostile: bytes, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    path = tmp_path / "report.html"
    path.write_bytes(hostile)
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = browser.new_page()
            page.on("request", lambda request: requests.append(request.url))
            page.on("dialog", lambda dialog: requests.append(f"dialog {dialog.message}"))
            page.goto(path.as_uri(), wait_until="load")
            assert page.evaluate("window.owned") is None
            assert page.evaluate("document.scripts.length + document.images.length + document.links.length") == 0
            assert page.evaluate("document.querySelectorAll('iframe, object, embed, form, base, link').length") == 0
            shown = page.evaluate("getComputedStyle(document.querySelector('section')).borderRadius")
            assert shown == "8px"  # the style sheet is the one thing that the policy lets through
        finally:
            browser.close()
    assert requests == [path.as_uri()]
