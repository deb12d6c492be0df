"""``mlsecops requests``: which requests for an approval wait, and for whom."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, UsageError, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.cli.passphrases import add_passphrase_options, signing_passphrase
from airflow_mlsecops.cli.table import seconds, table

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_mlsecops.core.approving.requests import Case
    from airflow_mlsecops.core.trust import TrustPolicy


def _configure(parser: argparse.ArgumentParser) -> None:
    add_setting(parser, "store")
    add_setting(parser, "trust")
    parser.add_argument("--person", metavar="ID", help="only what waits for this person")
    parser.add_argument("--signer", metavar="URI", help="only what waits for the person whose key or identity this is")
    add_passphrase_options(parser, new_key=False)


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.approving.requests import open_requests
    from airflow_mlsecops.core.clock import utcnow

    store, trust, now = places.open_evidence(needed(args, "store")), places.read_trust(needed(args, "trust")), utcnow()
    me = _me(args, trust, now)
    cases, found = open_requests(store, trust, now)
    if me is not None:
        cases = [case for case in cases if case.waits_for(*me, now)]
    not_counted = [{"key": no.key, "code": no.code, "reason": no.reason} for no in (*found.refused, *found.broken)]
    document: dict[str, Any] = {
        "person": me[0] if me is not None else None,
        "requests": [told(case) for case in cases],
        "not_counted": not_counted,
    }
    whom = f" for {me[0]}" if me is not None else ""
    lines: list[Line] = [f"requests that wait{whom}: {len(cases)}"]
    if cases:
        lines += table(("UNTIL", "ARTIFACT", "APPROVED", "LEVEL", "ASKED BY", "REQUEST"), list(map(_row, cases)))
        lines.append("To answer with your own key: mlsecops approve REQUEST …")
    if not_counted:
        lines += ["", Styled(f"in the store, but not counted: {len(not_counted)}", Style.LOUD)]
        lines += [f"  {row['key']}: [{row['code']}] {row['reason']}" for row in not_counted]
    return Answer(ExitCode.NO if found.broken else ExitCode.YES, document, lines)


def told(case: Case) -> dict[str, Any]:
    """A request and where it stands, JSON-able."""
    from airflow_mlsecops.core.clock import to_text

    asked, said = case.asked, case.asked.said
    return {
        "request": asked.digest,
        "artifact": {"name": asked.about.name, **asked.about.identity._asdict()},
        "signer": asked.signer,
        "run": dict(asked.run),
        "triggered_by": said.triggered_by,
        "requested_at": to_text(said.requested_at),
        "expires_at": to_text(said.expires_at),
        "approvers": list(said.approvers),
        "excluded": list(said.excluded),
        "quorum": said.quorum,
        "level": said.level.value,
        "approved_by": [each.said.approver for each in case.standing.counted],
        "missing": list(said.missing),
        "changes": list(said.changes),
    }


def _me(args: argparse.Namespace, trust: TrustPolicy, now: datetime) -> tuple[str, str] | None:
    """The person, and the name of the person's key; None for everybody."""
    if args.person is not None and args.signer is not None:
        raise UsageError("--person and --signer", "give one of them")
    if args.person is not None:
        if not args.person.strip():
            raise UsageError("--person is given, but empty", "give an id, or leave it out")
        return args.person, ""
    if args.signer is None:
        return None
    from airflow_mlsecops.core.approving.sign import own_key
    from airflow_mlsecops.core.signing import signer_from_uri

    known = own_key(signer_from_uri(args.signer, signing_passphrase(args)), trust, now)
    return known.person, known.name


def _row(case: Case) -> tuple[str, ...]:
    row = told(case)
    by = f"{row['run'].get('dag_id', '?')}, by {row['triggered_by']}"
    approved = f"{len(row['approved_by'])} of {row['quorum']}"
    return seconds(row["expires_at"]), str(case.asked.about), approved, row["level"], by, row["request"]


COMMAND = Command(
    path=("requests",),
    summary="list the requests for an approval that wait",
    usage="--store ROOT --trust FILE [--person ID | --signer URI]\n"
    "                         [--passphrase-env VAR | --passphrase-file FILE]",
    description=(
        "List the signed requests that can still be answered: they verify, haven't expired, nobody rejected, and not\n"
        "enough people approved. With --person or --signer, only those that this person is asked and hasn't answered.\n"
        "Exit 1 if a request was changed or taken out of the store."
    ),
    configure=_configure,
    run=_run,
)
