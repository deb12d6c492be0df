"""What was decided about an artifact, as further nodes: data -> training -> model -> approvals -> release."""

from __future__ import annotations

from dataclasses import replace

from airflow_mlsecops.core.graph.model import Edge, Fact, Graph, Node

_DECISIONS = ("approval", "release gate", "promotion")
"""In the order in which one rests on the other; see :mod:`airflow_mlsecops.core.telling`."""


def with_decisions(graph: Graph) -> Graph:
    """The same graph with a node for each decision about its root, each kind resting on the one before it."""
    root = graph.nodes[graph.root]
    nodes, edges = dict(graph.nodes), list(graph.edges)
    before = [graph.root]
    for kind in _DECISIONS:
        facts = [fact for fact in root.facts if fact.what == kind and fact.current]
        for fact in facts:
            nodes.setdefault(fact.evidence, _node(fact))
            edges += [Edge(fact.evidence, source, fact.evidence) for source in before]
        before = [fact.evidence for fact in facts] or before
    kept = tuple(fact for fact in root.facts if fact.what not in _DECISIONS)
    nodes[graph.root] = replace(root, facts=kept)
    return Graph(graph.root, nodes, tuple(sorted(edges)), graph.cut)


def _node(fact: Fact) -> Node:
    return Node(fact.evidence, f"{fact.what}: {fact.verdict}", (fact.summary,), (fact,))
