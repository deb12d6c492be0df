"""What stands at a stage now, and may be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.releases.history import History, Step, read_history
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.verification import Verification, verify_release


@dataclass(frozen=True)
class Current:
    """What stands at a stage; ``bool(current)`` is true only if it may be used.

    Attributes:
        stage: which.
        history: all promotions of the name.
        step: the newest promotion to the stage, if there is one.
        verification: whether its bytes are released under the policy that was asked for.
        reasons: why not.
    """

    stage: str
    history: History
    step: Step | None
    verification: Verification | None
    reasons: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.step is not None and bool(self.verification) and not self.reasons


def current(
    name: str,
    stage: str,
    *,
    store: EvidenceStore,
    trust: TrustPolicy,
    policy: ReleasePolicy,
    now: datetime,
    since: bytes = b"",
) -> Current:
    """Find what stands at a stage, and verify it.

    1. The chain of promotions says which digest; nothing after it is missing, nothing in it is broken.
    2. The newest promotion to the stage counts. If it was withdrawn nothing stands there: taking one back never
       releases the one before it.
    3. A gate released exactly these bytes under exactly this policy, and its reasons still hold.

    The caller still owes: that the bytes at hand have this digest.

    Args:
        name: the model's.
        stage: such as ``production``.
        store: the evidence.
        trust: who may sign what.
        policy: what the stage asks for, in the words of who is about to use the model.
        now: the current time.
        since: a checkpoint of an earlier verification, of which the log must be a continuation.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    # 1. and 2.
    history = read_history(store, name, trust, now, since)
    step, reasons = history.at(stage), history.objections(stage)
    if step is None:
        return Current(stage, history, None, None, tuple(reasons))
    # 3.
    verification = verify_release(step.said.artifact, store, trust, policy, now, since=since)
    reasons += [str(reason) for reason in verification.decision.reasons]
    return Current(stage, history, step, verification, tuple(reasons))
