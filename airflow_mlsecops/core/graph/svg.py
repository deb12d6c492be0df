"""The graph as a picture: SVG in columns, sources on the left, what was made on the right. Nothing in it is active."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from airflow_mlsecops.core.graph.model import Graph, Node
from airflow_mlsecops.core.telling import Tone

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 256, 58, 44, 22, 20
_NAME_CHARS = 34
_COLOURS = {Tone.GOOD: "#1a7f37", Tone.WARN: "#9a6700", Tone.BAD: "#cf222e", Tone.PLAIN: "#57606a"}


def as_svg(graph: Graph, link: Callable[[Node], str] | None = None) -> str:
    """One SVG document. Names come from data: all of them are escaped, and there is no script or style in it.

    Args:
        graph: what to draw.
        link: where a node leads to; empty for nowhere. Without it there is no link in the picture.
    """
    places = _places(graph)
    width = max(x for x, _ in places.values()) + _WIDTH + _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT + _MARGIN
    box = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    role = "group" if link else "img"  # what is inside of an image can't be reached
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" font-size="12" role="{role}">',
        f"<title>{_text(f'What {graph.nodes[graph.root].name} was made from, and what was made from it')}</title>",
    ]
    for made, source in sorted({(edge.made, edge.source) for edge in graph.edges}):
        parts.append(_line(places[source], places[made]))
    for digest in sorted(places):
        node = graph.nodes[digest]
        box, target = _box(node, *places[digest], root=digest == graph.root), link(node) if link else ""
        parts.append(f'<a href="{_text(target)}">{box}</a>' if target else box)
    return "\n".join([*parts, "</svg>", ""])


def _places(graph: Graph) -> dict[str, tuple[int, int]]:
    """Column by the longest way from a source, row by digest within it."""
    columns: dict[int, list[str]] = {}
    for digest, rank in _ranks(graph).items():
        columns.setdefault(rank, []).append(digest)
    places: dict[str, tuple[int, int]] = {}
    for column, rank in enumerate(sorted(columns)):
        ordered = sorted(columns[rank], key=lambda digest: (graph.nodes[digest].kind, graph.nodes[digest].name, digest))
        for row, digest in enumerate(ordered):
            places[digest] = (_MARGIN + column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
    return places


def _ranks(graph: Graph) -> dict[str, int]:
    """How many steps from a source (Kahn's order); what lies on a cycle, which no honest store has, comes last."""
    open_sources = {digest: len(graph.made_from(digest)) for digest in graph.nodes}
    ranks = {digest: 0 for digest, count in open_sources.items() if count == 0}
    ready = sorted(ranks)
    while ready:
        digest = ready.pop()
        for made in graph.used_in(digest):
            open_sources[made] -= 1
            ranks[made] = max(ranks.get(made, 0), ranks[digest] + 1)
            if open_sources[made] == 0:
                ready.append(made)
    last = max(ranks.values(), default=0) + 1
    return {digest: last if open_sources[digest] > 0 else ranks[digest] for digest in graph.nodes}


def _box(node: Node, x: int, y: int, *, root: bool) -> str:
    name = node.name if len(node.name) <= _NAME_CHARS else node.name[: _NAME_CHARS - 1] + "…"
    said = f" - {node.said}" if node.said else ""
    return (
        f"<g><title>{_text(f'{node.name} sha256:{node.digest}')}{_text(said)}</title>"
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="#ffffff"'
        f' stroke="{_COLOURS[node.tone]}" stroke-width="{3 if root else 1.5}"/>'
        f'<text x="{x + 10}" y="{y + 18}" fill="#57606a">{_text(node.kind or "artifact")}</text>'
        f'<text x="{x + 10}" y="{y + 34}" fill="#1f2328" font-weight="bold">{_text(name)}</text>'
        f'<text x="{x + 10}" y="{y + 50}" fill="#57606a">sha256:{node.digest[:16]}…</text></g>'
    )


def _line(source: tuple[int, int], made: tuple[int, int]) -> str:
    x1, y1 = source[0] + _WIDTH, source[1] + _HEIGHT // 2
    x2, y2 = made[0], made[1] + _HEIGHT // 2
    middle = (x1 + x2) // 2
    return f'<path d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}" fill="none" stroke="#8c959f"/>'


def _text(text: str) -> str:
    """Escaped, and without what XML 1.0 can't hold (https://www.w3.org/TR/xml/#charsets)."""
    return escape("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text))
