"""``mlsecops log verify``: was anything removed, reordered or rewritten?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.files import write_file
from airflow_mlsecops.cli.log_options import LOG_USAGE, add_log_options, log_trust, read_file
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_mlsecops.core.log import Checkpoint, LogTrust, LogVerification


def _configure(parser: argparse.ArgumentParser) -> None:
    add_log_options(parser)
    parser.add_argument("--since", metavar="FILE", help="a checkpoint that was kept: the log must have grown from it")
    parser.add_argument("--save", metavar="FILE", help="after a YES, keep the checkpoint there, for the next --since")


def _run(args: argparse.Namespace) -> Answer:
    trust = log_trust(args)
    since = None if args.since is None else _since(args.since, trust)
    store = places.open_evidence(needed(args, "store"))
    found = store.verify_log(trust, since)
    saved = bool(found) and args.save is not None
    if saved and found.checkpoint is not None:
        write_file(args.save, found.checkpoint.raw)
    document = {
        "verified": bool(found),
        "store": str(store),
        "origin": trust.origin,
        "since": _told(since),
        "checkpoint": _told(found.checkpoint),
        "saved": args.save if saved else None,
        "faults": [
            {"code": fault.code, "where": fault.where, "entry": fault.entry, "message": fault.message}
            for fault in found.faults
        ],
        "missing": [{"entry": entry, "key": key} for entry, key in found.missing],
        "unlogged": list(found.unlogged),
        "unpublished": found.unpublished,
        "queued": found.queued,
        "cut": found.cut,
    }
    return Answer(ExitCode.YES if found else ExitCode.NO, document, _lines(found, document))


def _since(path: str, trust: LogTrust) -> Checkpoint:
    from airflow_mlsecops.core.log import Checkpoint
    from airflow_mlsecops.core.log.errors import LogSignatureError

    try:
        return Checkpoint.parse(read_file(path, "checkpoint"), trust)
    except LogSignatureError as error:
        raise ConfigurationError(f"{path} holds no checkpoint of this log: {error.message}", "give another") from error


def _told(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    return None if checkpoint is None else {"size": checkpoint.size, "root": checkpoint.root.hex()}


def _lines(found: LogVerification, document: dict[str, Any]) -> list[Line]:
    word = Styled("YES", Style.GOOD) if found else Styled("NO", Style.BAD)
    lines: list[Line] = [[word, f"  evidence log {document['origin']}: is it whole?"]]
    for name in ("since", "checkpoint"):
        told = document[name]
        if told is not None:
            lines.append(f"  {name:<10} {told['size']} entries, root {told['root']}")
    if found.checkpoint is None:
        lines.append(Styled("  nothing is published here: nothing was ever logged, or all of it is gone", Style.LOUD))
    elif document["since"] is None:
        text = "  Without --since nobody can tell whether an old state was put back, or all of it replaced."
        lines.append(Styled(text, Style.LOUD))
    if document["saved"]:
        lines.append(f"  saved      {document['saved']}")
    if found.unpublished or found.queued:
        lines.append(f"  on its way {found.unpublished} entries unpublished, {found.queued} announcements waiting")
    lines += [["  ", Styled("no ", Style.BAD), f"  {fault}"] for fault in found.faults]
    lines += [["  ", Styled("no ", Style.BAD), f"  [missing] entry {at}: {key} is gone"] for at, key in found.missing]
    lines += [["  ", Styled("no ", Style.BAD), f"  [unlogged] {key} isn't in the log"] for key in found.unlogged]
    if found.cut:
        lines.append(Styled("  there is more; a list was cut", Style.LOUD))
    return lines


COMMAND = Command(
    path=("log", "verify"),
    summary="say whether anything was removed, reordered or rewritten",
    usage=f"{LOG_USAGE} [--since FILE] [--save FILE]",
    description=(
        "Read the whole evidence log and compare it with its signed checkpoint and with the store: every tile,\n"
        "every entry, every bundle. The answer is YES (exit 0), or NO (exit 1) and what is wrong: which object,\n"
        "which entry.\n\n"
        "Keep the checkpoint (--save) where those who write to the store can't reach it, and give it the next\n"
        "time (--since): only then a log that was rolled back, forked or made anew is noticed."
    ),
    configure=_configure,
    run=_run,
)
