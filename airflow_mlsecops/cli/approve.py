"""``mlsecops approve``: answer a request with one's own key, having seen the evidence, verified on this machine."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, UsageError, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Output, Style, Styled
from airflow_mlsecops.cli.passphrases import PASSPHRASE_VARIABLE, add_passphrase_options, signing_passphrase
from airflow_mlsecops.cli.table import seconds, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_mlsecops.core.approving.requests import Case
    from airflow_mlsecops.core.approving.screen import Row
    from airflow_mlsecops.core.approving.sign import Signed
    from airflow_mlsecops.core.predicates.approval import Decision
    from airflow_mlsecops.core.trust import TrustedSigner

MAX_TEXTS, MAX_TEXT = 50, 300
"""Of a request's texts, so that a long one can't push the evidence off the screen."""


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", metavar="REQUEST", help="SHA-256 of the request, as `mlsecops requests` prints it")
    add_setting(parser, "store")
    add_setting(parser, "trust", "; it says whose key it is (person) and lets it approve")
    parser.add_argument("--signer", metavar="URI", help="your key or identity, e.g. file:alice.pem")
    parser.add_argument("--reject", action="store_true", help="reject it instead")
    parser.add_argument("--reason", metavar="TEXT", help="why; asked for in the terminal if left out")
    parser.add_argument("--yes", action="store_true", help="don't ask; needs --reason")
    add_passphrase_options(parser, new_key=False)


def _run(args: argparse.Namespace) -> Answer:
    """Everything that would make the answer worthless is found before it is asked for."""
    from airflow_mlsecops.cli.evidence_rows import digest_argument
    from airflow_mlsecops.core.approving.errors import RequestEvidenceError
    from airflow_mlsecops.core.approving.requests import find_request, open_case
    from airflow_mlsecops.core.approving.screen import shown, since_asked
    from airflow_mlsecops.core.approving.sign import check_answer, own_key, sign_answer
    from airflow_mlsecops.core.clock import utcnow
    from airflow_mlsecops.core.predicates.approval import Decision
    from airflow_mlsecops.core.signing import signer_from_uri

    decision = Decision.REJECTED if args.reject else Decision.APPROVED
    _check_arguments(args)
    digest = digest_argument(args.request)
    store, trust, now = places.open_evidence(needed(args, "store")), places.read_trust(needed(args, "trust")), utcnow()
    case = open_case(find_request(digest, store, trust, now), store, trust, now)
    signer = signer_from_uri(args.signer, signing_passphrase(args))
    known = own_key(signer, trust, now)
    check_answer(case, decision, known, now)
    rows, later = shown(case), since_asked(case)
    _show(case, rows, later, known)
    reason = _confirmed(args, case, decision)
    if reason is None:
        return Answer(ExitCode.NO, {"signed": False, "request": digest}, ["nothing was signed"])
    # Time has passed, and others may have answered: what is signed is judged anew.
    now = utcnow()
    case = open_case(case.asked, store, trust, now)
    if (shown(case), since_asked(case)) != (rows, later):
        raise RequestEvidenceError("the evidence changed while you read it; nothing was signed", "read it anew")
    signed = sign_answer(case, decision, reason, signer, store, trust, now)
    return _signed(case, signed, decision, reason, [*rows, *later])


def _check_arguments(args: argparse.Namespace) -> None:
    if not (args.signer or "").strip():
        raise UsageError("--signer is missing: with which key?", "e.g. --signer file:alice.pem")
    if args.reason is not None and not args.reason.strip():
        raise UsageError("--reason is given, but empty", "say why: people will ask")
    if args.yes and args.reason is None:
        raise UsageError("--yes without --reason", "say why: people will ask")
    if not args.yes and (sys.stdin is None or not sys.stdin.isatty()):
        raise UsageError("there is no terminal to ask in", "in a script give --yes and --reason")


def _show(case: Case, rows: list[Row], later: list[Row], known: TrustedSigner) -> None:
    """On standard error, so that standard output has the answer alone."""
    output = Output(as_json=False)
    for line in _screen(case, rows, later, known):
        output.note(line)


def _screen(case: Case, rows: list[Row], later: list[Row], known: TrustedSigner) -> Iterable[Line]:
    from airflow_mlsecops.core.clock import to_text

    asked, said = case.asked, case.asked.said
    yield [Styled(str(asked.about), Style.HEAD)]
    yield f"  sha256        {asked.about.identity.digest}"
    yield f"  asked by      {asked.signer}: {asked.run.get('dag_id', '?')}, run {asked.run.get('run_id', '?')}"
    yield f"  triggered by  {said.triggered_by}"
    yield f"  until         {seconds(to_text(said.expires_at))}"
    yield f"  approved      {len(case.standing.counted)} of {said.quorum}, {said.level.value}"
    yield f"  you are       {known.person} ({known.name})"
    yield from _section("changed since the last release", said.changes, "nothing that the request tells")
    yield from _section("missing", said.missing, "nothing that the request tells", Style.BAD)
    yield from _table("what the request showed, verified here and now", rows)
    if later:
        yield from _table("what was said since, and isn't in the request", later)


def _section(title: str, texts: Iterable[str], nothing: str, style: Style | None = None) -> Iterable[Line]:
    yield ""
    yield [Styled(title, Style.HEAD)]
    told = list(texts)
    for text in told[:MAX_TEXTS]:
        cut = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
        yield ["  ", Styled(cut, style) if style is not None else cut]
    if len(told) > MAX_TEXTS:
        yield f"  and {len(told) - MAX_TEXTS} more"
    if not told:
        yield f"  {nothing}"


def _table(title: str, rows: list[Row]) -> Iterable[Line]:
    yield ""
    yield [Styled(title, Style.HEAD)]
    if not rows:
        yield "  nothing"
        return
    styles = {"good": Style.GOOD, "warn": Style.LOUD, "bad": Style.BAD, "plain": Style.DIM}
    cells = [
        (r.what, Styled(r.verdict, styles[r.tone.value]), r.about, r.signer or "?", seconds(r.time), r.summary)
        for r in rows
    ]
    yield from table(("WHAT", "SAYS", "ABOUT", "SIGNER", "TIME", "BECAUSE"), cells)
    for row in rows:
        if row.claimed:
            yield Styled(f"  the request says otherwise of {row.digest[:16]}…: {row.claimed}", Style.BAD)
        if row.problem:
            yield Styled(f"  {row.what} {row.digest[:16]}…: {row.problem}", Style.BAD)


def _confirmed(args: argparse.Namespace, case: Case, decision: Decision) -> str | None:
    """The reason, once the person has typed what is meant; None if not."""
    if args.yes:
        return str(args.reason)
    Output(as_json=False).note(f"{decision.value}? {case.asked.about} sha256:{case.asked.about.identity.digest}")
    reason = args.reason if args.reason is not None else _asked("Reason: ").strip()
    if not reason:
        raise UsageError("no reason was given; nothing was signed", "say why: people will ask")
    word = "reject" if args.reject else "approve"
    typed = _asked(f'Type "{word}" to sign that, anything else to stop: ')
    return reason if typed.strip() == word else None


def _asked(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return sys.stdin.readline()


def _signed(case: Case, signed: Signed, decision: Decision, reason: str, rows: list[Row]) -> Answer:
    from airflow_mlsecops.cli.requests import told

    document = {
        "signed": True,
        "decision": decision.value,
        "person": signed.person,
        "signer": signed.evidence.signer,
        "reason": reason,
        "evidence": signed.evidence.digest,
        "counts": signed.counts,
        "shown": [row.to_dict() for row in rows],
        **told(case),
    }
    style = Style.GOOD if decision.value == "approved" else Style.BAD
    lines: list[Line] = [
        [Styled(decision.value.upper(), style), f"  {case.asked.about} sha256:{case.asked.about.identity.digest}"],
        f"  by        {signed.person}, signed with {signed.evidence.signer}: {reason}",
        f"  request   {case.asked.digest}",
        f"  evidence  {signed.evidence.digest}",
    ]
    if not signed.counts:
        lines.append(Styled("It counts once the gate that waits has entered it into the evidence log.", Style.LOUD))
    return Answer(ExitCode.YES, document, lines)


COMMAND = Command(
    path=("approve",),
    summary="approve or reject with your own key what a gate asks",
    usage=(
        "REQUEST --store ROOT --trust FILE --signer URI [--reject] [--reason TEXT] [--yes]\n"
        "                        [--passphrase-env VAR | --passphrase-file FILE]"
    ),
    description=(
        "Verify a request and all evidence that it names on this machine, show what changed, what every control said\n"
        "and what is missing, ask, and put the answer, signed with your own key, into the evidence store, where the\n"
        "gate that waits finds it. It is about exactly these bytes and this request.\n\n"
        "Refused is what wouldn't count: a request that is unknown, expired or decided; a person who triggered the\n"
        "run, signed the artifact or isn't asked; a key that the trust policy gives to nobody; evidence that doesn't\n"
        f"hold any more. The passphrase of a key comes from {PASSPHRASE_VARIABLE}, an option, or the terminal."
    ),
    configure=_configure,
    run=_run,
)
