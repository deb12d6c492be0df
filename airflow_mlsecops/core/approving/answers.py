"""People's answers among the verified evidence about an artifact."""

from __future__ import annotations

from contextlib import suppress

from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import EvidenceSet
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.policy.quorum import Answer
from airflow_mlsecops.core.predicates import APPROVAL, approval
from airflow_mlsecops.core.predicates.approval import Decision
from airflow_mlsecops.core.store import EvidenceStore


def answers_in(evidence: EvidenceSet) -> list[Answer]:
    """Every verified answer, and the rejections that were withdrawn: a revocation never makes a YES.

    Raises:
        StatementError: if one can't be read; it may be a rejection.
    """
    said = [quorum.answer(approval.parse(item.statement), item) for item in evidence.of(APPROVAL.slug)]
    taken_back = [quorum.answer(approval.parse(i.statement), i) for i in evidence.withdrawn_of(APPROVAL.slug)]
    return said + [each for each in taken_back if each.said.decision is Decision.REJECTED]


def unlogged_answers(evidence: EvidenceSet) -> list[Answer]:
    """Answers that only the log is missing of. People who sign themselves don't have its key.

    What can't be read is left out: it counts for nothing before the log has it.
    """
    missing = {item.digest for item in evidence.refused if item.code == "not-logged"}
    found = []
    for item in evidence.withdrawn_of(APPROVAL.slug):
        if item.digest in missing:
            with suppress(StatementError):
                found.append(quorum.answer(approval.parse(item.statement), item))
    return found


def answers_listed(store: EvidenceStore, subject: str) -> frozenset[str]:
    """Names of all that lies where answers about an artifact lie, unread: to notice that another one came.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    return store.names(subject, APPROVAL.slug)


def fingerprint(names: frozenset[str]) -> Sha256:
    """What stands for a set of names."""
    return sha256_bytes("\n".join(sorted(names)).encode())
