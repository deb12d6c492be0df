"""The graph around an artifact as somebody may see it: a picture, and its blast radius as a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.graph import Direction, Graph, Node, as_svg, walk, with_decisions
from airflow_mlsecops.core.telling import Tone, dag_of
from airflow_mlsecops.plugin.links import Links
from airflow_mlsecops.plugin.source import Source

LIMIT = 80
"""How many artifacts a page shows; `mlsecops graph` shows all."""
_ARTIFACTS = frozenset(kind.value for kind in Kind)


@dataclass(frozen=True)
class Near:
    """An artifact that was made from this one, directly or not."""

    name: str
    kind: str
    sha256: str
    url: str
    tone: Tone
    said: str


@dataclass(frozen=True)
class GraphView:
    """What the page shows.

    Attributes:
        picture: SVG; everything in it is escaped.
        uses: the blast radius: all that came from it.
        sources: how many artifacts and materials it came from.
        cut: whether there is more.
    """

    picture: Markup
    uses: tuple[Near, ...]
    sources: int
    cut: bool


def graph_view(
    source: Source,
    sha256: Sha256,
    dag_id: str,
    readable: frozenset[str],
    links: Links,
    now: datetime,
    hint: Callable[[str], Iterable[str]],
) -> GraphView:
    """Walk both ways, over verified provenance of Dags that this person may read.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    graph = walk(
        source.store,
        source.trust,
        now,
        sha256,
        Direction.BOTH,
        LIMIT,
        hint=hint,
        may_see=lambda item: dag_of(item.statement) in readable,
    )

    def link(node: Node) -> str:
        if node.digest not in graph.nodes:  # a decision about the artifact
            return links.statement(dag_id, sha256, node.digest)
        return links.page(dag_id, node.digest) if node.kind in _ARTIFACTS and node.digest != sha256 else ""

    picture = as_svg(with_decisions(graph), link)
    uses = tuple(_near(graph.nodes[digest], links, dag_id) for digest in _reached(graph, graph.used_in))
    return GraphView(Markup(picture), uses, len(_reached(graph, graph.made_from)), graph.cut)  # noqa: S704 - escaped there


def _reached(graph: Graph, follow: Callable[[str], list[str]]) -> list[str]:
    """Everything on the way, the nearest first."""
    found: dict[str, None] = {}
    level = [graph.root]
    while level:
        nearer = (near for digest in level for near in follow(digest))
        level = list(dict.fromkeys(near for near in nearer if near not in found and near != graph.root))
        found |= dict.fromkeys(level)
    return list(found)


def _near(node: Node, links: Links, dag_id: str) -> Near:
    return Near(node.name, node.kind, node.digest, links.page(dag_id, node.digest), node.tone, node.said)
