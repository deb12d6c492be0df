"""The plugin that Airflow loads: every worker and Dag processor imports this module, so it imports next to nothing."""

from __future__ import annotations

import asyncio
import threading

from airflow.plugins_manager import AirflowPlugin

from airflow_mlsecops.listeners import provenance as provenance_listener
from airflow_mlsecops.plugin.watch import AsgiApp, GateWatch, Message, Receive, Send

URL_PREFIX = "/mlsecops"
UI_NAME = "ML Security"
"""What the entry in the navigation and the tabs are called; the module finds its component by it."""


def _ui(destination: str, **more: object) -> dict[str, object]:
    """One place in Airflow's pages. Addresses are relative, so that they hold behind a proxy that serves a path."""
    static = f"{URL_PREFIX.lstrip('/')}/static"
    return {
        "name": UI_NAME,
        "bundle_url": f"{static}/airflow.js",
        "icon": f"{static}/icon.svg",
        "icon_dark_mode": f"{static}/icon-dark.svg",
        "destination": destination,
        **more,
    }


class LazyApp:
    """An ASGI app that is built when it is first asked for.

    Airflow wants the app as a class attribute of the plugin, also in processes that never serve a page. And what goes
    wrong while it is built then breaks these pages only, not the start of the whole api-server.
    """

    def __init__(self) -> None:
        self._app: AsgiApp | None = None
        self._lock = threading.Lock()

    def _build(self) -> AsgiApp:
        from airflow_mlsecops.plugin.app import create_app

        with self._lock:
            app = self._app or create_app(URL_PREFIX)
            self._app = app
        return app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request; the imports of the first one happen beside the event loop."""
        app = self._app
        if app is None:
            app = await asyncio.to_thread(self._build)
        await app(scope, receive, send)


class MlsecopsPlugin(AirflowPlugin):
    """Mounts the evidence pages into the api-server, watches gates there, and lets workers observe outputs."""

    name = "mlsecops"
    fastapi_apps = [{"name": "mlsecops", "app": LazyApp(), "url_prefix": URL_PREFIX}]  # noqa: RUF012 - as in the base
    react_apps = [  # noqa: RUF012 - as in the base
        _ui("nav", url_route="mlsecops", nav_top_level=True),
        _ui("dag", url_route="mlsecops-dag"),
        _ui("dag_run", url_route="mlsecops-run"),
        _ui("task_instance", url_route="mlsecops-task"),
    ]
    fastapi_root_middlewares = [{"name": "mlsecops gate watch", "middleware": GateWatch}]  # noqa: RUF012 - as in the base
    listeners = [provenance_listener]  # noqa: RUF012 - as in the base
