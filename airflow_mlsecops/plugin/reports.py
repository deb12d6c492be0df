"""A control's report for people: shown only if a verified statement names it, and only as what it is.

The page was made of strangers' data. It escapes everything and carries a policy of its own; the headers here hold even
if it didn't: no script, nothing from elsewhere, no form, and an origin of its own, so that it could read no cookie.
"""

from __future__ import annotations

from datetime import datetime

from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import EvidenceBrokenError, EvidenceNotFoundError, StatementError
from airflow_mlsecops.core.predicates import TEST_RESULT, control_run
from airflow_mlsecops.core.report import REPORT
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.plugin.problems import Problem, no_evidence
from airflow_mlsecops.plugin.source import Source

MAX_REPORT_BYTES = 64 * 1024 * 1024
REPORT_POLICY = (
    # The report's own style sheet stands in it; which one it may be, its own policy says, by digest.
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)


def report_digest(statement: Statement) -> Sha256 | None:
    """The address of the report that a control's statement names, if it is one and names one."""
    if statement.predicate_type != TEST_RESULT.uri:
        return None
    extension = statement.predicate.get(control_run.CONTROL_RUN)
    blobs = extension.get("blobs") if isinstance(extension, dict) else None
    for blob in blobs if isinstance(blobs, list) else ():
        if isinstance(blob, dict) and blob.get("name") == REPORT:
            try:
                return parse_sha256(blob["digest"]["sha256"])
            except (StatementError, KeyError, TypeError):
                return None
    return None


def report_of(source: Source, sha256: Sha256, digest: Sha256, readable: frozenset[str], now: datetime) -> bytes:
    """The report that the statement ``digest`` about the artifact ``sha256`` names.

    1. All evidence about the artifact is read and judged now: signature, trust, revocations, log.
    2. The statement has to be among what counts, and from a Dag that this person may read.
    3. The blob has to have the digest that the statement names.

    Raises:
        Problem: 404, if one of these isn't so; the answer tells no more than that, unless the report was changed.
        StoreUnavailableError: if the store can't be reached.
    """
    reading = source.read(sha256, now)
    for item in reading.evidence.verified:
        if item.digest != digest or not reading.dag_for(item.digest, readable):
            continue
        address = report_digest(item.statement)
        if address is None:
            break
        try:
            return source.store.get_blob(address, limit=MAX_REPORT_BYTES)
        except EvidenceNotFoundError as error:
            raise Problem(404, "report-not-found", "The report is gone", "Its statement names one.") from error
        except EvidenceBrokenError as error:
            raise Problem(
                404, "evidence-broken", "This report is broken", "What lies there is not what was signed."
            ) from error
    raise no_evidence()
