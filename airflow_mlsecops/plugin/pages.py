"""An artifact's own pages. Plain ``def``: FastAPI runs them beside the event loop, because the store may be slow."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import EvidenceNotFoundError
from airflow_mlsecops.core.index import lists
from airflow_mlsecops.core.telling import dag_of
from airflow_mlsecops.plugin.access import ReadableDags
from airflow_mlsecops.plugin.changes_view import changes_view
from airflow_mlsecops.plugin.glance import glance_of
from airflow_mlsecops.plugin.graph_view import graph_view
from airflow_mlsecops.plugin.indexes import index_of
from airflow_mlsecops.plugin.place import Place
from airflow_mlsecops.plugin.problems import Problem, no_evidence
from airflow_mlsecops.plugin.render import AS_JSON, digest_of, draw
from airflow_mlsecops.plugin.reports import REPORT_POLICY, report_of
from airflow_mlsecops.plugin.request_view import request_view
from airflow_mlsecops.plugin.source import Source
from airflow_mlsecops.plugin.statement_view import statement_view
from airflow_mlsecops.plugin.timeline_view import timeline_of
from airflow_mlsecops.plugin.view import ArtifactView, build_view

router = APIRouter(include_in_schema=False)
_ARTIFACT = "/dags/{dag_id}/artifacts/{sha256}"


@router.get(_ARTIFACT)
def artifact_page(request: Request, dag_id: str, sha256: str, readable: ReadableDags) -> Response:
    """What the store holds about an artifact, verified now."""
    view = _view(request, dag_id, sha256, readable)
    return draw(
        "artifact.html", request, view=view, glance=glance_of(view), dag_id=dag_id, section="artifacts", tab="evidence"
    )


@router.get(_ARTIFACT + "/timeline")
def timeline_page(request: Request, dag_id: str, sha256: str, readable: ReadableDags) -> Response:
    """The same statements by time, with those about its data sets."""
    view = _view(request, dag_id, sha256, readable)
    timeline = timeline_of(view)
    return draw(
        "timeline.html", request, view=view, timeline=timeline, dag_id=dag_id, section="artifacts", tab="timeline"
    )


@router.get(_ARTIFACT + "/graph")
def graph_page(request: Request, dag_id: str, sha256: str, readable: ReadableDags) -> Response:
    """What it was made from, what was decided about it, and what was made from it."""
    source, digest, now = Source.open(), digest_of(sha256), utcnow()
    view = _view(request, dag_id, sha256, readable, source)
    with index_of(source) as connection:
        graph = graph_view(
            source,
            digest,
            dag_id,
            readable,
            Place.of(request).links,
            now,
            hint=lambda made_from: lists.made_from(connection, made_from),
        )
    return draw("graph.html", request, view=view, graph=graph, dag_id=dag_id, section="artifacts", tab="graph")


@router.get(_ARTIFACT + "/changes")
def changes_page(request: Request, dag_id: str, sha256: str, readable: ReadableDags, since: str = "") -> Response:
    """What is different from the release before it, or from any other version."""
    source, digest, now = Source.open(), digest_of(sha256), utcnow()
    view = _view(request, dag_id, sha256, readable, source)
    with index_of(source) as connection:
        changes = changes_view(
            source, connection, digest, readable, now, digest_of(since) if since else None, view.artifact.names
        )
    return draw("changes.html", request, view=view, changes=changes, dag_id=dag_id, section="artifacts", tab="changes")


@router.get(_ARTIFACT + "/evidence/{digest}")
def statement_page(request: Request, dag_id: str, sha256: str, digest: str, readable: ReadableDags) -> Response:
    """One statement: each step of its verification taken now, its JSON, and how to verify it without us."""
    source, links = Source.open(), Place.of(request).links
    view = statement_view(source, digest_of(sha256), digest_of(digest), readable, links, utcnow())
    return draw(
        "statement.html", request, statement=view, sha256=sha256, dag_id=dag_id, section="artifacts",
        trust_policy=source.trust.digest,
    )  # fmt: skip


@router.get(_ARTIFACT + "/requests/{digest}")
def request_page(request: Request, dag_id: str, sha256: str, digest: str, readable: ReadableDags) -> Response:
    """All that one decides on who is asked to approve."""
    links = Place.of(request).links
    view = request_view(Source.open(), digest_of(sha256), digest_of(digest), readable, links, utcnow())
    return draw("request.html", request, asked=view, sha256=sha256, dag_id=dag_id, section="approvals")


@router.get("/dags/{dag_id}/evidence/{digest}", tags=[AS_JSON])
def evidence_bundle(dag_id: str, digest: str, readable: ReadableDags) -> Response:
    """One bundle, byte for byte, whether it counts or not: whoever wants to verify it needs nothing else of us."""
    sha256, source = digest_of(digest), Source.open()
    with index_of(source) as connection:
        keys = lists.keys_of(connection, sha256)
    try:
        bundle = source.bundle(sha256, keys).bundle
    except EvidenceNotFoundError as error:
        raise no_evidence() from error
    if bundle is None:
        raise Problem(
            404, "evidence-broken", "This evidence is broken", "What lies there is not what its name says it is."
        )
    if not _may_see(bundle, source, readable):
        raise no_evidence()
    name = f'inline; filename="{sha256}.sigstore.json"'
    return Response(bundle.raw, media_type="application/json", headers={"Content-Disposition": name})


def _may_see(bundle: Bundle, source: Source, readable: frozenset[str]) -> bool:
    """By the Dag that it names, whether it counts or not; one that names none has to be seen with its subject."""
    if dag_id := dag_of(bundle.statement):
        return dag_id in readable
    about = source.read_all({digest for _, digest in bundle.statement.subjects}, utcnow())
    return any(reading.dag_for(bundle.digest, readable) for reading in about.values())


@router.get(_ARTIFACT + "/reports/{digest}")
def report_page(request: Request, dag_id: str, sha256: str, digest: str, readable: ReadableDags) -> Response:
    """The report that a statement about an artifact names, for people, once the statement is verified."""
    content = report_of(Source.open(), digest_of(sha256), digest_of(digest), readable, utcnow())
    return HTMLResponse(content, headers={"Content-Security-Policy": REPORT_POLICY})


def _view(
    request: Request, dag_id: str, sha256: str, readable: frozenset[str], source: Source | None = None
) -> ArtifactView:
    digest, links = digest_of(sha256), Place.of(request).links
    return build_view(source or Source.open(), digest, dag_id=dag_id, readable=readable, links=links, now=utcnow())
