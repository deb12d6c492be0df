"""The client of Airflow's REST API: what it sends again, and what it never does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import airflow_rest
import pytest
from airflow_rest import AirflowApiError, RestClient

LOCKED = (500, {"detail": {"reason": "Database error", "message": "look for ID x"}})
DONE = (200, {"dag_run_id": "manual"})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_rest, "_POLL_SECONDS", 0.0)


@contextmanager
def answering(*answers: tuple[int, Any]) -> Iterator[tuple[RestClient, list[bytes]]]:
    """A server that gives these answers, the last one for ever, and the bodies that it was sent."""
    left, sent = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = left.pop(0) if len(left) > 1 else left[0]
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            with RestClient(f"http://127.0.0.1:{server.server_port}") as client:
                yield client, sent
        finally:
            server.shutdown()
            thread.join()


def test_what_a_locked_database_refused_is_sent_again() -> None:
    with answering(LOCKED, LOCKED, DONE) as (client, sent):
        assert client.send("POST", "/dagRuns", json={"a": 1}).json() == DONE[1]
        assert len(sent) == 3
        assert len(set(sent)) == 1


def test_a_database_that_stays_locked_is_told() -> None:
    with answering(LOCKED) as (client, sent):
        with pytest.raises(AirflowApiError, match=r"500 .*Database error") as caught:
            client.send("POST", "/dagRuns", json={})
        assert caught.value.status == 500
        assert 1 < len(sent) < 10


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"detail": "no such thing"}),
        (500, {"detail": {"reason": "another"}}),
        (500, ["Database error"]),
        (409, {"detail": {"reason": "Database error"}}),
        (503, {"detail": {"reason": "Database error"}}),
    ],
)
def test_no_other_refusal_is_sent_again(answer: tuple[int, Any]) -> None:
    with answering(answer, DONE) as (client, sent):
        with pytest.raises(AirflowApiError):
            client.send("POST", "/dagRuns", json={})
        assert len(sent) == 1
