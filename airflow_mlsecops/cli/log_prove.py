"""``mlsecops log prove``: a proof that a piece of evidence is in the log, which anybody verifies offline."""

from __future__ import annotations

import argparse

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.files import write_file
from airflow_mlsecops.cli.log_options import LOG_USAGE, add_log_options, log_trust
from airflow_mlsecops.cli.output import Answer
from airflow_mlsecops.core.errors import EvidenceBrokenError


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("digest", metavar="DIGEST", help="SHA-256 of a bundle, as evidence list prints it")
    add_log_options(parser)
    parser.add_argument("--out", metavar="FILE", help="write the proof there instead of to standard output")


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.cli.evidence_rows import digest_argument
    from airflow_mlsecops.core.log import Entry
    from airflow_mlsecops.core.log.errors import NotLoggedError

    digest, trust = digest_argument(args.digest), log_trust(args)
    store = places.open_evidence(needed(args, "store"))
    found = store.get(digest)
    if found.bundle is None:
        raise EvidenceBrokenError(f"{found.key}: {found.broken}", "restore it; find out who wrote to the store")
    entry = Entry.of(found.bundle).encode()
    reader = store.log_reader(trust)
    checkpoint = reader.checkpoint()
    if checkpoint is None:
        raise NotLoggedError("nothing is published in the log", "is it another store's?")
    proof = reader.prove(entry, checkpoint)
    file = proof.encode()
    if args.out is not None:
        write_file(args.out, file)
    document = {
        "digest": digest,
        "entry": entry.decode(),
        "index": proof.index,
        "checkpoint": {"size": checkpoint.size, "root": checkpoint.root.hex()},
        "proof": file.decode(),
        "written": args.out,
    }
    lines = [f"entry {proof.index} of {checkpoint}", f"  {entry.decode()}", f"  proof in {args.out}"]
    return Answer(ExitCode.YES, document, lines, raw=file if args.out is None else None)


COMMAND = Command(
    path=("log", "prove"),
    summary="prove that a piece of evidence is in the log",
    usage=f"DIGEST {LOG_USAGE} [--out FILE]",
    description=(
        "Print the inclusion proof of a bundle as a tlog-proof file (https://c2sp.org/tlog-proof): its place, the\n"
        "hashes up to the root, and the signed checkpoint. It is verified before it is printed. Whoever has the\n"
        "log's public key verifies it without this store; --json also gives the entry that it proves."
    ),
    configure=_configure,
    run=_run,
)
