"""The graph of what was made from what."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.graph import Direction, Graph, as_svg, as_text, walk
from airflow_mlsecops.core.log import EvidenceLog, LogTrust
from airflow_mlsecops.core.predicates import provenance, revocation
from airflow_mlsecops.core.predicates.provenance import FAILED, Material, RunRecord
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy
from tests.support.evidence import NOW, RUN, MemoryBackend, artifact, key, trust, trust_bytes
from tests.support.logs import MemoryLogBackend, log_key

CODE = Material("train.py", "code", artifact("train.py").digest)


def made(
    store: EvidenceStore, output: Artifact, *inputs: Artifact, by: str = "pipeline", at: datetime = NOW, state: str = ""
) -> None:
    run = {**RUN, "orchestrator": "apache-airflow", "map_index": -1}
    statement = provenance.build(
        [RunRecord(run)] if state == FAILED else output,
        inputs=inputs,
        parameters={},
        run={**run, **({"state": state} if state else {})},
        builder="https://example.org/b",
        started_at=None,
        finished_at=at,
        materials=[CODE],
        byproducts=[output] if state == FAILED else [],
    )
    store.put(key(by).sign(statement))


def data(name: str) -> Artifact:
    return artifact(name, Kind.DATASET)


@pytest.fixture
def store() -> EvidenceStore:
    """raw -> clean -> model-1, model-2; model-2 also from extra."""
    found = EvidenceStore(MemoryBackend())
    made(found, data("clean"), data("raw"))
    made(found, artifact("model-1"), data("clean"))
    made(found, artifact("model-2"), data("clean"), data("extra"))
    return found


def names(graph: Graph) -> set[str]:
    return {node.name for node in graph.nodes.values()}


def seen(store: EvidenceStore, what: Artifact, direction: Direction = Direction.BOTH, limit: int = 100) -> Graph:
    return walk(store, trust(), NOW, what.digest, direction, limit)


def test_a_model_leads_to_all_its_sources(store: EvidenceStore) -> None:
    graph = seen(store, artifact("model-2"), Direction.SOURCES)

    assert names(graph) == {"model-2", "clean", "extra", "raw", "train.py"}
    assert graph.made_from(artifact("model-2").digest) == sorted(
        [data("clean").digest, data("extra").digest, CODE.digest]
    )
    assert graph.nodes[data("raw").digest].kind == "dataset"


def test_a_data_set_leads_to_every_model_trained_on_it(store: EvidenceStore) -> None:
    graph = seen(store, data("raw"), Direction.USES)

    assert names(graph) == {"raw", "clean", "model-1", "model-2"}
    assert {graph.nodes[digest].kind for digest in graph.used_in(data("clean").digest)} == {"model"}


def test_code_leads_to_everything_that_it_made(store: EvidenceStore) -> None:
    graph = walk(store, trust(), NOW, CODE.digest, Direction.USES)

    assert {"model-1", "model-2", "clean"} <= names(graph)


def test_what_a_stranger_signed_makes_no_edge(store: EvidenceStore) -> None:
    made(store, artifact("model-3"), data("raw"), by="stranger")
    made(store, artifact("model-4"), data("raw"), by="gate")  # trusted, but not for this

    assert names(seen(store, data("raw"), Direction.USES)) == {"raw", "clean", "model-1", "model-2"}
    graph = seen(store, artifact("model-3"))
    assert names(graph) == {artifact("model-3").digest[:12]}
    assert graph.nodes[artifact("model-3").digest].not_counted == 1


def test_a_failed_try_makes_no_edge(store: EvidenceStore) -> None:
    made(store, artifact("half"), data("raw"), state=FAILED)

    assert "half" not in names(seen(store, data("raw"), Direction.USES))


def test_both_ways_meet_in_one_graph(store: EvidenceStore) -> None:
    graph = seen(store, data("clean"))

    assert names(graph) == {"raw", "clean", "model-1", "model-2", "train.py"}
    text = "\n".join(as_text(graph))
    assert text.index("made from:") < text.index("dataset raw") < text.index("used in:") < text.index("model model-1")


def test_the_limit_is_said(store: EvidenceStore) -> None:
    graph = seen(store, artifact("model-2"), limit=2)

    assert graph.cut
    assert len(graph.nodes) == 2
    assert as_text(graph)[-1].startswith("… and more")


def test_a_circle_ends(store: EvidenceStore) -> None:
    made(store, data("raw"), data("clean"))

    graph = seen(store, data("raw"))

    assert {"raw", "clean"} <= names(graph)
    assert "(see above)" in "\n".join(as_text(graph))
    ET.fromstring(as_svg(graph))


def test_a_long_chain_is_walked_without_recursion() -> None:
    store = EvidenceStore(MemoryBackend())
    for number in range(1500):
        made(store, data(f"d{number + 1}"), data(f"d{number}"))

    graph = seen(store, data("d1500"), Direction.SOURCES, limit=10_000)

    assert len(graph.nodes) == 1502
    assert len(as_text(graph)) > 1500
    ET.fromstring(as_svg(graph))


@given(st.text(min_size=1, max_size=60))
def test_any_name_is_only_text_in_the_picture(name: str) -> None:
    store = EvidenceStore(MemoryBackend())
    try:
        made(store, artifact(name, content=b"m"), data("raw"))
    except Exception:  # what no statement can hold, no picture has to show
        return

    picture = as_svg(seen(store, artifact("m", content=b"m")))

    elements = {element.tag.rpartition("}")[2] for element in ET.fromstring(picture).iter()}
    assert elements <= {"svg", "title", "g", "rect", "text", "path"}


def test_a_hostile_name_is_escaped() -> None:
    store = EvidenceStore(MemoryBackend())
    made(store, artifact("<script>alert(1)</script>", content=b"m"), data('"><svg onload=alert(1)>'))

    picture = as_svg(seen(store, artifact("m", content=b"m")))

    assert "<script" not in picture
    assert "<svg onload" not in picture


def test_the_document_is_in_one_order(store: EvidenceStore) -> None:
    document = seen(store, artifact("model-1")).to_dict()

    assert document == seen(store, artifact("model-1")).to_dict()
    assert [node["sha256"] for node in document["nodes"]] == sorted(node["sha256"] for node in document["nodes"])
    (first, *_) = [node for node in document["nodes"] if node["sha256"] == artifact("model-1").digest]
    assert [said["what"] for said in first["statements"]] == ["provenance"]


def test_revoked_provenance_makes_no_edge(store: EvidenceStore) -> None:
    may_revoke = trust({"pipeline": ["provenance"], "gate": ["revoke"]})
    (found,) = store.find(artifact("model-1").digest)
    said = revocation.build(
        revocation.Target.EVIDENCE,
        "model-1's provenance",
        found.digest,
        cause=revocation.Cause.UNTRUSTED,
        reason="it wasn't made from that",
        since=NOW,
        by="carol",
        revoked_at=NOW,
        run={},
    )
    store.put(key("gate").sign(said))

    graph = walk(store, may_revoke, NOW, data("raw").digest, Direction.USES)

    assert names(graph) == {"raw", "clean", "model-2"}


def test_provenance_that_is_not_logged_makes_no_edge() -> None:
    log = LogTrust("example.com/log", (log_key().public_key,))
    backend = MemoryLogBackend()
    made(EvidenceStore(backend, EvidenceLog(backend, log, log_key())), artifact("logged"), data("raw"))
    made(EvidenceStore(backend), artifact("slipped-in"), data("raw"))
    document = json.loads(trust_bytes())
    document["log"] = {"origin": log.origin, "keys": [log_key().public_key.pem], "required": True}
    asking = TrustPolicy.from_bytes(json.dumps(document).encode())

    assert names(walk(EvidenceStore(backend), asking, NOW, data("raw").digest)) == {"raw", "logged"}
