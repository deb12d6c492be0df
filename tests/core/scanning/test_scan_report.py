"""The report of a scan tells what was seen, and nothing in a hostile model can make it do anything."""

from __future__ import annotations

import pickle
from datetime import datetime
from html import unescape
from pathlib import Path

from airflow_mlsecops.core.controls.model_scan import scan_model
from airflow_mlsecops.core.pinning.pin import pin
from airflow_mlsecops.core.report import REPORT, Verdict
from airflow_mlsecops.core.scanning.report_html import MOST
from tests.core.validation.payloads import PAYLOADS
from tests.support.browser import look_at, needs_browser
from tests.support.hostile_models import EVIL4


def report_of(path: Path) -> tuple[Verdict, str]:
    told = scan_model(pin(str(path)).artifact, path)
    return told.verdict, told.blobs[REPORT].decode()


def test_a_clean_model(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"weights": [1.0, 2.0], "at": datetime(2020, 1, 1)}))
    verdict, html = report_of(path)
    assert verdict is Verdict.PASS
    assert ">PASS<" in html and "100%" in html
    assert "datetime.<wbr>datetime" in html
    assert "What was found" not in html
    assert "no earlier release" in html


def test_a_trojan_names_what_would_run_and_the_technique(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(EVIL4)
    verdict, html = report_of(path)
    assert verdict is Verdict.FAIL
    assert ">FAIL<" in html and "system" in html
    assert "AML.T0011.000 User Execution: Unsafe AI Artifacts" in html


def test_more_parts_than_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for number in range(MOST + 7):
        (folder / f"part-{number:03d}.bin").write_bytes(b"\x01\x02 of no format")
    verdict, html = report_of(folder)
    assert verdict is Verdict.FAIL
    assert "… and 7 more in the full report" in html
    assert html.count("part-") < 4 * MOST


@needs_browser
def test_hostile_names_do_nothing_in_a_browser(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    names = [payload.replace("/", "\N{FRACTION SLASH}").replace("\0", "")[:60] for payload in PAYLOADS]
    for number, name in enumerate(names):
        (folder / f"{number} {name}").write_bytes(EVIL4 + name.encode(errors="replace"))
    verdict, html = report_of(folder)
    assert verdict is Verdict.FAIL
    assert "window.<wbr>owned" in unescape(html)
    assert look_at(html.encode(), tmp_path, screens=("light", "phone")) == {"active": [], "did": [], "unreadable": []}
