"""How Sphinx makes the site of these pages: ``scripts/docs``.

The pages are Markdown as GitHub shows it, links between them included; so the source is the whole checkout, of which
only pages are taken. What a page links to and isn't a page, such as an example Dag, is copied beside the site.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent

project = "airflow-mlsecops"
copyright = "the airflow-mlsecops authors, Apache-2.0"  # noqa: A001 - Sphinx's name for it
language = "en"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "deploy/README.md", "dags/README.md"]
exclude_patterns = [".*", "build", "tests", "benchmarks", "**/node_modules"]

# Anchors as GitHub makes them, down to the deepest heading.
myst_heading_anchors = 6
nitpicky = True
smartquotes = False
# Pygments wants a command's quotes to close on its first line. Whether blocks parse is tested, block by block.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = "airflow-mlsecops"
html_copy_source = False
html_show_sourcelink = False

SECTIONS = {
    "Start": ("docs/README", "docs/tutorial/README", "docs/tutorial/*", "dags/README"),
    "Get it done": ("docs/how-to/README", "docs/how-to/*", "deploy/README"),
    "Look it up": ("docs/reference/*", "docs/attestation/**"),
    "Understand it": ("docs/explanation/*",),
    "Decisions": ("docs/adr/README", "docs/adr/*"),
    "The project": ("docs/upgrade", "CHANGELOG", "SECURITY", "CONTRIBUTING"),
}
"""What the sidebar shows, and in which order."""


def add_sidebar(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append the tables of contents to the first page; on GitHub they would be in the way."""
    if docname == root_doc:
        for caption, pages in SECTIONS.items():
            listed = "\n".join(pages)
            source[0] += f"\n\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {caption}\n\n{listed}\n```\n"


def copy_first_page(app: Sphinx, error: Exception | None) -> None:
    """A server shows ``index.html`` first."""
    if error is None and app.builder.format == "html":
        shutil.copyfile(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register both."""
    app.connect("source-read", add_sidebar)
    app.connect("build-finished", copy_first_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
