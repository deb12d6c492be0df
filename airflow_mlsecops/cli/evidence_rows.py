"""What is told about one stored bundle, in a list and alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import UsageError, setting
from airflow_mlsecops.cli.output import Style, Styled
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import parse_sha256
from airflow_mlsecops.core.errors import MlsecopsError, StatementError
from airflow_mlsecops.core.evidence import verify_bundle
from airflow_mlsecops.core.telling import describe, told_time

if TYPE_CHECKING:
    import argparse

    from airflow_mlsecops.core.bundle import Bundle
    from airflow_mlsecops.core.evidence import EvidenceSet
    from airflow_mlsecops.core.store import Found
    from airflow_mlsecops.core.trust import TrustPolicy


@dataclass(frozen=True)
class Row:
    """One stored object, judged if there is a trust policy.

    Attributes:
        found: what lies in the store.
        predicate: the predicate's short name, from its place in the store.
        says: verdict or decision.
        time: when the statement says that.
        signer: the trusted signer's name; without one, the key that is said to have signed.
        counts: whether it counts; ``None`` if no trust policy was given.
        why_not: why it doesn't count.
    """

    found: Found
    predicate: str
    says: str
    time: str
    signer: str
    counts: bool | None
    why_not: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        bundle = self.found.bundle
        return {
            "digest": self.found.digest,
            "key": self.found.key,
            "predicate": self.predicate,
            "subjects": [{"name": n, "sha256": d} for n, d in bundle.statement.subjects] if bundle else [],
            "says": self.says,
            "time": self.time,
            "signer": self.signer,
            "counts": self.counts,
            "why_not": self.why_not,
        }

    @property
    def judgement(self) -> Styled:
        """Whether it counts, in a word or a sentence."""
        if self.counts is None:
            return Styled("not verified", Style.LOUD)
        return Styled("counts", Style.GOOD) if self.counts else Styled(f"doesn't count: {self.why_not}", Style.BAD)


def row_of(found: Found, trust: TrustPolicy | None, judged: EvidenceSet | None = None) -> Row:
    """Describe one object; with a trust policy also say whether it counts.

    Args:
        found: what lies in the store.
        trust: who may sign what.
        judged: the subject's evidence, judged with revocations and the log; without it only signatures are.
    """
    parts = found.key.split("/")
    predicate = parts[2] if len(parts) > 3 else ""
    if found.bundle is None:
        return Row(found, predicate, "BROKEN", "", "", False, found.broken)
    said = describe(found.bundle.statement)
    signer, counts, why_not = claimed_signer(found.bundle), None, ""
    if trust is not None and judged is not None:
        good: dict[str, str] = {item.digest: item.signer for item in judged.verified}
        bad = {item.digest: item.reason for item in judged.refused}
        counts, why_not = found.digest in good, bad.get(found.digest, "")
        signer = good.get(found.digest, signer)
    elif trust is not None:
        try:
            signer, counts = verify_bundle(found.bundle, trust, utcnow()).signer, True
        except MlsecopsError as error:
            counts, why_not = False, error.message
    return Row(found, predicate, said.line, told_time(said), signer, counts, why_not)


def claimed_signer(bundle: Bundle) -> str:
    """Who is said to have signed: an identity, or a key's hint. Not verified."""
    if not bundle.certificate:
        return f"key {bundle.key_hint[:16]}…"
    from cryptography import x509

    from airflow_mlsecops.core.signing.keyless_verify import identity_of

    try:
        return str(identity_of(x509.load_der_x509_certificate(bundle.certificate)))
    except (MlsecopsError, ValueError):
        return "a certificate that can't be read"


def optional_trust(args: argparse.Namespace) -> TrustPolicy | None:
    """The trust policy, if one was given."""
    path = setting(args, "trust")
    return None if path is None else places.read_trust(path)


def digest_argument(text: str) -> str:
    """A digest from the command line, with or without ``sha256:`` in front.

    Raises:
        UsageError: if it is none.
    """
    try:
        return parse_sha256(text.removeprefix("sha256:"))
    except StatementError as error:
        raise UsageError(error.message, "`mlsecops evidence list` prints whole digests") from error
