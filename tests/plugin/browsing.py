"""A real browser before the real api-server: Debian's Chromium, driven by Playwright; it may reach nothing else."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn

from tests.deployment.native import free_ports
from tests.support.airflow_server import AirflowServer
from tests.support.browser import PHONE, WIDE


@contextmanager
def listening(server: AirflowServer, app: Any = None) -> Iterator[str]:
    """Serve the app, or one around it, on a port of this machine; yields its address."""
    (port,) = free_ports(1)
    running = uvicorn.Server(
        uvicorn.Config(app or server.app, host="127.0.0.1", port=port, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until = time.monotonic() + 300
    while not running.started:
        assert thread.is_alive() and time.monotonic() < until, "the api-server didn't start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        thread.join(30)


@contextmanager
def visit(
    browser: Any, server: AirflowServer, base: str, user: str = "alice", *, dark: bool = False, phone: bool = False
) -> Iterator[Any]:
    """One person's tab. What it asks of another host than the server's is kept in ``tab.strange``."""
    context = browser.new_context(
        base_url=base, viewport=PHONE if phone else WIDE, color_scheme="dark" if dark else "light",
        device_scale_factor=1, locale="en-GB",
    )  # fmt: skip
    if user:
        context.add_cookies([{"name": "_token", "value": server.token(user), "url": base}])
    context.set_default_timeout(300_000)  # milliseconds; it only keeps a failure from hanging
    tab = context.new_page()
    tab.strange = []
    tab.on("request", lambda request: None if request.url.startswith(base) else tab.strange.append(request.url))
    tab.on("dialog", lambda dialog: tab.strange.append(f"dialog {dialog.message}"))
    try:
        yield tab
    finally:
        context.close()


def difference(browser: Any, one: bytes, other: bytes) -> float:
    """How different two pictures look from afar: mean difference of brightness, 0 to 1; 1 if they differ in size."""
    context = browser.new_context()
    try:
        urls = [f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in (one, other)]
        return float(context.new_page().evaluate(_DIFFERENCE, urls))
    finally:
        context.close()


_DIFFERENCE = """async (urls) => {
  const [width, height] = [64, 45];
  const [one, other] = await Promise.all(urls.map(async (url) => {
    const picture = new Image();
    picture.src = url;
    await picture.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    canvas.imageSmoothingQuality = "high";
    canvas.drawImage(picture, 0, 0, width, height);
    return { size: [picture.width, picture.height].join(), data: canvas.getImageData(0, 0, width, height).data };
  }));
  if (one.size !== other.size) return 1;
  return one.data.reduce((sum, value, at) => sum + Math.abs(value - other.data[at]), 0) / one.data.length / 255;
}"""


def give_tasks(server: AirflowServer, dag_id: str, tasks: Sequence[str], run_id: str) -> None:
    """Let a Dag of the server's database have these tasks, and a run, so that Airflow has pages of them."""
    from airflow.models.dag import DagModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    with DAG(dag_id, schedule=None) as dag:
        for task_id in tasks:
            EmptyOperator(task_id=task_id)
    with create_session() as session:
        known = session.get(DagModel, dag_id)
        assert known is not None
        SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name=known.bundle_name, session=session)
        known.is_stale, known.is_paused = False, False
    body = {"logical_date": None, "dag_run_id": run_id}
    answer = server.client("root").post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
    assert answer.status_code == 200, answer.text
