"""How Airflow loads the plugin, and what that costs where no page is ever served."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.links import evidence_url, request_url, statement_url
from airflow_mlsecops.plugin import api, app, list_pages, pages
from airflow_mlsecops.plugin.plugin import LazyApp
from airflow_mlsecops.plugin.watch import Message, Receive, Send
from tests.plugin.pages import RED, PipelineWorld, run
from tests.support.airflow_server import AirflowServer
from tests.support.evidence import approval_request_statement

ROOT = Path(__file__).parents[2]


def test_the_entry_point_is_a_plugin_as_airflow_checks_it() -> None:
    from airflow._shared.plugins_manager import is_valid_plugin

    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["airflow.plugins"]
    loaded = [EntryPoint(name, value, "airflow.plugins").load() for name, value in points.items()]
    assert [is_valid_plugin(plugin) for plugin in loaded] == [True]
    assert loaded[0].fastapi_apps[0]["url_prefix"] == "/mlsecops"


def test_airflow_lists_it(server: AirflowServer) -> None:
    plugins = server.client("root").get("/api/v2/plugins").json()
    ours = next(plugin for plugin in plugins["plugins"] if plugin["name"] == "mlsecops")
    assert [mounted["url_prefix"] for mounted in ours["fastapi_apps"]] == ["/mlsecops"]
    errors = server.client("root").get("/api/v2/plugins/importErrors").json()["import_errors"]
    # In a checkout the distribution may be found twice: as it is installed, and by its egg-info.
    assert [error for error in errors if "already registered" not in error["error"]] == []


def test_loading_it_costs_a_worker_next_to_nothing() -> None:
    code = (
        "import sys, airflow.sdk, airflow.plugins_manager; before = set(sys.modules)\n"
        "import airflow_mlsecops.plugin.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    # Airflow may have come across the package before, looking for providers.
    ours = {
        "airflow_mlsecops",
        "airflow_mlsecops.plugin",
        "airflow_mlsecops.plugin.plugin",
        "airflow_mlsecops.plugin.watch",
    }
    listeners = {"airflow_mlsecops.listeners", "airflow_mlsecops.listeners.provenance", "airflow.listeners"}
    assert set(done.stdout.split()) <= ours | listeners | {"airflow._shared.listeners"}


def test_a_tasks_link_leads_to_a_page(server: AirflowServer, world: PipelineWorld) -> None:
    signed = world.signed()
    for url in (evidence_url(RED, world.model.digest), statement_url(RED, world.model.digest, signed)):
        assert server.client("alice").get(url).status_code == 200


def test_a_gates_question_leads_to_the_request(server: AirflowServer, world: PipelineWorld) -> None:
    asked = world.put(approval_request_statement(world.model, ["bob"], world.now, run=run(RED)), "asker")
    answer = server.client("alice").get(request_url(RED, world.model.digest, asked))
    assert (answer.status_code, "bob" in answer.text) == (200, True)


def test_the_app_is_built_once_however_many_ask_first(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    served: list[Message] = []
    started = threading.Barrier(2, timeout=300)

    async def built_app(scope: Message, receive: Receive, send: Send) -> None:
        served.append(scope)

    def create(prefix: str) -> object:
        built.append(prefix)
        return built_app

    monkeypatch.setattr(app, "create_app", create)
    lazy = LazyApp()

    async def nothing(*_: object) -> Message:
        return {}

    async def ask(number: int) -> None:
        await asyncio.to_thread(started.wait)
        await lazy({"type": "http", "number": number}, nothing, nothing)  # type: ignore[arg-type]

    async def both() -> None:
        await asyncio.gather(ask(1), ask(2))

    asyncio.run(both())
    assert built == ["/mlsecops"]
    assert len(served) == 2


def test_nothing_can_be_written_so_no_origin_has_to_be_checked() -> None:
    inner: Any = app.create_app("/mlsecops")
    routes = [route for route in inner._app.routes if hasattr(route, "methods")]
    assert len(routes) > 20
    assert {method for route in routes for method in route.methods} <= {"GET", "HEAD"}


def test_a_slow_store_doesnt_hold_the_event_loop() -> None:
    """FastAPI runs plain functions in threads; a coroutine would hold the loop while it waits for the store."""
    routers = (api.router, list_pages.router, pages.router)
    endpoints = [route.endpoint for router in routers for route in router.routes]  # type: ignore[attr-defined]
    assert {"artifact_page", "artifacts_json", "overview_page"} <= {endpoint.__name__ for endpoint in endpoints}
    assert not any(inspect.iscoroutinefunction(endpoint) for endpoint in endpoints)
