"""The graph of what was made from what, walked both ways, from verified provenance alone.

From a model to all its data, code and decisions; from a data set to every model trained on it, its blast radius::

    graph = walk(store, trust, utcnow(), digest, Direction.BOTH)
    lines = as_text(graph)
"""

from airflow_mlsecops.core.graph.decisions import with_decisions
from airflow_mlsecops.core.graph.model import Edge, Graph, Node
from airflow_mlsecops.core.graph.svg import as_svg
from airflow_mlsecops.core.graph.text import as_text
from airflow_mlsecops.core.graph.walk import Direction, walk

__all__ = ["Direction", "Edge", "Graph", "Node", "as_svg", "as_text", "walk", "with_decisions"]
