"""The pages tell what is so: links lead somewhere, what is named exists, examples run."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.loading import NotVerifiedError
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.report import Verdict
from tests.cli.released import Released, flip_a_byte
from tests.support import doc_pages
from tests.support.deployment import Deployment
from tests.support.doc_pages import ROOT, Block, blocks, marked, pages, source_of, words
from tests.support.run_op import run_op

PAGES = sorted(pages())


def dags_of(path: Path) -> dict[str, Any]:
    """The Dags in a file, as Airflow's Dag processor reads it."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(path))
    assert bag.import_errors == {}
    return dict(bag.dags)


# --- links and names --------------------------------------------------------------------------------------------------


def test_there_are_pages() -> None:
    assert {"README.md", "SECURITY.md", "docs/README.md", "deploy/README.md"} <= set(PAGES)
    assert len(PAGES) > 30


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    broken = []
    for target in doc_pages.links(pages()[page]):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists() or (anchor and anchor not in doc_pages.anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != "deploy/README.md"])  # that one has its own test
def test_what_is_named_exists(page: str) -> None:
    missing = []
    for span in words(re.sub(r"^```.*?^```$", "", pages()[page], flags=re.MULTILINE | re.DOTALL)):
        tops = "airflow_mlsecops|dags|operators|sensors|expectations|scripts|tests|deploy|requirements|docs"
        if re.fullmatch(rf"({tops})/[\w./-]*", span) and not (ROOT / span).exists():
            missing.append(span)
        if re.fullmatch(r"airflow_mlsecops(\.\w+)+", span) and not is_importable(span):
            missing.append(span)
    assert missing == []


def is_importable(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return bool(module) and is_importable(module) and hasattr(importlib.import_module(module), attribute)
    return True


# --- code -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_parses_and_its_imports_are_there(block: Block) -> None:
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("airflow", "airflow_mlsecops")):
            module = importlib.import_module(node.module or "")
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.parametrize(
    ("reference", "block"), [*marked("from"), *marked("from", "yaml")], ids=lambda value: str(value)
)
def test_example_is_the_example_dags_text(reference: str, block: Block) -> None:
    assert block.code == source_of(reference)


def test_every_tagged_example_is_told() -> None:
    tags = set(doc_pages.tags())
    assert len(tags) >= 6
    assert tags <= {reference for reference, _ in marked("from")}


def test_the_readmes_dag_can_be_pasted(tmp_path: Path) -> None:
    (block,) = [block for block in blocks("python") if block.page == "README.md"]
    (tmp_path / "pasted.py").write_text(block.code)
    ((name, dag),) = dags_of(tmp_path / "pasted.py").items()
    assert name == "checked_data"
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {
        "validate": set(),
        "poisoning": {"validate"},
    }


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package that write-a-control.md writes; the folder it lies in."""
    for name, block in marked("file"):
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code)
    (tmp_path / "site" / "acme" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield tmp_path / "site" / "acme"
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        del sys.modules[name]


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("rows", "given", "state", "verdict", "rule"),
    [
        (["1,a", "2,a", "3,b"], {}, "success", Verdict.PASS, None),
        (["1,a", "2,a", "1,a"], {}, "failed", Verdict.FAIL, "duplicate-rows/share"),
        (["1,a", "2,a", "1,a"], {"budget": "{{ 0.5 }}"}, "success", Verdict.PASS, None),
        (["1,a", "2,a", "3,b"], {"columns": ["label"]}, "failed", Verdict.FAIL, "duplicate-rows/share"),
        (["1,a", "2,a"], {"columns": ["colour"]}, "failed", Verdict.FAIL, "duplicate-rows/cannot-judge"),
    ],
)
def test_the_written_control_runs(
    rows: list[str], given: dict[str, Any], state: str, verdict: Verdict, rule: str | None, acme: Path, tmp_path: Path
) -> None:
    table, deployment = tmp_path / "table.csv", Deployment(tmp_path / "deployment")
    table.write_text("id,label\n" + "\n".join(rows) + "\n")
    operator = importlib.import_module("acme.operators").FindDuplicateRowsOperator
    done = run_op(operator(task_id="d", artifact=str(table), **given), connections=deployment.connections)
    assert done.state == state
    (item,) = deployment.about(pin(str(table)).artifact.digest).of("test-result")
    result = control_run.parse(item.statement)
    assert (result.control, result.verdict) == ("duplicate-rows", verdict)
    assert [finding["rule"] for finding in result.findings] == ([rule] if rule else [])


def test_the_written_controls_dag_is_read(acme: Path) -> None:
    (dag,) = dags_of(acme / "dag.py").values()
    assert [type(task).__name__ for task in dag.tasks] == ["FindDuplicateRowsOperator"]


def test_loading_in_python(tmp_path: Path) -> None:
    ((_, block),) = [(value, block) for value, block in marked("run") if value == "load"]
    written: dict[str, Any] = {}
    exec(compile(block.code, str(block), "exec"), written)
    world = Released(tmp_path / "world")
    world.run_pipeline()
    given = [str(path) for path in (world.model, world.evidence, world.trust, world.policy)]
    assert written["load"](*given) == world.model.read_bytes()
    flip_a_byte(world.model)
    with pytest.raises(NotVerifiedError):
        written["load"](*given)


def test_verifying_in_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ((_, block),) = [(value, block) for value, block in marked("run") if value == "verify"]
    written: dict[str, Any] = {}
    exec(compile(block.code, str(block), "exec"), written)
    world = Released(tmp_path / "world")
    world.run_pipeline()
    given = [str(path) for path in (world.model, world.evidence, world.trust, world.policy)]
    assert written["may_be_used"](*given) is True
    flip_a_byte(world.model)
    assert written["may_be_used"](*given) is False
    assert "not-released" in capsys.readouterr().out
