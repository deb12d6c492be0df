"""Airflow's own pages in Debian's Chromium, as people use them: each logs in with their own password.

With ``MLSECOPS_SCREENSHOTS`` naming a folder, pictures of what people are asked are kept there, light and dark.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.browser import CHROMIUM, WIDE, browsing

SECONDS = 300
"""How long a page may take; the limit only keeps a failure from hanging."""


class Browser:
    """One browser, and a session of its own for each person.

    Args:
        chromium: Playwright's browser.
        base_url: of Airflow.
        passwords: of those who can log in to its simple auth manager.
    """

    def __init__(self, chromium: Any, base_url: str, passwords: Mapping[str, str]) -> None:
        self._chromium = chromium
        self._base_url = base_url
        self._passwords = passwords
        self._pages: dict[str, Any] = {}

    def page(self, person: str) -> Any:
        """The page of a person who has logged in by Airflow's form."""
        if person not in self._pages:
            context = self._chromium.new_context(viewport=WIDE)
            context.set_default_timeout(SECONDS * 1000)
            page = context.new_page()
            page.goto(self._base_url)
            page.locator("input[name=username]").fill(person)
            page.locator("input[type=password]").fill(self._passwords[person])
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(f"{self._base_url}/")
            self._pages[person] = page
        return self._pages[person]

    def question(self, person: str, dag_id: str, run_id: str, task_id: str) -> Any:
        """The page on which a task asks this person."""
        page = self.page(person)
        page.goto(f"{self._base_url}/dags/{dag_id}/runs/{quote(run_id, safe='')}/tasks/{task_id}/required_actions")
        page.get_by_test_id("hitl-option-Approve").wait_for()
        return page

    def keep(self, person: str, name: str, height: int = 1400) -> None:
        """Keep pictures of what this person sees, if somebody wants them."""
        if folder := os.environ.get("MLSECOPS_SCREENSHOTS"):
            page = self.page(person)
            page.set_viewport_size({"width": 1280, "height": height})
            for scheme in ("dark", "light"):
                page.emulate_media(color_scheme=scheme)
                page.wait_for_timeout(500)
                page.screenshot(path=Path(folder) / f"{name}-{scheme}.png")
            page.set_viewport_size(WIDE)

    def answer(self, person: str, dag_id: str, run_id: str, task_id: str, option: str, reason: str) -> str:
        """Fill in the form and answer; what Airflow says to that."""
        page = self.question(person, dag_id, run_id, task_id)
        page.locator("textarea[name=element_reason]").fill(reason)
        page.get_by_test_id(f"hitl-option-{option}").click()
        toast = page.locator("[data-scope=toast][data-part=root]").first
        toast.wait_for()
        return str(toast.inner_text())


@contextmanager
def open_browser(base_url: str, passwords: Mapping[str, str]) -> Iterator[Browser]:
    """Run a browser until the block ends; where there is none, the test is skipped."""
    if CHROMIUM is None:
        pytest.skip(
            "NO BROWSER: install Debian's chromium (scripts/system-packages), else nobody opens Airflow's pages"
        )
    with browsing() as chromium:
        yield Browser(chromium, base_url, passwords)
