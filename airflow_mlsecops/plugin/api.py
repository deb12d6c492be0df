"""The JSON API: it reads, and changes nothing. ``api/openapi.json`` describes it.

Lists come from the index and say what counted when that was last refreshed; what is told about one artifact is verified
for the answer. Everybody gets what Airflow's auth manager lets them read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.index import lists, overview
from airflow_mlsecops.core.index.lists import MAX_PAGE_SIZE, PAGE_SIZE, ArtifactItem, FindingItem, StatementItem, Window
from airflow_mlsecops.core.index.overview import Waiting
from airflow_mlsecops.plugin import text
from airflow_mlsecops.plugin.access import AllReadableDags, ReadableDags
from airflow_mlsecops.plugin.board import Board, board_of
from airflow_mlsecops.plugin.indexes import index_of
from airflow_mlsecops.plugin.place import Place
from airflow_mlsecops.plugin.render import AS_JSON, digest_of
from airflow_mlsecops.plugin.source import Source
from airflow_mlsecops.plugin.statement_view import StatementView, statement_view
from airflow_mlsecops.plugin.store_health import Health, health_of
from airflow_mlsecops.plugin.view import ArtifactView, build_view


@dataclass(frozen=True)
class ErrorAnswer:
    """What went wrong: a stable code, a title, and what to do about it."""

    code: str
    title: str
    text: str


@dataclass(frozen=True)
class ArtifactList:
    """One page of artifacts, the newest first."""

    items: tuple[ArtifactItem, ...]
    total: int
    page: int
    size: int


@dataclass(frozen=True)
class FindingList:
    """One page of open findings, the worst first."""

    items: tuple[FindingItem, ...]
    total: int
    page: int
    size: int


@dataclass(frozen=True)
class StatementList:
    """One page of statements, the newest first."""

    items: tuple[StatementItem, ...]
    total: int
    page: int
    size: int


@dataclass(frozen=True)
class WaitingList:
    """The requests that wait for an answer."""

    items: tuple[Waiting, ...]
    total: int


_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "Nobody is logged in."},
    403: {"model": ErrorAnswer, "description": "This person may not read the Dag."},
    404: {"model": ErrorAnswer, "description": "There is nothing that this person may see."},
    422: {"model": ErrorAnswer, "description": "A parameter isn't one of those that can be asked for."},
    503: {"model": ErrorAnswer, "description": "The evidence store can't be reached."},
}
router = APIRouter(prefix="/api", tags=[AS_JSON], responses=_ERRORS)
PageNumber = Annotated[int, Query(ge=1, le=1_000_000, description="Which page, from 1.")]
PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="How many a page has.")]
Search = Annotated[str, Query(max_length=200, description="A part of a name, or the beginning of a digest.")]
KindOf = Annotated[Literal["", "model", "dataset"], Query(description="Only these; empty for both.")]
StateOf = Annotated[
    Literal["", "released", "refused", "undecided", "bad", "findings"],
    Query(description="What a release gate said last; `bad`: something speaks against it; `findings`: some are open."),
]
SeverityOf = Annotated[Literal["", "critical", "warning", "info"], Query(description="Only these; empty for all.")]
DagOf = Annotated[str, Query(max_length=250, description="Only what this Dag said.")]


@router.get("/overview", responses={200: {"model": Board}})
def overview_json(readable: AllReadableDags) -> Response:
    """What waits for whom, what stands where, what is open, verdicts by day, alarms, health."""
    return _json(board_of(Source.open(), readable, utcnow()))


@router.get("/artifacts", responses={200: {"model": ArtifactList}})
def artifacts_json(
    readable: AllReadableDags,
    q: Search = "",
    kind: KindOf = "",
    state: StateOf = "",
    dag: DagOf = "",
    page: PageNumber = 1,
    size: PageSize = PAGE_SIZE,
) -> Response:
    """Models and data sets."""
    with index_of(Source.open()) as connection:
        found = lists.artifacts(connection, readable, Window(page, size), search=q, kind=kind, state=state, dag_id=dag)
    return _json(ArtifactList(found.items, found.total, page, size))


@router.get("/dags/{dag_id}/artifacts/{sha256}", responses={200: {"model": ArtifactView}})
def artifact_json(request: Request, dag_id: str, sha256: str, readable: ReadableDags) -> Response:
    """One artifact: everything that the store holds about it, verified now."""
    digest, links = digest_of(sha256), Place.of(request).links
    view = build_view(Source.open(), digest, dag_id=dag_id, readable=readable, links=links, now=utcnow())
    return _json(view)


@router.get("/dags/{dag_id}/artifacts/{sha256}/evidence/{digest}", responses={200: {"model": StatementView}})
def statement_json(request: Request, dag_id: str, sha256: str, digest: str, readable: ReadableDags) -> Response:
    """One statement about an artifact, as it was signed, with each step of its verification, taken now."""
    links = Place.of(request).links
    view = statement_view(Source.open(), digest_of(sha256), digest_of(digest), readable, links, utcnow())
    return JSONResponse({**text.plain(view), "statement": text.uncut(view.statement)})


@router.get("/releases", responses={200: {"model": StatementList}})
def releases_json(readable: AllReadableDags, page: PageNumber = 1, size: PageSize = PAGE_SIZE) -> Response:
    """The newest promotion to each stage of each name."""
    with index_of(Source.open()) as connection:
        found = overview.stages(connection, readable, Window(page, size))
    return _json(StatementList(found.items, found.total, page, size))


@router.get("/findings", responses={200: {"model": FindingList}})
def findings_json(
    readable: AllReadableDags,
    q: Search = "",
    severity: SeverityOf = "",
    dag: DagOf = "",
    page: PageNumber = 1,
    size: PageSize = PAGE_SIZE,
) -> Response:
    """Findings of statements that count and that no newer one replaced."""
    with index_of(Source.open()) as connection:
        found = lists.findings(connection, readable, Window(page, size), search=q, severity=severity, dag_id=dag)
    return _json(FindingList(found.items, found.total, page, size))


@router.get("/alarms", responses={200: {"model": StatementList}})
def alarms_json(readable: AllReadableDags, page: PageNumber = 1, size: PageSize = PAGE_SIZE) -> Response:
    """Who went round a gate, as far as it was seen."""
    with index_of(Source.open()) as connection:
        found = overview.alarms(connection, readable, Window(page, size))
    return _json(StatementList(found.items, found.total, page, size))


@router.get("/requests", responses={200: {"model": WaitingList}})
def requests_json(readable: AllReadableDags) -> Response:
    """The requests that wait for somebody's decision, those that end first at the front."""
    with index_of(Source.open()) as connection:
        found = tuple(overview.waiting(connection, readable, utcnow()))
    return _json(WaitingList(found, len(found)))


@router.get("/health", responses={200: {"model": Health}})
def health_json(readable: AllReadableDags) -> Response:
    """How the evidence store, its log and the index are. Always 200 if the store can be reached: look at ``ok``."""
    source = Source.open()
    with index_of(source) as connection:
        return _json(health_of(source, connection, utcnow()))


def _json(value: Any) -> JSONResponse:
    return JSONResponse(text.plain(value))
