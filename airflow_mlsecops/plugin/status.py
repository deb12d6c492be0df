"""The whole page in one line, from most to least alarming. It describes; it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.evidence import EvidenceSet
from airflow_mlsecops.core.policy import Reason
from airflow_mlsecops.core.predicates import TEST_RESULT, VERIFICATION_SUMMARY, vsa
from airflow_mlsecops.core.telling import Tone, gate_reasons, policy_name
from airflow_mlsecops.plugin.rows import Row, Table
from airflow_mlsecops.plugin.text import moment

NamedTable = tuple[str, Table]
"""Empty name for the artifact itself, the data set's name otherwise."""


@dataclass(frozen=True)
class GateDecision:
    """What a release gate said under one policy, and whether what it read still holds.

    Attributes:
        released: its answer.
        policy, policy_sha256: name and digest of the release policy.
        reasons: why not.
        read: how many statements it counted.
        gone: digests among them that are no longer there or no longer count.
        row: the statement itself.
    """

    released: bool
    policy: str
    policy_sha256: str
    reasons: tuple[Reason, ...]
    read: int
    gone: tuple[Sha256, ...]
    row: Row


@dataclass(frozen=True)
class Status:
    """One line: a stable code, how to read it, a title and a sentence."""

    code: str
    tone: Tone
    title: str
    text: str


def decisions_of(seen: EvidenceSet, table: Table, present: set[Sha256]) -> tuple[GateDecision, ...]:
    """The newest decision under each policy.

    Args:
        seen: the statements that may be shown.
        table: the same, laid out.
        present: digest of every statement that counts today.
    """
    items = {item.digest: item.statement for item in seen.of(VERIFICATION_SUMMARY.slug)}
    decisions = []
    for row in table.current:
        if row.evidence not in items or row.when is None:
            continue  # another predicate, or one that can't be read and is shown as such
        statement = items[row.evidence]
        summary = vsa.parse(statement)
        decisions.append(
            GateDecision(
                released=summary.passed,
                policy=policy_name(statement),
                policy_sha256=summary.policy,
                reasons=gate_reasons(statement),
                read=len(summary.evidence),
                gone=tuple(digest for digest in summary.evidence if digest not in present),
                row=row,
            )
        )
    return tuple(decisions)


def status_of(tables: Sequence[NamedTable], decisions: Sequence[GateDecision], *, is_dataset: bool) -> Status:
    """Say in one line how things stand; the first of these that is true.

    1. It is revoked; or something in the store isn't what its name says, or isn't there although the log has it.
    2. A release gate has decided: as it said, unless that no longer holds.
    3. A control failed, a person rejected, a statement can't be read.
    4. Nothing counts.
    5. All is well as far as it goes.
    """
    # 1.
    revoked = [(name, item) for name, table in tables for item in table.broken if item.code == "artifact-revoked"]
    if revoked:
        name, item = revoked[0]
        return Status("artifact-revoked", Tone.BAD, f"Data set {name} is revoked" if name else "Revoked", item.reason)
    broken = sum(len(table.broken) for _, table in tables)
    if broken:
        return Status(
            "evidence-broken",
            Tone.BAD,
            "Evidence was tampered with, or damaged",
            f"{_count(broken, 'object')} in the store {'is' if broken == 1 else 'are'} not what name or log say. "
            "Every gate says NO until that is cleared up.",
        )
    # 2.
    bad = [(name, row) for name, table in tables for row in table.current if row.tone is Tone.BAD]
    if decisions:
        return _of_decisions(decisions, bad)
    # 3.
    if bad:
        more = f" ({_count(len(bad) - 1, 'more statement')} like that)" if len(bad) > 1 else ""
        return Status("statement-said-no", Tone.BAD, _said_no(*bad[0]), f"{bad[0][1].summary}{more}")
    # 4.
    own = tables[0][1]
    if not own.rows:
        return Status("nothing-counts", Tone.BAD, "Nothing here counts", "No statement about these bytes is trusted.")
    # 5.
    return _of_controls(own) if is_dataset else _undecided(own)


def _of_decisions(decisions: Sequence[GateDecision], bad: Sequence[tuple[str, Row]]) -> Status:
    by_policy: dict[str, GateDecision] = {}
    for decision in decisions:  # the newest first: a policy file that changed since keeps its name
        by_policy.setdefault(decision.policy, decision)
    if len({decision.released for decision in by_policy.values()}) > 1:
        said = "; ".join(f"{'YES' if item.released else 'NO'} under {name}" for name, item in by_policy.items())
        return Status("mixed", Tone.WARN, "Released under one policy, refused under another", f"{said}.")
    worst = max(by_policy.values(), key=lambda decision: bool(decision.gone))
    return _of_decision(worst, bad)


def _of_decision(decision: GateDecision, bad: Sequence[tuple[str, Row]]) -> Status:
    under = f"under policy {decision.policy}, {moment(decision.row.when)}"
    if not decision.released:
        why = f"; {_count(len(decision.reasons), 'reason')}, below" if decision.reasons else ""
        return Status("refused", Tone.BAD, "Refused by the release gate", f"It said NO {under}{why}.")
    if decision.gone:
        return Status(
            "release-no-longer-holds",
            Tone.BAD,
            "Released, but that no longer holds",
            f"The gate said YES {under}; of what it read then, {_count(len(decision.gone), 'statement')} "
            f"{'is' if len(decision.gone) == 1 else 'are'} gone or no longer trusted.",
        )
    decided = decision.row.when
    newer = [(name, row) for name, row in bad if _after(row.when, decided) and row.evidence != decision.row.evidence]
    if newer:
        return Status(
            "newer-no", Tone.WARN, f"Released, but since then {_said_no(*newer[0])}", f"The gate said YES {under}."
        )
    return Status(
        "released",
        Tone.GOOD,
        "Released",
        f"The release gate said YES {under}; all {_count(decision.read, 'statement')} that it read still count.",
    )


def _of_controls(own: Table) -> Status:
    controls = [row for row in own.current if row.predicate == TEST_RESULT.slug]
    if not controls:
        return Status("unchecked", Tone.PLAIN, "No control has looked at it yet", "Nothing speaks for or against it.")
    warned = [row for row in controls if row.tone is Tone.WARN]
    if warned:
        said = "; ".join(f"{row.what}: {row.summary}" for row in warned)
        return Status("warned", Tone.WARN, "Passed, with warnings", said)
    return Status("passed", Tone.GOOD, "Passed", f"{_count(len(controls), 'control')} looked at it and found it good.")


def _undecided(own: Table) -> Status:
    return Status(
        "undecided",
        Tone.PLAIN,
        "No release gate has decided yet",
        f"{_count(len(own.current), 'verified statement')} so far, and none of them says no.",
    )


def _said_no(name: str, row: Row) -> str:
    of = f" of data set {name}" if name else ""
    if row.when is None:
        return f"A {row.what}{of} can't be read"
    return f"{row.what}{of}: {row.verdict}"


def _after(when: datetime | None, decided: datetime | None) -> bool:
    return when is None or decided is None or when > decided


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
