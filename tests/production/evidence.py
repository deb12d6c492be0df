"""What must hold of evidence and log whatever has happened: nothing lost, nothing twice, nothing that nobody signed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.evidence import EvidenceSet, collect
from airflow_mlsecops.core.log import Checkpoint, LogTrust
from tests.production.topology import Topology


def about(topology: Topology, digest: str) -> EvidenceSet:
    """The judged evidence about an artifact."""
    return collect(topology.evidence, digest, topology.trust, utcnow())


def tries(found: EvidenceSet) -> Counter[tuple[str, str]]:
    """How often each try of each task has spoken; more than once is evidence that was doubled."""
    assert not found.refused, found.refused
    assert not found.broken, found.broken
    return Counter((item.slug, said) for item in found.verified for said in _runs(item.statement.predicate))


def log_trust(topology: Topology) -> LogTrust:
    """The log as the trust policy names it."""
    rule = topology.trust.log
    assert rule is not None
    return rule.trust


def check_log(topology: Topology, since: Checkpoint | None) -> Checkpoint:
    """The log is sound, has grown from what was seen before, and holds exactly the bundles that lie in the store."""
    verified = topology.evidence.verify_log(log_trust(topology), since)
    assert verified, verified
    assert verified.checkpoint is not None
    # A bundle lies under each of its subjects, and is one entry of the log: requests are also listed under a topic.
    bundles = {str(name).rpartition("/")[2] for name in topology.evidence.backend.scan("bundles/")}
    assert verified.checkpoint.size + verified.unpublished == len(bundles), verified
    return verified.checkpoint


def _runs(node: Any) -> Iterator[str]:
    """The task tries that a predicate names as its origin."""
    if isinstance(node, dict):
        if "try_number" in node and "task_id" in node:
            yield f"{node['task_id']}:{node.get('map_index', -1)}:{node['try_number']}"
        else:
            for value in node.values():
                yield from _runs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _runs(value)
