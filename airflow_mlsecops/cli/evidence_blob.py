"""``mlsecops evidence blob``: a manifest, a full report or a row list."""

from __future__ import annotations

import argparse
import base64
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer
from airflow_mlsecops.core.errors import EvidenceNotFoundError

if TYPE_CHECKING:
    from airflow_mlsecops.core.store import EvidenceStore


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("digest", metavar="DIGEST", help="SHA-256 of the blob, as the statements name it")
    add_setting(parser, "store")


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.cli.evidence_rows import digest_argument

    digest = digest_argument(args.digest)
    store = places.open_evidence(needed(args, "store"))
    data = _fetch(store, digest)
    document: dict[str, Any] = {"digest": digest, "size": len(data)}
    return Answer(ExitCode.YES, document | _content(data) if args.json else document, raw=data)


def _fetch(store: EvidenceStore, digest: str) -> bytes:
    try:
        return store.get_blob(digest)
    except EvidenceNotFoundError:
        # A blob that isn't there and a store that isn't there look alike to a read, but not to a listing.
        store.find(digest)
        raise


def _content(data: bytes) -> dict[str, str]:
    try:
        return {"encoding": "utf-8", "content": data.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "content": base64.b64encode(data).decode()}


COMMAND = Command(
    path=("evidence", "blob"),
    summary="print a manifest, a full report or a row list",
    usage="DIGEST --store ROOT",
    description=(
        "Print a blob that statements name by digest: the manifest of a folder, the full report of a control, the\n"
        "suspects' row ids. Its bytes are compared with the digest; no signature is needed for that. On a\n"
        "terminal unprintable characters are escaped; redirected, the bytes are exact."
    ),
    configure=_configure,
    run=_run,
)
