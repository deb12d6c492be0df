"""A report in a real browser: what it does, and whether people can read it, on a screen, in the dark and on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SCREENS: dict[str, dict[str, Any]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "has_touch": True},
}
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium, else nobody opens the reports"
)

ACTIVE = """() => [
    ...document.querySelectorAll('script, iframe, object, embed, form, base, link, img, [style], [src], [href]'),
    ...[...document.querySelectorAll('*')].filter(e => e.getAttributeNames().some(n => n.startsWith('on'))),
].map(e => e.tagName)"""


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def axe_finds(tab: Any) -> list[str]:
    """What axe finds in the page that is open, rule by rule, with where it is."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab).response["violations"]
    return [f"{rule['id']}: {rule['help']}: {[node['html'][:120] for node in rule['nodes']][:3]}" for rule in found]


def look_at(
    report: bytes, folder: Path, *, screens: Sequence[str] = tuple(SCREENS), axe: bool = True
) -> dict[str, Any]:
    """Open a page on each screen, and tell everything that would be wrong; all of it has to be empty.

    Args:
        report: the page.
        folder: where it may be put.
        screens: names of :data:`SCREENS`.
        axe: whether axe-core looks at it, too; it takes long for a page of a megabyte.
    """
    path = folder / "looked-at.html"
    path.write_bytes(report)
    seen: dict[str, list[Any]] = {"active": [], "did": [], "unreadable": []}
    with browsing() as browser:
        for name in screens:
            page = browser.new_page(**SCREENS[name])
            page.on("request", lambda request: seen["did"].append(request.url))
            page.on("dialog", lambda dialog: seen["did"].append(f"dialog {dialog.message}"))
            page.on("console", lambda message: seen["did"].append(f"console {message.text}"))
            page.goto(path.as_uri(), wait_until="load")
            seen["active"] += page.evaluate(ACTIVE)
            if page.evaluate("window.owned") is not None:
                seen["did"].append("a script ran")
            # The style sheet is the one thing that the policy lets through.
            assert page.evaluate("getComputedStyle(document.querySelector('section')).borderRadius") == "8px"
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                seen["unreadable"].append(f"{name}: wider than the screen")
            if axe and name != "phone":  # the same page and colours as in the light
                seen["unreadable"] += [f"{name}: {each}" for each in axe_finds(page)]
            page.close()
    seen["did"] = [each for each in seen["did"] if each != path.as_uri()]
    return seen
