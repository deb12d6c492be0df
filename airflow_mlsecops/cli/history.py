"""``mlsecops history`` and ``mlsecops current``: which versions stood at which stages, and what stands there now."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.cli.table import seconds, table

if TYPE_CHECKING:
    from airflow_mlsecops.core.releases import History, Step


def _configure_history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the model's name, as it was promoted")
    add_setting(parser, "store")
    add_setting(parser, "trust")


def _history(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.clock import utcnow
    from airflow_mlsecops.core.releases import read_history

    store, trust = places.open_evidence(needed(args, "store")), places.read_trust(needed(args, "trust"))
    history = read_history(store, args.name, trust, utcnow())
    code = ExitCode.YES if history else ExitCode.NO
    document = {
        "name": history.name,
        "whole": bool(history),
        "promotions": [_row(step) for step in history.steps],
        "lost": [_row(step) for step in history.lost],
        "gaps": [{"before": gap.before, "missing": gap.missing, "reason": gap.reason} for gap in history.gaps],
        "refused": [{"key": no.key, "code": no.code, "reason": no.reason} for no in history.refused],
        "broken": [{"key": no.key, "code": no.code, "reason": no.reason} for no in history.broken],
    }
    return Answer(code, document, _history_lines(history))


def _row(step: Step) -> dict[str, Any]:
    from airflow_mlsecops.core.clock import to_text

    said = step.said
    return {
        "evidence": step.evidence.digest,
        "time": to_text(said.promoted_at),
        "version": said.release.version,
        "stage": said.release.stage,
        "action": said.release.action.value,
        "reason": said.release.reason,
        "artifact": said.artifact.to_dict(),
        "policy": {"name": said.policy_name, "sha256": said.policy},
        "previous": said.previous,
        "replaces": said.replaces,
        "signer": step.evidence.signer,
        "log_place": step.evidence.place,
        "changes": dict(said.changes),
        "counts": not step.problem,
        "problem": step.problem,
    }


def _history_lines(history: History) -> list[Line]:
    from airflow_mlsecops.core.clock import to_text
    from airflow_mlsecops.core.releases.changes import changes_told

    if history:
        lines: list[Line] = [
            [Styled("whole", Style.GOOD), f"  {history.name}: {len(history.steps)} promotions, each after the other"]
        ]
    else:
        what = "the chain has gaps or is broken" if history.steps or history.broken else "nothing was ever promoted"
        lines = [[Styled("NO", Style.BAD), f"  {history.name}: {what}"]]
    gaps = {gap.before: gap for gap in history.gaps}
    for index, step in enumerate(history.steps):
        if index in gaps:
            lines += ["", Styled(f"gap: promotion sha256:{gaps[index].missing} {gaps[index].reason}", Style.LOUD)]
        said = step.said
        release = said.release
        word = f"  DOESN'T COUNT: {step.problem}" if step.problem else ""
        when, who = seconds(to_text(said.promoted_at)), step.evidence.signer
        lines += ["", f"{when}  {release.action.value} {release.version} to {release.stage}, by {who}"]
        if word:
            lines.append(Styled(word, Style.LOUD))
        if release.reason:
            lines.append(f"  reason    {release.reason}")
        lines.append(f"  sha256    {said.artifact.digest}")
        lines.append(f"  policy    {said.policy_name} sha256:{said.policy}")
        lines.append(f"  evidence  {step.evidence.digest}")
        lines += [f"  changed   {text}" for text in changes_told(said.changes)]
    if history.lost:
        lines += ["", Styled("signed, but another promotion was first: never counts", Style.LOUD)]
        rows = [(step.said.release.version, step.said.release.stage, step.evidence.digest) for step in history.lost]
        lines += table(("VERSION", "STAGE", "EVIDENCE"), rows)
    for title, items in (("broken", history.broken), ("not counted", history.refused)):
        if items:
            lines += ["", Styled(title, Style.LOUD), *(f"  {item.key}: [{item.code}] {item.reason}" for item in items)]
    return lines


def _configure_current(parser: argparse.ArgumentParser) -> None:
    _configure_history(parser)
    parser.add_argument("--stage", metavar="STAGE", required=True, help="such as production")
    add_setting(parser, "policy")


def _current(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.clock import utcnow
    from airflow_mlsecops.core.releases import current

    store, trust = places.open_evidence(needed(args, "store")), places.read_trust(needed(args, "trust"))
    policy = places.read_policy(needed(args, "policy"))
    found = current(args.name, args.stage, store=store, trust=trust, policy=policy, now=utcnow())
    document = {
        "name": args.name,
        "stage": args.stage,
        "current": bool(found),
        "policy": {"name": policy.name, "sha256": policy.digest},
        "promotion": _row(found.step) if found.step else None,
        "reasons": list(found.reasons),
    }
    if found and found.step is not None:
        said = found.step.said
        lines: list[Line] = [
            said.artifact.digest,
            f"  {said.release.name} {said.release.version} at {said.artifact.uri}",
            f"  released under {policy.name}; promoted by {found.step.evidence.signer}",
        ]
        return Answer(ExitCode.YES, document, lines)
    none: list[Line] = [[Styled("NO", Style.BAD), f"  nothing of {args.name} stands at {args.stage} and may be used"]]
    return Answer(ExitCode.NO, document, [*none, *(f"  {reason}" for reason in found.reasons)])


HISTORY = Command(
    path=("history",),
    summary="list all promotions of a model, and verify that they are a chain",
    usage="NAME --store ROOT --trust FILE",
    description=(
        "Tell every version that was promoted or rolled back, to which stage, by whom and what had changed.\n"
        "Each promotion names the one before it: exit 1 if one is missing, broken, or there are none."
    ),
    configure=_configure_history,
    run=_history,
)
CURRENT = Command(
    path=("current",),
    summary="print the digest of the model that stands at a stage, verified",
    usage="NAME --stage STAGE --store ROOT --trust FILE --policy FILE",
    description=(
        "Find the newest promotion to the stage, and verify that a gate released exactly these bytes under\n"
        "exactly this policy and that its reasons still hold. The first line is the SHA-256: hash what you load,\n"
        "and compare. Exit 1 if nothing stands there that may be used."
    ),
    configure=_configure_current,
    run=_current,
)
