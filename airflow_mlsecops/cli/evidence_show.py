"""``mlsecops evidence show``: one statement."""

from __future__ import annotations

import argparse
import json

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, UsageError, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.cli.table import seconds, unverified_warning
from airflow_mlsecops.core.errors import EvidenceBrokenError


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("digest", metavar="DIGEST", help="SHA-256 of the bundle, as `evidence list` prints it")
    add_setting(parser, "store")
    add_setting(parser, "trust", "; without it nothing is verified")
    parser.add_argument("--raw", action="store_true", help="print the bundle's exact bytes (not with --json)")


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.cli.evidence_rows import claimed_signer, digest_argument, optional_trust, row_of
    from airflow_mlsecops.core.canonical import strict_json
    from airflow_mlsecops.core.clock import utcnow
    from airflow_mlsecops.core.evidence import collect

    if args.raw and args.json:
        raise UsageError("--raw and --json exclude each other", "--raw prints the bundle, which is JSON already")
    digest, trust = digest_argument(args.digest), optional_trust(args)
    store = places.open_evidence(needed(args, "store"))
    found = store.get(digest)
    if found.bundle is None:
        raise EvidenceBrokenError(f"{found.key}: {found.broken}", "restore it, and find out who wrote to the store")
    subject = found.key.split("/")[1]
    judged = collect(store, subject, trust, utcnow()) if trust is not None else None
    row, statement = row_of(found, trust, judged), found.bundle.statement
    code = ExitCode.NO if row.counts is False else ExitCode.YES
    content = strict_json(statement.payload, "statement")
    document = row.to_dict() | {
        "store": str(store),
        "verified": trust is not None,
        "predicate_type": statement.predicate_type,
        "key_hint": found.bundle.key_hint,
        "claimed_signer": claimed_signer(found.bundle),
        "statement": content,
    }
    if args.raw:
        return Answer(code, document, raw=found.bundle.raw, notes=[] if row.counts else [["evidence: ", row.judgement]])
    lines: list[Line] = [] if trust else unverified_warning()
    lines += [
        [Styled(f"{row.predicate}: {row.says}", Style.HEAD)],
        f"  digest     {digest}",
        f"  lies at    {found.key} in {store}",
        f"  predicate  {statement.predicate_type}",
        *(f"  about      {name} sha256:{sha256}" for name, sha256 in statement.subjects),
        f"  time       {seconds(row.time)}",
        ["  signer     ", row.signer, ": ", row.judgement],
        "",
        *json.dumps(content["predicate"], indent=2, ensure_ascii=False).split("\n"),
    ]
    return Answer(code, document, lines)


COMMAND = Command(
    path=("evidence", "show"),
    summary="show one statement",
    usage="DIGEST --store ROOT [--trust FILE] [--raw]",
    description=(
        "Show one statement: what it is about, who signed it, what it says. With --trust its signature is\n"
        "checked, and the exit code is 1 if it doesn't count. --raw prints the Sigstore bundle byte for byte,\n"
        "so that other tools can verify it."
    ),
    configure=_configure,
    run=_run,
)
