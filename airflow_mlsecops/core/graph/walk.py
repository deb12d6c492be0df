"""Walking the graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.evidence_reader import EvidenceReader
from airflow_mlsecops.core.graph.model import Edge, Fact, Graph, Node
from airflow_mlsecops.core.predicates import PROVENANCE, provenance
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.telling import describe, told_time
from airflow_mlsecops.core.trust import TrustPolicy

LIMIT = 10_000
_ARTIFACTS = frozenset(kind.value for kind in Kind)
_ASKABLE = _ARTIFACTS | {""}
"""Kinds that statements can be about; code and packages are only named."""
_DIGEST_CHARS = 64
Hint = Callable[[str], Iterable[str]]
MaySee = Callable[[Evidence], bool]


class Direction(StrEnum):
    """Which way to walk."""

    SOURCES = "sources"
    USES = "uses"
    BOTH = "both"


def walk(
    store: EvidenceStore,
    trust: TrustPolicy,
    now: datetime,
    digest: str,
    direction: Direction = Direction.BOTH,
    limit: int = LIMIT,
    *,
    hint: Hint | None = None,
    may_see: MaySee | None = None,
) -> Graph:
    """Collect what an artifact was made from, what was made from it, or both.

    Only provenance that counts makes an edge: its signer has the role, nobody revoked it, and it is in the log if the
    trust policy asks for one. The way to the sources reads
    what it meets; the way to the uses reads the provenance of the whole store, because only what was made knows its
    sources.

    Args:
        store: the evidence store.
        trust: whose statements count.
        now: the time at which they are judged.
        digest: SHA-256 of the artifact.
        direction: sources, uses or both.
        limit: nodes at most.
        hint: what may have been made from a digest, as an index knows it. Then only that is read on the way to the
            uses; each edge is verified all the same, and what the index doesn't know yet isn't found.
        may_see: whether whoever asks may know of a statement; the others are as if they weren't there.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    found = _Found(store, trust, now, limit, hint, may_see or (lambda _: True))
    found.meet(digest, "", "")
    if direction is not Direction.USES:
        found.sources(digest)
    if direction is not Direction.SOURCES:
        found.uses(digest)
    found.load(found.nodes)
    edges = [edge for edge in found.edges if edge.made in found.nodes and edge.source in found.nodes]
    return Graph(digest, found.nodes, tuple(sorted(edges)), found.cut)


class _Found:
    """What the walk has met. Evidence is read in batches, because each asks the whole log, where there is one."""

    def __init__(
        self,
        store: EvidenceStore,
        trust: TrustPolicy,
        now: datetime,
        limit: int,
        hint: Hint | None,
        may_see: MaySee,
    ) -> None:
        self._store, self._trust, self._now, self._limit = store, trust, now, limit
        self._hint, self._may_see = hint, may_see
        self._reader = EvidenceReader.open(store, trust, now)
        self._sets: dict[str, EvidenceSet] = {}
        self.nodes: dict[str, Node] = {}
        self.edges: set[Edge] = set()
        self.cut = False

    def load(self, digests: Iterable[str]) -> None:
        """Read all about these artifacts, once, and tell it at their nodes."""
        new = [digest for digest in digests if digest not in self._sets and self.nodes[digest].kind in _ASKABLE]
        for digest, whole in self._reader.complete(self._reader.collect_all(new)).items():
            evidence = replace(whole, verified=tuple(filter(self._may_see, whole.verified)))
            self._sets[digest] = evidence
            facts = _facts(evidence.verified)
            node = self.nodes[digest]
            self.nodes[digest] = replace(
                node,
                kind=node.kind or _kind_of(evidence.verified, digest),
                facts=facts,
                not_counted=len(evidence.refused) + len(evidence.broken),
            )
            for item in evidence.verified:
                self._name(digest, [name for name, about in item.statement.subjects if about == digest])

    def sources(self, digest: str) -> None:
        """Follow provenance from what was made to what it was made from."""
        level, seen = [digest], {digest}
        while level:
            self.load(level)
            items = [(made, item) for made in level for item in self._sets[made].of(PROVENANCE.slug)]
            level = []
            for made, item in items:
                for source, kind, name in _dependencies(item):
                    if not self.meet(source, kind, name):
                        return
                    self.edges.add(Edge(made, source, item.digest))
                    if kind in _ARTIFACTS and source not in seen:
                        seen.add(source)
                        level.append(source)

    def uses(self, digest: str) -> None:
        """Follow provenance the other way."""
        made_from = None if self._hint else self._provenance_of(self._store.subjects())
        queue, seen = deque([digest]), {digest}
        while queue:
            source = queue.popleft()
            known = self._provenance_of(self._hint(source)) if self._hint else made_from or {}
            for made, name, item in known.get(source, ()):
                self._name(source, [name])
                if not self.meet(made, _kind_of([item], made), ""):
                    return
                self.edges.add(Edge(made, source, item.digest))
                if made not in seen:
                    seen.add(made)
                    queue.append(made)

    def _provenance_of(self, subjects: Iterable[str]) -> dict[str, list[tuple[str, str, Evidence]]]:
        """Source -> what was made from it, its own name there, and the verified provenance that says so."""
        reader = EvidenceReader.open(self._store, self._trust, self._now)
        sets: dict[str, EvidenceSet] = {}
        for subject in subjects:
            # Whoever can write to the store can make folders in it; one with another name is no subject.
            bundles = self._store.find(subject, PROVENANCE.slug) if len(subject) == _DIGEST_CHARS else []
            if bundles:
                sets[subject] = reader.judge(subject, bundles)
        uses: dict[str, list[tuple[str, str, Evidence]]] = {}
        for subject, evidence in reader.complete(sets).items():
            for item in filter(self._may_see, evidence.of(PROVENANCE.slug)):
                for source, _, name in _dependencies(item):
                    uses.setdefault(source, []).append((subject, name, item))
        return uses

    def meet(self, digest: str, kind: str, name: str) -> bool:
        """Take a node in; False if there is no room for it."""
        if digest not in self.nodes and len(self.nodes) >= self._limit:
            self.cut = True
            return False
        node = self.nodes.setdefault(digest, Node(digest, kind))
        if not node.kind:
            self.nodes[digest] = replace(node, kind=kind)
        self._name(digest, [name])
        return True

    def _name(self, digest: str, names: Iterable[str]) -> None:
        node = self.nodes[digest]
        self.nodes[digest] = replace(node, names=tuple(sorted({*node.names, *filter(None, names)})))


def _dependencies(item: Evidence) -> list[tuple[str, str, str]]:
    """Digest, kind and name of everything that provenance names; nothing if it can't be read, or is of a failed try."""
    try:
        said = provenance.parse(item.statement)
    except StatementError:
        return []
    return [] if said.failed else [(dep.digest, dep.kind, dep.name) for dep in said.dependencies]


def _kind_of(evidence: Iterable[Evidence], digest: str) -> str:
    kinds = {about.kind for item in evidence for about in item.statement.identities if about.digest == digest}
    return " / ".join(sorted(kinds - {""}))


def _facts(evidence: Iterable[Evidence]) -> tuple[Fact, ...]:
    """What is said, the oldest first."""
    told = sorted(
        ((described, item) for item in evidence for described in [describe(item.statement)]),
        key=lambda pair: (told_time(pair[0]), pair[1].digest),
    )
    newest = {described.series: item.digest for described, item in told}
    return tuple(
        Fact(
            said.what,
            said.verdict,
            said.tone,
            said.summary,
            item.signer,
            item.digest,
            current=not said.series or newest[said.series] == item.digest,
        )
        for said, item in told
    )
