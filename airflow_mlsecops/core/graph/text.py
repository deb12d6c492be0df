"""The graph as indented lines, for a terminal or a log."""

from __future__ import annotations

from collections.abc import Callable

from airflow_mlsecops.core.graph.model import Graph, Node


def as_text(graph: Graph) -> list[str]:
    """Two trees around the artifact: what it was made from, and what was made from it; each artifact is told once."""
    root = graph.nodes[graph.root]
    lines = [_head(root), *(f"    {line}" for line in _facts(root))]
    for title, follow in (("made from", graph.made_from), ("used in", graph.used_in)):
        if follow(graph.root):
            lines += ["", f"{title}:", *_tree(graph, follow)]
    if graph.cut:
        lines += ["", "… and more: the walk ended at its limit"]
    return lines


def _tree(graph: Graph, follow: Callable[[str], list[str]]) -> list[str]:
    lines: list[str] = []
    told = {graph.root}
    stack = [(digest, 1) for digest in reversed(follow(graph.root))]  # a list: a hostile chain can be long
    while stack:
        digest, depth = stack.pop()
        node, indent = graph.nodes[digest], "  " * depth
        again = digest in told
        lines.append(f"{indent}{_head(node)}{'  (see above)' if again else ''}")
        if again:
            continue
        told.add(digest)
        lines += [f"{indent}    {line}" for line in _facts(node)]
        stack += [(below, depth + 1) for below in reversed(follow(digest))]
    return lines


def _head(node: Node) -> str:
    return f"{node.kind or 'artifact'} {node.name}  sha256:{node.digest}"


def _facts(node: Node) -> list[str]:
    lines = [f"{fact.what}: {fact.verdict} - {fact.summary} ({fact.signer})" for fact in node.facts]
    if node.not_counted:
        lines.append(f"and {node.not_counted} statements that don't count")
    return lines
