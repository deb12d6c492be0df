"""The predicate types in use: URI, slug (the folder in the store) and the role that may sign them."""

from __future__ import annotations

from typing import NamedTuple

from airflow_mlsecops.core.errors import StatementError

OURS = "https://airflow-mlsecops.readthedocs.io/attestation"


class PredicateType(NamedTuple):
    """One kind of claim.

    Attributes:
        uri: the in-toto predicate type.
        slug: short name, also the folder in the evidence store.
        role: the trust policy's role that may sign it.
    """

    uri: str
    slug: str
    role: str


TEST_RESULT = PredicateType("https://in-toto.io/attestation/test-result/v0.1", "test-result", "control")
PROVENANCE = PredicateType("https://slsa.dev/provenance/v1", "provenance", "provenance")
SIGNATURE = PredicateType(f"{OURS}/signature/v1", "signature", "sign")
APPROVAL = PredicateType(f"{OURS}/approval/v1", "approval", "approve")
APPROVAL_REQUEST = PredicateType(f"{OURS}/approval-request/v1", "approval-request", "ask")
VERIFICATION_SUMMARY = PredicateType("https://slsa.dev/verification_summary/v1", "verification-summary", "gate")
REVOCATION = PredicateType(f"{OURS}/revocation/v1", "revocation", "revoke")
BOM = PredicateType("https://cyclonedx.org/bom", "bom", "describe")
WAIVER = PredicateType(f"{OURS}/waiver/v1", "waiver", "waiver")
PROMOTION = PredicateType(f"{OURS}/promotion/v1", "promotion", "promote")
ALARM = PredicateType(f"{OURS}/alarm/v1", "alarm", "alarm")

_ALL = (
    TEST_RESULT,
    PROVENANCE,
    SIGNATURE,
    APPROVAL,
    APPROVAL_REQUEST,
    VERIFICATION_SUMMARY,
    REVOCATION,
    BOM,
    WAIVER,
    PROMOTION,
    ALARM,
)
_BY_URI = {item.uri: item for item in _ALL}
_BY_SLUG = {item.slug: item for item in _ALL}
ROLES = frozenset(item.role for item in _ALL)
"""The roles that a trust policy can give, besides ``control:<name>``."""

if len(_BY_URI) != len(_ALL) or len(_BY_SLUG) != len(_ALL):
    raise RuntimeError("two predicate types share a URI or a slug")


def predicate_by_uri(uri: str) -> PredicateType:
    """Look a predicate type up.

    Raises:
        StatementError: if it isn't one of those in use.
    """
    if uri not in _BY_URI:
        raise StatementError(f"unknown predicate type {uri[:200]!r}", f"known: {', '.join(_BY_URI)}")
    return _BY_URI[uri]


def predicate_by_slug(slug: str) -> PredicateType:
    """Look a predicate type up by its short name.

    Raises:
        StatementError: if there is none.
    """
    if slug not in _BY_SLUG:
        raise StatementError(f"unknown predicate {slug!r}", f"known: {', '.join(_BY_SLUG)}")
    return _BY_SLUG[slug]
