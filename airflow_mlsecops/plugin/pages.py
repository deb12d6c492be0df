"""The pages. Plain ``def``: FastAPI runs them beside the event loop, because the store may be slow."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import EvidenceNotFoundError, StatementError
from airflow_mlsecops.core.telling import dag_of
from airflow_mlsecops.plugin import text
from airflow_mlsecops.plugin.access import ReadableDags
from airflow_mlsecops.plugin.place import Place
from airflow_mlsecops.plugin.problems import Problem, no_evidence
from airflow_mlsecops.plugin.reports import REPORT_POLICY, report_of
from airflow_mlsecops.plugin.source import Source
from airflow_mlsecops.plugin.view import ArtifactView, build_view

router = APIRouter()


@router.get("/dags/{dag_id}/artifacts/{sha256}")
def artifact_page(request: Request, dag_id: str, sha256: str, readable: ReadableDags) -> Response:
    """What the store holds about an artifact, verified now."""
    return _page("artifact.html", request, view=_view(request, dag_id, sha256, readable), dag_id=dag_id)


@router.get("/api/dags/{dag_id}/artifacts/{sha256}")
def artifact_json(request: Request, dag_id: str, sha256: str, readable: ReadableDags) -> Response:
    """The same as JSON."""
    return JSONResponse(text.plain(_view(request, dag_id, sha256, readable)))


@router.get("/dags/{dag_id}/evidence/{digest}")
def evidence_bundle(request: Request, dag_id: str, digest: str, readable: ReadableDags) -> Response:
    """One bundle, byte for byte, whether it counts or not: whoever wants to verify it needs nothing else of us."""
    sha256 = _digest(digest)
    try:
        bundle = Source.open().bundle(sha256).bundle
    except EvidenceNotFoundError as error:
        raise no_evidence() from error
    if bundle is None:
        raise Problem(
            404, "evidence-broken", "This evidence is broken", "What lies there is not what its name says it is."
        )
    if dag_of(bundle.statement) not in readable:
        raise no_evidence()
    name = f'inline; filename="{sha256}.sigstore.json"'
    return Response(bundle.raw, media_type="application/json", headers={"Content-Disposition": name})


@router.get("/dags/{dag_id}/artifacts/{sha256}/reports/{digest}")
def report_page(request: Request, dag_id: str, sha256: str, digest: str, readable: ReadableDags) -> Response:
    """The report that a statement about an artifact names, for people, once the statement is verified."""
    content = report_of(Source.open(), _digest(sha256), _digest(digest), readable, utcnow())
    return HTMLResponse(content, headers={"Content-Security-Policy": REPORT_POLICY})


def _view(request: Request, dag_id: str, sha256: str, readable: frozenset[str]) -> ArtifactView:
    digest, links = _digest(sha256), Place.of(request).links
    return build_view(Source.open(), digest, dag_id=dag_id, readable=readable, links=links, now=utcnow())


def _digest(value: str) -> Sha256:
    try:
        return parse_sha256(value)
    except StatementError as error:
        raise Problem(
            404, "no-such-page", "There is no such page", "A SHA-256 has 64 lower-case hex digits."
        ) from error


_JSON = (artifact_json, evidence_bundle)


def wants_json(request: Request) -> bool:
    """Whether the address is one of those that answer in JSON."""
    return request.scope.get("endpoint") in _JSON


def answer(request: Request, problem: Problem) -> Response:
    """Answer with a problem, as a page or as JSON."""
    if wants_json(request):
        content = {"code": problem.code, "title": problem.title, "text": problem.text}
        headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}
        return JSONResponse(content, problem.status, headers)
    dag_id = str(request.scope.get("path_params", {}).get("dag_id", ""))
    return _page("problem.html", request, problem.status, problem=problem, dag_id=dag_id)


def _page(template: str, request: Request, status: int = 200, **values: Any) -> HTMLResponse:
    content = _ENVIRONMENT.get_template(template).render(links=Place.of(request).links, **values)
    return HTMLResponse(content, status)


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
_ENVIRONMENT.filters.update(moment=text.moment, ago=text.ago, number=text.number, size=text.size, shell=text.shell)
