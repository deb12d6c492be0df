"""The documentation as a site: it builds without a warning, its generated pages are those of the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import make_reference
import pytest

from tests.support.doc_pages import ROOT, pages

BUILD = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--nitpicky"]


class Links(HTMLParser):
    """What a page loads and links to, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given["id"]} if "id" in given else set()
        if tag == "a" and "href" in given:
            self.linked.append(given["href"])
        elif tag in ("img", "script", "source", "iframe") and "src" in given:
            self.loaded.append(given["src"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload", "shortcut icon"):
            self.loaded.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The site, built as scripts/docs builds it."""
    out = tmp_path_factory.mktemp("site")
    places = ["--conf-dir", "docs", "--doctree-dir", str(tmp_path_factory.mktemp("doctrees")), ".", str(out)]
    done = subprocess.run([*BUILD, "--builder", "html", *places], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    yield out


def test_every_page_of_the_documentation_is_there(site: Path) -> None:
    beside = {"README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md", "dags/README.md"}
    wanted = {name for name in pages() if name.startswith("docs/")} | beside
    assert [name for name in wanted if not (site / name).with_suffix(".html").exists()] == []
    assert (site / "index.html").read_bytes() == (site / "README.html").read_bytes()


def test_it_holds_together_and_loads_nothing_from_outside(site: Path) -> None:
    read = {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(read) > 100
    outside, broken = [], []
    for path, links in read.items():
        outside += [f"{path.name}: {target}" for target in links.loaded if re.match(r"(https?:)?//", target)]
        for target in (*links.linked, *links.loaded):
            place, _, anchor = unquote(target).partition("#")
            if re.match(r"\w+:", target):
                continue
            file = (path.parent / place.partition("?")[0]).resolve() if place else path
            there = read.get(file)
            if not file.is_file() or (anchor and there is not None and anchor not in there.anchors):
                broken.append(f"{path.relative_to(site)}: {target}")
    assert outside == []
    assert broken == []


@pytest.mark.parametrize("name", make_reference.PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == make_reference.PAGES[name](), "run scripts/make_reference.py"


def test_every_operator_and_schema_is_in_the_reference() -> None:
    operators = pages()["docs/reference/operators.md"]
    for folder in ("operators", "sensors"):
        for path in (ROOT / folder).glob("*.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and node.name.endswith(("Operator", "Sensor")):
                    assert f"\n## {node.name}\n" in operators
    for path in make_reference.schema_files():
        assert path.name in pages()["docs/reference/schemas.md"]


def test_every_example_dag_is_listed_with_what_it_says_of_itself() -> None:
    listed = dict(re.findall(r"^\| \[`[\w.]+`\]\(([\w/.]+)\) \| (.+) \|$", pages()["dags/README.md"], re.MULTILINE))
    there = {}
    for path in (ROOT / "dags").rglob("*.py"):
        told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        there[path.relative_to(ROOT / "dags").as_posix()] = told.splitlines()[0]
    assert listed == there
