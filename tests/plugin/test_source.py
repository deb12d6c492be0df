"""What pages share of one process."""

from __future__ import annotations

from pathlib import Path

from airflow_mlsecops.core.log import LogTrust
from airflow_mlsecops.core.signing import generate_key, key_signer_from_uri
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trust_document import trust_document
from airflow_mlsecops.plugin.source import memory_of


def test_all_readers_of_a_log_share_one_memory_from_the_first_on(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(generate_key(b"a passphrase")[0])
    public = key_signer_from_uri(f"file:{key}", "a passphrase").public_key
    trust = TrustPolicy.from_bytes(
        trust_document("all", public, ("sign",), log=LogTrust("tests.example/evidence", (public,))).encode()
    )
    store = EvidenceStore(LocalBackend(tmp_path))
    first = memory_of(store, trust)
    assert len(first) == 0
    assert memory_of(store, trust) is first
