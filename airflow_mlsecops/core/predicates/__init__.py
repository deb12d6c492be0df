"""Predicate types: a vetted in-toto one where there is one, ours where there is none. One file each, one table."""

from airflow_mlsecops.core.predicates.types import (
    ALARM,
    APPROVAL,
    APPROVAL_REQUEST,
    BOM,
    PROMOTION,
    PROVENANCE,
    REVOCATION,
    SIGNATURE,
    TEST_RESULT,
    VERIFICATION_SUMMARY,
    WAIVER,
    PredicateType,
    predicate_by_slug,
    predicate_by_uri,
)

__all__ = [
    "ALARM",
    "APPROVAL",
    "APPROVAL_REQUEST",
    "BOM",
    "PROMOTION",
    "PROVENANCE",
    "REVOCATION",
    "SIGNATURE",
    "TEST_RESULT",
    "VERIFICATION_SUMMARY",
    "WAIVER",
    "PredicateType",
    "predicate_by_slug",
    "predicate_by_uri",
]
