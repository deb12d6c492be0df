"""Pages that show lists: from the index, for the Dags that somebody may read. Each item leads to what is verified."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import parse_sha256
from airflow_mlsecops.core.index import lists, overview
from airflow_mlsecops.core.index.lists import Window
from airflow_mlsecops.plugin.access import AllReadableDags, ReadableDags
from airflow_mlsecops.plugin.api import DagOf, KindOf, PageNumber, Search, SeverityOf, StateOf
from airflow_mlsecops.plugin.board import board_of
from airflow_mlsecops.plugin.compliance_view import compliance_view
from airflow_mlsecops.plugin.exporting import export_of
from airflow_mlsecops.plugin.indexes import index_of
from airflow_mlsecops.plugin.place import Place
from airflow_mlsecops.plugin.render import digest_of, draw
from airflow_mlsecops.plugin.run_view import run_view
from airflow_mlsecops.plugin.source import Source
from airflow_mlsecops.plugin.view import build_view

router = APIRouter(include_in_schema=False)
MapIndex = Annotated[int | None, Query(lt=2**31)]


@router.get("/")
def overview_page(request: Request, readable: AllReadableDags) -> Response:
    """What waits for whom, what stands where, what is open, alarms, health."""
    source, now = Source.open(), utcnow()
    return draw("overview.html", request, board=board_of(source, readable, now), now=now, section="overview")


@router.get("/artifacts")
def artifacts_page(
    request: Request,
    readable: AllReadableDags,
    q: Search = "",
    kind: KindOf = "",
    state: StateOf = "",
    dag: DagOf = "",
    page: PageNumber = 1,
) -> Response:
    """Models and data sets."""
    with index_of(Source.open()) as connection:
        found = lists.artifacts(connection, readable, Window(page), search=q, kind=kind, state=state, dag_id=dag)
        standing = overview.standing(connection, readable, {item.sha256 for item in found.items})
    query = {"q": q, "kind": kind, "state": state, "dag": dag}
    return draw(
        "artifacts.html", request, found=found, standing=standing, query=query, now=utcnow(), section="artifacts"
    )


@router.get("/findings")
def findings_page(
    request: Request,
    readable: AllReadableDags,
    q: Search = "",
    severity: SeverityOf = "",
    dag: DagOf = "",
    page: PageNumber = 1,
) -> Response:
    """Findings that are open, the worst first."""
    with index_of(Source.open()) as connection:
        found = lists.findings(connection, readable, Window(page), search=q, severity=severity, dag_id=dag)
        counts = lists.severities(connection, readable, dag_id=dag)
    query = {"q": q, "severity": severity, "dag": dag}
    return draw("findings.html", request, found=found, counts=counts, query=query, now=utcnow(), section="findings")


@router.get("/releases")
def releases_page(request: Request, readable: AllReadableDags, page: PageNumber = 1) -> Response:
    """What stands at which stage."""
    with index_of(Source.open()) as connection:
        found = overview.stages(connection, readable, Window(page))
    return draw("releases.html", request, found=found, query={}, now=utcnow(), section="overview")


@router.get("/alarms")
def alarms_page(request: Request, readable: AllReadableDags, page: PageNumber = 1) -> Response:
    """Who went round a gate, as far as it was seen."""
    with index_of(Source.open()) as connection:
        found = overview.alarms(connection, readable, Window(page))
    return draw("alarms.html", request, found=found, query={}, now=utcnow(), section="overview")


@router.get("/approvals")
def approvals_page(request: Request, readable: AllReadableDags) -> Response:
    """The requests that wait for somebody's decision."""
    now = utcnow()
    with index_of(Source.open()) as connection:
        found = overview.waiting(connection, readable, now)
    return draw("approvals.html", request, found=found, now=now, section="approvals")


@router.get("/compliance")
def compliance_page(request: Request, readable: AllReadableDags, q: Search = "", page: PageNumber = 1) -> Response:
    """Which frames the controls speak to, and the models to look that up for."""
    with index_of(Source.open()) as connection:
        found = lists.artifacts(connection, readable, Window(page, 10), search=q, kind="model")
    return draw(
        "compliance.html", request, found=found, query={"q": q}, compliance=compliance_view(None), view=None,
        now=utcnow(), section="compliance",
    )  # fmt: skip


@router.get("/dags/{dag_id}/artifacts/{sha256}/compliance")
def compliance_of_page(request: Request, dag_id: str, sha256: str, readable: ReadableDags) -> Response:
    """The same for one artifact, with its evidence; made to be printed, too."""
    links, now = Place.of(request).links, utcnow()
    view = build_view(Source.open(), digest_of(sha256), dag_id=dag_id, readable=readable, links=links, now=now)
    return draw(
        "compliance_of.html", request, view=view, compliance=compliance_view(view), now=now, dag_id=dag_id,
        section="compliance", tab="compliance",
    )  # fmt: skip


@router.get("/dags/{dag_id}/artifacts/{sha256}/export")
def export_file(request: Request, dag_id: str, sha256: str, readable: ReadableDags) -> Response:
    """A release's evidence in one file that verifies itself offline."""
    source, digest, now = Source.open(), digest_of(sha256), utcnow()
    view = build_view(source, digest, dag_id=dag_id, readable=readable, links=Place.of(request).links, now=now)
    policies = tuple(parse_sha256(decision.policy_sha256) for decision in view.decisions)
    chunks = export_of(source, digest, policies, readable, now)
    name = f'attachment; filename="mlsecops-{digest[:16]}.tar"'
    return StreamingResponse(chunks, media_type="application/x-tar", headers={"Content-Disposition": name})


@router.get("/dags/{dag_id}/runs/{run_id:path}/statements")
def run_page(
    request: Request, dag_id: str, run_id: str, readable: ReadableDags, task: str = "", map_index: MapIndex = None
) -> Response:
    """What a Dag run, or one of its tasks, said: the tab in Airflow's pages."""
    source, now = Source.open(), utcnow()
    index = map_index if map_index is not None and map_index >= 0 else None
    with index_of(source) as connection:
        view = run_view(source, connection, dag_id, run_id, task, index, readable, Place.of(request).links, now)
    return draw("run.html", request, view=view, run_id=run_id, task=task, dag_id=dag_id, section="artifacts")
