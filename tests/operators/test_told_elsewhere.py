"""Where it arrives: a mail through Airflow's SMTP provider, metrics at an OpenTelemetry collector, on this machine."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from tests.support.deployment import Deployment
from tests.support.run_op import run_op

pytestmark = pytest.mark.airflow


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    """A server in a thread; its port."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_refusal_arrives_as_a_mail(model: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    mails: list[bytes] = []

    class Mail(socketserver.StreamRequestHandler):
        """As much of RFC 5321 as it takes to receive one."""

        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    mails.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                if verb == b"QUIT":
                    return

    arguments = {
        "from_email": "airflow@example.com",
        "to": "ml-oncall@example.com",
        "subject": "{{ mlsecops.subject }}",
        "html_content": "{{ mlsecops.text | e }}",
    }
    notifier = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
    setting = json.dumps([{"notifier": notifier, "arguments": arguments, "on": ["refusal"]}])
    monkeypatch.setenv("AIRFLOW__MLSECOPS__NOTIFIERS", setting)
    policy = model.with_name("policy.yaml")
    policy.write_text("version: 1\nname: small\nrequire: [{evidence: signature, of: model}]\n")
    with serving(socketserver.TCPServer(("127.0.0.1", 0), Mail)) as port:
        extra = {"disable_ssl": True, "disable_tls": True}
        smtp = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
        gate = ReleaseGateOperator(task_id="gate", artifact=str(model), policy=str(policy))
        done = run_op(gate, connections={**deployment.connections, "smtp_default": smtp})
    assert done.state == "failed"
    assert len(mails) == 1, done.logs
    mail = message_from_bytes(mails[0])
    assert (mail["To"], mail["Subject"]) == ("ml-oncall@example.com", "test_dag: gate said NO")
    (body,) = (part.get_payload(decode=True) for part in mail.walk() if part.get_content_type() == "text/html")
    assert b"is not released" in body


def test_metrics_arrive_at_an_opentelemetry_collector() -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    # In the order of a task's process: Airflow sets its metrics up, the task runs, the process ends.
    code = (
        "from airflow.sdk.observability import stats\n"
        "from airflow.sdk.observability.metrics import stats_utils\n"
        "stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)\n"
        "from airflow_mlsecops.hooks.metrics import count, lasted\n"
        "count('mlsecops.controls.fail', control='data-validation', dag_id='d')\n"
        "lasted('mlsecops.control.duration', 1.5, control='data-validation', dag_id='d')\n"
    )
    with serving(HTTPServer(("127.0.0.1", 0), Collector)) as port:
        settings = {
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "AIRFLOW__METRICS__OTEL_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__OTEL_PORT": str(port),
        }
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **settings}, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert {path for path, _ in received} == {"/v1/metrics"}, done.stderr
    sent = b"".join(body for _, body in received)
    for text in (b"airflow.mlsecops.controls.fail", b"airflow.mlsecops.control.duration", b"data-validation"):
        assert text in sent
