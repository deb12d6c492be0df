"""``mlsecops log reindex``: make the log's index anew."""

from __future__ import annotations

import argparse

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.log_options import LOG_USAGE, add_log_options, log_trust
from airflow_mlsecops.cli.output import Answer


def _run(args: argparse.Namespace) -> Answer:
    trust = log_trust(args)
    store = places.open_evidence(needed(args, "store"))
    checkpoint = store.rebuild_log_index(trust)
    document = {"store": str(store), "checkpoint": {"size": checkpoint.size, "root": checkpoint.root.hex()}}
    return Answer(ExitCode.YES, document, [f"the index knows where the {checkpoint.size} entries of the log are"])


COMMAND = Command(
    path=("log", "reindex"),
    summary="make the log's index anew",
    usage=LOG_USAGE,
    description=(
        "Note anew where each entry of the log is, after a restore or when somebody deleted or changed the notes.\n"
        "They are only a hint: nothing that is proved depends on them, but without one a proof isn't found, and\n"
        "what can't be proved counts as not logged. Entries that aren't those of the signed checkpoint are a NO.\n"
        "Needs the right to write to the store, and no key."
    ),
    configure=add_log_options,
    run=_run,
)
