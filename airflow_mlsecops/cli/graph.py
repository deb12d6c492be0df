"""``mlsecops graph``: what was made from what."""

from __future__ import annotations

import argparse

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="path, URI or SHA-256 of a dataset or model")
    add_setting(parser, "store")
    add_setting(parser, "trust")
    parser.add_argument(
        "--direction",
        choices=("sources", "uses", "both"),
        default="both",
        help="what it was made from, what was made from it, or both (default)",
    )
    parser.add_argument("--svg", action="store_true", help="print a picture (SVG) instead of text")


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.clock import utcnow
    from airflow_mlsecops.core.graph import Direction, as_svg, as_text, walk

    store, trust = places.open_evidence(needed(args, "store")), places.read_trust(needed(args, "trust"))
    digest = places.digest_of(args.artifact)
    graph = walk(store, trust, utcnow(), digest, Direction(args.direction))
    known = bool(graph.nodes[digest].facts or graph.edges)
    code = ExitCode.YES if known else ExitCode.NO
    raw = as_svg(graph).encode() if args.svg else None
    lines = as_text(graph) if known else [f"nothing that counts is known of sha256:{digest}"]
    return Answer(code, graph.to_dict(), lines, raw=raw)


COMMAND = Command(
    path=("graph",),
    summary="show what an artifact was made from, and what was made from it",
    usage="ARTIFACT --store ROOT --trust FILE [--direction sources|uses|both] [--svg]",
    description=(
        "Follow verified provenance both ways: from a model to its data sets, code and decisions; from a data\n"
        "set to every model that was trained on it, directly or through others: its blast radius. What isn't\n"
        "signed by somebody with the role 'provenance' makes no edge."
    ),
    configure=_configure,
    run=_run,
)
