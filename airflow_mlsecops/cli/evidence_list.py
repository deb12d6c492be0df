"""``mlsecops evidence list``: what the store holds."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.cli.table import seconds, table, unverified_warning

if TYPE_CHECKING:
    from airflow_mlsecops.cli.evidence_rows import Row
    from airflow_mlsecops.core.store import EvidenceStore
    from airflow_mlsecops.core.trust import TrustPolicy

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "subject", metavar="ARTIFACT", nargs="?", help="path, URI or SHA-256 of a dataset or model; without it, all"
    )
    add_setting(parser, "store")
    add_setting(parser, "trust", "; without it nothing is verified")


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.cli.evidence_rows import optional_trust

    trust = optional_trust(args)
    store = places.open_evidence(needed(args, "store"))
    if args.subject is None:
        return _subjects(store, trust)
    return _statements(store, places.digest_of(args.subject), trust)


def _rows(store: EvidenceStore, subject: str, trust: TrustPolicy | None) -> list[Row]:
    from airflow_mlsecops.cli.evidence_rows import row_of
    from airflow_mlsecops.core.clock import utcnow
    from airflow_mlsecops.core.evidence import collect

    judged = collect(store, subject, trust, utcnow()) if trust is not None else None
    rows = [row_of(found, trust, judged) for found in store.find(subject)]
    return sorted(rows, key=lambda row: (row.time, row.found.digest))


def _statements(store: EvidenceStore, subject: str, trust: TrustPolicy | None) -> Answer:
    rows = _rows(store, subject, trust)
    document = {
        "store": str(store),
        "subject": subject,
        "verified": trust is not None,
        "statements": [row.to_dict() for row in rows],
    }
    lines: list[Line] = [] if trust else unverified_warning()
    lines += [f"{store}", f"about sha256:{subject}", ""]
    if not rows:
        return Answer(ExitCode.YES, document, [*lines, "no evidence about it"])
    cells = [(seconds(row.time), row.predicate, _says(row), row.signer, _word(row), row.found.digest) for row in rows]
    lines += table(("TIME", "PREDICATE", "SAYS", "SIGNER", "COUNTS", "DIGEST"), cells)
    lines += [f"  {row.found.digest[:16]}… {_no(row)}: {row.why_not}" for row in rows if row.why_not]
    return Answer(ExitCode.YES, document, lines)


def _subjects(store: EvidenceStore, trust: TrustPolicy | None) -> Answer:
    found: list[dict[str, Any]] = []
    for subject in store.subjects():
        # Whoever can write to the store can make folders in it; one with another name is no subject.
        rows = _rows(store, subject, trust) if _DIGEST.match(subject) else []
        bundles = [row.found.bundle for row in rows if row.found.bundle and (trust is None or row.counts)]
        names = {name for bundle in bundles for name, digest in bundle.statement.subjects if digest == subject}
        found.append(
            {
                "sha256": subject,
                "names": sorted(names),
                "statements": len(rows),
                "counting": None if trust is None else sum(row.counts is True for row in rows),
                "broken": sum(row.found.bundle is None for row in rows),
            }
        )
    document = {"store": str(store), "verified": trust is not None, "subjects": found}
    lines: list[Line] = [] if trust else unverified_warning()
    lines += [f"{store}", ""]
    if not found:
        return Answer(ExitCode.YES, document, [*lines, "it holds no evidence"])
    cells = [(", ".join(item["names"]) or "?", str(item["statements"]), *_counts(item)) for item in found]
    return Answer(
        ExitCode.YES, document, [*lines, *table(("NAME", "STATEMENTS", "COUNTING", "BROKEN", "SHA256"), cells)]
    )


def _counts(item: dict[str, Any]) -> tuple[Styled, Styled, str]:
    counting, broken, sha256 = item["counting"], item["broken"], item["sha256"]
    verified = (
        Styled("not verified", Style.LOUD)
        if counting is None
        else Styled(str(counting), Style.GOOD if counting == item["statements"] else Style.BAD)
    )
    return verified, Styled(str(broken), Style.BAD if broken else Style.DIM), sha256


def _says(row: Row) -> str | Styled:
    return Styled(row.says, Style.BAD) if row.found.bundle is None else row.says


def _word(row: Row) -> Styled:
    return row.judgement if row.counts is not False else Styled("NO", Style.BAD)


def _no(row: Row) -> str:
    return "is broken" if row.found.bundle is None else "doesn't count"


COMMAND = Command(
    path=("evidence", "list"),
    summary="list the artifacts in a store, or the statements about one",
    usage="[ARTIFACT] --store ROOT [--trust FILE]",
    description=(
        "Without ARTIFACT: every dataset and model that the store holds evidence about. With it: every statement\n"
        "about it, with verdict or decision, signer and time. With --trust every signature is checked, and the\n"
        "list says which statements count. Without --trust nothing is verified, and the list says that."
    ),
    configure=_configure,
    run=_run,
)
