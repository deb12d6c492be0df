"""Airflow's api-server in a process of its own, for `pages.py`: as tests build it, and telling what each answer took.

    python benchmarks/pages_server.py FOLDER

``FOLDER`` holds ``evidence/`` and ``trust.json`` (see `pages_store.py`). One line of JSON says where the server listens
and with which token; it ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DAGS = {f"train_{number}": "" for number in range(20)}
TIMING = "server-timing"


class Timed:
    """Tells each answer's time, and this process' CPU time meanwhile, in a ``Server-Timing`` header."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request. The header goes out first, so an answer is kept until it is whole."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kept: list[Any] = []

        async def keep(message: Any) -> None:
            kept.append(message)

        wall, cpu = time.perf_counter(), time.process_time()
        await self._app(scope, receive, keep)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        told = f"total;dur={wall * 1000:.2f}, cpu;dur={cpu * 1000:.2f}"
        kept[0]["headers"] = [*kept[0].get("headers", []), (TIMING.encode(), told.encode())]
        for message in kept:
            await send(message)


def main(folder: Path) -> None:
    """Build, listen, tell where, and wait."""
    sys.path.insert(0, str(ROOT))
    told = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Airflow writes its access log there, and nobody reads it
    from tests.plugin.browsing import listening
    from tests.support.airflow_server import AirflowServer

    home = folder / "airflow"
    home.mkdir()
    extra = {"evidence_root": str(folder / "evidence"), "trust_policy": str(folder / "trust.json"), "signer": "file:-"}
    os.environ["AIRFLOW_CONN_MLSECOPS_DEFAULT"] = json.dumps({"conn_type": "mlsecops", "extra": extra})
    os.environ["AIRFLOW__MLSECOPS__INDEX_FOLDER"] = str(folder / "index")
    server = AirflowServer.build(home, users={"root": ("admin", "")}, dags=DAGS)
    with server.active(), listening(server, Timed(server.app)) as base:
        token = server.token("root")
        print(json.dumps({"base": base, "token": token, "pid": os.getpid()}), file=told, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
