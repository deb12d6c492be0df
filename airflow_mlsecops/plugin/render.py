"""Drawing pages: every value from data is cleaned and escaped on its way into a template."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.plugin import plots, text
from airflow_mlsecops.plugin.place import Place
from airflow_mlsecops.plugin.problems import Problem

AS_JSON = "answers in JSON"
"""A mark on routes: what goes wrong is told in JSON there, and nobody is sent to a log-in page."""


def draw(template: str, request: Request, status: int = 200, **values: Any) -> HTMLResponse:
    """Draw a page."""
    place = Place.of(request)
    values = {"dag_id": "", "section": "", **values}
    content = _ENVIRONMENT.get_template(template).render(links=place.links, path=place.path, **values)
    return HTMLResponse(content, status)


def answer(request: Request, problem: Problem) -> Response:
    """Answer with a problem, as a page or as JSON."""
    if wants_json(request):
        content = {"code": problem.code, "title": problem.title, "text": problem.text}
        headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}
        return JSONResponse(content, problem.status, headers)
    dag_id = str(request.scope.get("path_params", {}).get("dag_id", ""))
    return draw("problem.html", request, problem.status, problem=problem, dag_id=dag_id)


def wants_json(request: Request) -> bool:
    """Whether the address is one of those that answer in JSON."""
    route = request.scope.get("route")
    return AS_JSON in (getattr(route, "tags", None) or ())


def digest_of(value: str) -> Sha256:
    """A digest from an address.

    Raises:
        Problem: 404, if it is none.
    """
    try:
        return parse_sha256(value)
    except StatementError as error:
        raise Problem(
            404, "no-such-page", "There is no such page", "A SHA-256 has 64 lower-case hex digits."
        ) from error


def _finalize(value: Any) -> Any:
    # Markup comes out of macros, whose own expressions have been through here already.
    return text.clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


_ENVIRONMENT = Environment(
    loader=PackageLoader("airflow_mlsecops.plugin"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_finalize,
)
_ENVIRONMENT.filters.update(
    moment=text.moment,
    ago=text.ago,
    left=text.left,
    number=text.number,
    fact=text.fact,
    long=text.lines,
    size=text.size,
    shell=text.shell,
    plot=plots.verdicts,
)
