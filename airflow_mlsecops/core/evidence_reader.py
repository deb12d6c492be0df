"""Reads and judges the evidence of one verification: with revocations, and against one state of the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_mlsecops.core.errors import RevokedError, StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet, Refused, judge, refuse
from airflow_mlsecops.core.predicates import REVOCATION, revocation
from airflow_mlsecops.core.store.evidence_store import EvidenceStore, Found
from airflow_mlsecops.core.trust import TrustPolicy

if TYPE_CHECKING:
    from airflow_mlsecops.core.log import Checkpoint, Entry, LogReader

Logged = Mapping[str, list[tuple[int, "Entry"]]]
_CHECKPOINT_KEY = "log/checkpoint"


class EvidenceReader:
    """What one verification reads. Each key's revocations are looked up once; the log is read once, at the end.

    Attributes:
        checkpoint: the state of the log that counts; ``None`` without a log.
    """

    def __init__(self, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> None:
        self.checkpoint: Checkpoint | None = None
        self._store = store
        self._trust = trust
        self._now = now
        self._log: LogReader | None = None
        self._problem: Refused | None = None
        self._revocations: dict[str, EvidenceSet] = {}
        self._keys: dict[str, set[str]] = {}
        self._asked: defaultdict[str, set[str]] = defaultdict(set)

    @classmethod
    def open(cls, store: EvidenceStore, trust: TrustPolicy, now: datetime, since: bytes = b"") -> EvidenceReader:
        """Begin a verification.

        The log's newest checkpoint is taken before anything of the store is listed: whatever it signs was there then.

        Args:
            store: the evidence.
            trust: who may sign what, and which log must have it.
            now: the current time.
            since: a checkpoint of an earlier verification, of which the newest must be a continuation.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        reader = cls(store, trust, now)
        if trust.log is not None:
            reader._open_log(since)
        return reader

    def collect(self, subject: str) -> EvidenceSet:
        """Read and judge what the store holds about ``subject``; see :meth:`judge`.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        return self.collect_all([subject])[subject]

    def collect_all(self, subjects: Iterable[str]) -> dict[str, EvidenceSet]:
        """The same about each of several subjects, which takes no longer than about one where the store is far.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        sifted = {subject: self._sift(subject, found) for subject, found in self._store.find_all(subjects).items()}
        self._look_up_revocations([item for evidence in sifted.values() for item in evidence.verified])
        return {subject: self._withdraw(evidence) for subject, evidence in sifted.items()}

    def judge(self, subject: str, found: Iterable[Found]) -> EvidenceSet:
        """Sort what was found under ``subject``; :meth:`complete` then asks the log.

        1. Signature, signer, validity, role, and the trust policy's own revocations; see :func:`.evidence.judge`.
        2. Nobody who may revoked the artifact: that is a NO, and so is such a statement that can't be read.
        3. Nobody who may revoked a piece of evidence, or the key or identity that signed it. What can't be read in the
           place where such a revocation would lie is a NO too.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        # 1.
        evidence = self._sift(subject, list(found))
        # 2. and 3.
        self._look_up_revocations(evidence.verified)
        return self._withdraw(evidence)

    def _sift(self, subject: str, found: Sequence[Found]) -> EvidenceSet:
        self._keys[subject] = {item.key for item in found}
        self._asked[subject].add(subject)
        return judge(subject, found, self._trust, self._now)

    def _withdraw(self, evidence: EvidenceSet) -> EvidenceSet:
        subject = evidence.subject
        # 2.
        broken = [*evidence.broken, *_revoked_itself(evidence)]
        # 3.
        verified: list[Evidence] = []
        withdrawn, refused = list(evidence.withdrawn), list(evidence.refused)
        for item in evidence.verified:
            reason = "" if item.slug == REVOCATION.slug else self._why_withdrawn(item, subject, broken)
            (withdrawn if reason else verified).append(item)
            if reason:
                refused.append(refuse(item, subject, RevokedError.code, reason))
        return EvidenceSet(subject, tuple(verified), tuple(refused), tuple(dict.fromkeys(broken)), tuple(withdrawn))

    def complete(self, sets: Mapping[str, EvidenceSet]) -> dict[str, EvidenceSet]:
        """Ask the log, in one pass over it for all subjects.

        1. What the log names and the store doesn't have is withheld: a NO.
        2. What the log doesn't name doesn't count, if the trust policy requires the log.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        rule = self._trust.log
        if rule is None:
            return dict(sets)
        logged = self._logged()
        result = {}
        for subject, evidence in sets.items():
            # 1.
            withheld = [item for asked in self._asks_for(subject) for item in self._withheld(asked, subject, logged)]
            problem = [self._problem] if self._problem else []
            # 2.
            places = {entry.bundle: index for index, entry in logged.get(subject, [])}
            placed = [replace(item, place=places.get(item.digest)) for item in evidence.verified]
            missing = [item for item in placed if item.place is None and rule.required]
            reason = self._problem.reason if self._problem else "it isn't in the evidence log"
            result[subject] = replace(
                evidence,
                # A revocation counts, logged or not: whoever keeps it out of the log mustn't undo it.
                verified=tuple(item for item in placed if item not in missing or item.slug == REVOCATION.slug),
                withdrawn=(
                    *(replace(item, place=places.get(item.digest)) for item in evidence.withdrawn),
                    *(item for item in missing if item.slug != REVOCATION.slug),
                ),
                refused=(
                    *evidence.refused,
                    *(refuse(i, subject, "not-logged", reason) for i in missing if i.slug != REVOCATION.slug),
                ),
                broken=tuple(dict.fromkeys((*evidence.broken, *withheld, *problem))),
            )
        return result

    def _open_log(self, since: bytes) -> None:
        from airflow_mlsecops.core.log import Checkpoint
        from airflow_mlsecops.core.log.errors import LogError, ProofError

        assert self._trust.log is not None
        trust = self._trust.log.trust
        self._log = self._store.log_reader(trust)
        try:
            self.checkpoint = self._log.checkpoint()
            if since:
                old = Checkpoint.parse(since, trust)
                if self.checkpoint is None:
                    raise ProofError(f"the log is gone; it was at {old}", "somebody removed it: restore it")
                self._log.check_consistency(old, self.checkpoint)
        except LogError as error:
            self._fail(error)

    def _logged(self) -> Logged:
        from airflow_mlsecops.core.log.errors import LogError

        if self._problem is not None or self._log is None or self.checkpoint is None:
            return {}
        try:
            return self._log.about_all(self._keys, self.checkpoint)
        except LogError as error:
            self._fail(error)
            return {}

    def _fail(self, error: Exception) -> None:
        code, message = getattr(error, "code", "log"), getattr(error, "message", str(error))
        if getattr(error, "transient", False):
            raise error
        self._problem, self.checkpoint = Refused("", _CHECKPOINT_KEY, code, message), None

    def _asks_for(self, subject: str) -> list[str]:
        return sorted(asked for asked, subjects in self._asked.items() if subject in subjects)

    def _withheld(self, asked: str, subject: str, logged: Logged) -> list[Refused]:
        missing = []
        for index, entry in logged.get(asked, []):
            key = f"bundles/{asked}/{entry.predicate}/{entry.bundle}.sigstore.json"
            # Of a key or a piece of evidence only revocations were looked up.
            if key not in self._keys[asked] and (asked == subject or entry.predicate == REVOCATION.slug):
                reason = f"the log has it at {index}, and the store doesn't: it was removed"
                missing.append(Refused(entry.bundle, key, "evidence-withheld", reason))
        return missing

    def _why_withdrawn(self, item: Evidence, subject: str, broken: list[Refused]) -> str:
        """Why a revocation statement takes this evidence back; what can't be read is added to ``broken``."""
        reasons = []
        for digest in (item.digest, item.signed_with):
            self._asked[digest].add(subject)
            found = self._revocations[digest]
            broken += found.broken
            for revoked in found.verified:
                try:
                    said = revocation.parse(revoked.statement)
                except StatementError as error:
                    broken.append(
                        refuse(revoked, digest, error.code, f"a revocation that can't be read: {error.message}")
                    )
                    continue
                of_signer = digest != item.digest
                if not of_signer or revocation.voids(said.cause, said.since, item.trusted_time, self._now):
                    reasons.append(f"signer {item.signer}: {said}" if of_signer else str(said))
        return "; ".join(reasons)

    def _look_up_revocations(self, items: Iterable[Evidence]) -> None:
        digests = {
            digest for item in items if item.slug != REVOCATION.slug for digest in (item.digest, item.signed_with)
        }
        unknown = sorted(digests - self._revocations.keys())
        for digest, found in self._store.find_all(unknown, REVOCATION.slug).items():
            # Of an artifact that is asked for as well, everything was listed already.
            self._keys.setdefault(digest, set()).update(item.key for item in found)
            self._revocations[digest] = judge(digest, found, self._trust, self._now)


def _revoked_itself(evidence: EvidenceSet) -> list[Refused]:
    found = []
    for item in evidence.of(REVOCATION.slug):
        try:
            reason = str(revocation.parse(item.statement))
        except StatementError as error:
            reason = f"a revocation that can't be read: {error.message}"
        found.append(refuse(item, evidence.subject, "artifact-revoked", reason))
    return found
