"""Nodes and edges: artifacts and materials, and which was made from which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_mlsecops.core.telling import Tone, worst


@dataclass(frozen=True)
class Fact:
    """One verified statement about a node, in a word and a line.

    Attributes:
        what: the control, or the kind of claim.
        verdict: one word.
        tone: how to read it.
        summary: one sentence.
        signer: the trusted signer's name.
        evidence: the bundle's digest.
        current: whether it is the newest of its series: of two results of one control only this one counts today.
    """

    what: str
    verdict: str
    tone: Tone
    summary: str
    signer: str
    evidence: str
    current: bool = True


@dataclass(frozen=True)
class Node:
    """An artifact, or what ran: code, packages, an image.

    Attributes:
        digest: SHA-256.
        kind: ``dataset``, ``model``, ``code``, ``packages``, ``image``, or empty if no statement says it.
        names: what it is called, in all statements.
        facts: what is said about it; of materials nothing is.
        not_counted: how many statements about it don't count: refused or broken.
    """

    digest: str
    kind: str
    names: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    not_counted: int = 0

    @property
    def name(self) -> str:
        """What to call it."""
        return " / ".join(self.names) or self.digest[:12]

    @property
    def tone(self) -> Tone:
        """The worst that is said about it today."""
        return worst(fact.tone for fact in self.facts if fact.current)

    @property
    def said(self) -> str:
        """What is said about it today, in a few words."""
        return ", ".join(dict.fromkeys(f"{fact.what}: {fact.verdict}" for fact in self.facts if fact.current))


@dataclass(frozen=True, order=True)
class Edge:
    """``made`` was made from ``source``, as a piece of evidence says."""

    made: str
    source: str
    evidence: str


@dataclass(frozen=True)
class Graph:
    """A part of the graph around one artifact.

    Attributes:
        root: its digest.
        nodes: by digest.
        edges: sorted.
        cut: whether the walk ended at its limit, so that there is more.
    """

    root: str
    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    cut: bool = False
    _made_from: dict[str, list[str]] = field(init=False, repr=False, compare=False, default_factory=dict)
    _used_in: dict[str, list[str]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for made, source in sorted({(edge.made, edge.source) for edge in self.edges}):
            self._made_from.setdefault(made, []).append(source)
            self._used_in.setdefault(source, []).append(made)

    def made_from(self, digest: str) -> list[str]:
        """What it was made from."""
        return self._made_from.get(digest, [])

    def used_in(self, digest: str) -> list[str]:
        """What was made from it."""
        return self._used_in.get(digest, [])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, in one order."""
        return {
            "root": self.root,
            "cut": self.cut,
            "nodes": [
                {
                    "sha256": node.digest,
                    "kind": node.kind,
                    "names": list(node.names),
                    "not_counted": node.not_counted,
                    "statements": [
                        {
                            "what": fact.what,
                            "verdict": fact.verdict,
                            "summary": fact.summary,
                            "signer": fact.signer,
                            "evidence": fact.evidence,
                        }
                        for fact in node.facts
                    ],
                }
                for _, node in sorted(self.nodes.items())
            ],
            "edges": [{"made": e.made, "from": e.source, "evidence": e.evidence} for e in self.edges],
        }
