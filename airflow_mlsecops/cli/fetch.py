"""``mlsecops fetch``: a copy of the very bytes that were verified and scanned."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, UsageError, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="MODEL", help="a path, file:///path, s3://bucket/key or …/prefix/")
    parser.add_argument("--to", metavar="PLACE", required=True, help="where the copy goes; nothing may be there yet")
    add_setting(parser, "store")
    add_setting(parser, "trust")
    add_setting(parser, "policy")


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.loading import NotVerifiedError
    from airflow_mlsecops.core.scanning.load import UnsafeModelError, open_scanned

    target = Path(args.to)
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} is there already", "name a place where nothing is")
    store = places.open_evidence(needed(args, "store"))
    trust, policy = places.read_trust(needed(args, "trust")), places.read_policy(needed(args, "policy"))
    try:
        opened = open_scanned(args.artifact, store, trust, policy, access=places.access())
    except (NotVerifiedError, UnsafeModelError) as error:
        refused: dict[str, Any] = {"fetched": None, "code": error.code, "reason": error.message}
        return Answer(ExitCode.NO, refused, [[Styled("NO", Style.BAD), f"  {error}"]])
    with opened as model:
        artifact, report, imports = model.bytes.artifact, model.report, sorted(model.imports)
        if model.path.is_dir():
            shutil.copytree(model.path, target)
        else:
            with model.path.open("rb") as source, target.open("xb") as copy:
                shutil.copyfileobj(source, copy)
    document: dict[str, Any] = {
        "fetched": str(target),
        "artifact": artifact.to_dict(),
        "scan": {"verdict": report.verdict.value, "summary": report.summary},
        "imports": imports,
    }
    lines: list[Line] = [
        [Styled("YES", Style.GOOD), f"  {artifact.kind} {artifact.name}: verified, scanned, and copied to {target}"],
        f"  sha256   {artifact.digest}",
        f"  scan     {report.verdict.value}: {report.summary}",
        f"  imports  {len(imports)}, as pinned",
    ]
    return Answer(ExitCode.YES, document, lines)


COMMAND = Command(
    path=("fetch",),
    summary="copy a model that is released, and safe to load",
    usage="MODEL --to PLACE [--store ROOT] --trust FILE --policy FILE",
    description=(
        "Copy the model while hashing it, verify the copy against the evidence, scan it, and hand the copy\n"
        "over. Whatever happens to MODEL meanwhile, the copy is what was verified and scanned. On a NO\n"
        "nothing is left at PLACE.\n\n"
        "The names that the model imports have to be those that its signed scan pinned."
    ),
    configure=_configure,
    run=_run,
)
