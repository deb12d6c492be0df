"""The FastAPI app: routes, answers to errors, headers."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_mlsecops import __version__
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.plugin import api, health, list_pages, pages
from airflow_mlsecops.plugin.place import Place
from airflow_mlsecops.plugin.problems import Problem, of_error
from airflow_mlsecops.plugin.render import answer, wants_json

log = logging.getLogger(__name__)

POLICY = "Content-Security-Policy"
HEADERS = {
    # No script at all, nothing from elsewhere: were a page to let hostile text through, it still couldn't do anything.
    # Forms ask for lists. A report is framed as what it is: see REPORT_POLICY.
    POLICY: "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class SecurityHeaders:
    """Puts :data:`HEADERS` on every answer, also on those to errors; so it stands outside of everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    if name != POLICY or name not in headers:  # a report's own policy is stricter
                        headers[name] = value
            await send(message)

        await self._app(scope, receive, send_with_headers)


def create_app(prefix: str) -> ASGIApp:
    """The app, to be mounted at ``prefix``.

    Args:
        prefix: where Airflow mounts it, with no ``/`` at its end.
    """
    app = FastAPI(
        title="airflow-mlsecops",
        version=__version__,
        description="What the evidence store holds, verified. Reads only; log in as for Airflow's own API.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.prefix = prefix
    for router in (api.router, pages.router, list_pages.router, health.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(packages=[("airflow_mlsecops.plugin", "static")]))
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(MlsecopsError, _our_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_query)
    app.add_exception_handler(Exception, _unexpected)
    return SecurityHeaders(app)


def _problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return answer(request, problem)


def _our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MlsecopsError)
    log.error("%s: %s", request.url.path, error)
    return answer(request, of_error(error))


def _http_error(request: Request, error: Exception) -> Response:
    """Errors of the router and of Airflow's log-in check; our own refusals are Problems."""
    assert isinstance(error, HTTPException)
    if error.status_code not in (401, 403):
        return answer(request, Problem(error.status_code, "no-such-page", "There is no such page"))
    # Airflow answers 401 to no token or an old one, and 403 to one that isn't its own (any more).
    if not wants_json(request):
        place = Place.of(request)
        return Response(status_code=303, headers={"Location": place.links.login(place.path)})
    return answer(request, Problem(401, "not-logged-in", "Nobody is logged in", "Send a token of this Airflow."))


def _bad_query(request: Request, error: Exception) -> Response:
    """Nothing of what was asked is repeated."""
    assert isinstance(error, RequestValidationError)
    names = ", ".join(sorted({str(each["loc"][-1]) for each in error.errors() if each.get("loc")}))
    return answer(request, Problem(422, "bad-query", "This can't be asked", f"Look at: {names}."))


def _unexpected(request: Request, error: Exception) -> Response:
    # Starlette raises it again once this is sent, so that the server's log has the traceback.
    return answer(request, Problem(500, "internal", "Something went wrong", "The api-server's log says what."))
