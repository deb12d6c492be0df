"""A small threaded HTTP server on 127.0.0.1, and the clock that its services go by."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MAX_BODY_BYTES = 32 * 1024 * 1024


@dataclass
class Clock:
    """The time a service believes it is: a test may set it wrong."""

    offset: timedelta = timedelta()

    def now(self) -> datetime:
        """The time in UTC, in whole seconds, as certificates and time stamps carry it."""
        return (datetime.now(UTC) + self.offset).replace(microsecond=0)


@dataclass(frozen=True)
class Request:
    """One request: headers by lower-case name, query by name (last value)."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            RefusedError: if it isn't.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise RefusedError(400, "the body is not JSON") from error

    def bearer(self) -> str:
        """The token of the Authorization header.

        Raises:
            RefusedError: if there is none.
        """
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise RefusedError(401, "a bearer token is needed")
        return token


@dataclass(frozen=True)
class Response:
    """What goes back."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"

    @classmethod
    def of(cls, value: Any, status: int = 200) -> Response:
        """``value`` as JSON."""
        return cls(json.dumps(value).encode(), status)


class RefusedError(Exception):
    """A request that the service says no to."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.response = Response.of({"code": status, "message": message}, status)


Route = Callable[[Request], Response]


@dataclass
class Listener:
    """One port. It is bound at once, so that its URL is known; it answers only after :meth:`serve`.

    Attributes:
        routes: handler by ``"METHOD /path"``.
        requests: how many requests were answered.
    """

    port: int = 0
    routes: dict[str, Route] = field(default_factory=dict)
    requests: int = 0

    def __post_init__(self) -> None:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener._answer(self)

            def do_POST(self) -> None:
                listener._answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing: tests read what the services return."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self, routes: Mapping[str, Route]) -> None:
        """Begin to answer."""
        self.routes.update(routes)
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        try:
            response = self._dispatch(handler)
        except RefusedError as refused:
            response = refused.response
        handler.send_response(response.status)
        handler.send_header("Content-Type", response.content_type)
        handler.send_header("Content-Length", str(len(response.body)))
        handler.end_headers()
        handler.wfile.write(response.body)

    def _dispatch(self, handler: BaseHTTPRequestHandler) -> Response:
        parts = urlsplit(handler.path)
        route = self.routes.get(f"{handler.command} {parts.path}")
        if route is None:
            raise RefusedError(404, f"nothing at {handler.command} {parts.path}")
        length = int(handler.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            raise RefusedError(413, "too large")
        return route(
            Request(
                path=parts.path,
                query={name: values[-1] for name, values in parse_qs(parts.query).items()},
                headers={name.lower(): value for name, value in handler.headers.items()},
                body=handler.rfile.read(length),
            )
        )
