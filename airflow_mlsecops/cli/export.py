"""``mlsecops export``: all evidence about a release in one file, for those who can't reach the store."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, UsageError, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.core.artifact import Kind

if TYPE_CHECKING:
    from airflow_mlsecops.core.export import Export
    from airflow_mlsecops.core.log import LogTrust


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "release", metavar="RELEASE", help="the released model: a path, file:///path, s3://…, or its SHA-256"
    )
    parser.add_argument("--output", metavar="FILE", required=True, help="the archive to write; must not exist")
    add_setting(parser, "store")
    add_setting(parser, "trust")
    add_setting(parser, "policy")
    parser.add_argument(
        "--every-blob", action="store_true", help="also the rows that controls listed: they tell about the data"
    )
    parser.add_argument(
        "--log-origin", metavar="NAME", help="name of the store's evidence log, if the trust policy names none"
    )
    parser.add_argument("--log-key", metavar="PEM", help="the log's public key")


def _run(args: argparse.Namespace) -> Answer:
    """Files first, because they are quick to be found wrong; then hash; then verify; then write."""
    from airflow_mlsecops.core.clock import utcnow
    from airflow_mlsecops.core.digest import parse_sha256
    from airflow_mlsecops.core.export import Documents, collect, pin_of_release, write_export
    from airflow_mlsecops.core.loading import NotVerifiedError
    from airflow_mlsecops.core.pinning import pin
    from airflow_mlsecops.core.policy.release_policy import policy_file
    from airflow_mlsecops.core.trust_sections import files_beside

    trust_path = needed(args, "trust")
    policy, read_policy = policy_file(needed(args, "policy").removeprefix("file://"))
    documents = Documents(
        places.read_document(trust_path, "trust"),
        policy,
        files_beside(Path(trust_path.removeprefix("file://"))),
        read_policy,
    )
    store = places.open_evidence(needed(args, "store"))
    log = _log(args)
    if places.DIGEST.match(args.release):
        trust, digest = documents.trust_policy(), parse_sha256(args.release.removeprefix("sha256:"))
        pinned = pin_of_release(digest, store, trust, utcnow())
    else:
        pinned = pin(args.release, kind=Kind.MODEL, access=places.access())
    try:
        export = collect(pinned, store, documents, utcnow(), log=log, every_blob=args.every_blob)
    except NotVerifiedError as error:
        reasons = [{"code": reason.code, "text": reason.text} for reason in error.reasons]
        told = f"  {pinned.artifact.name} is not released; nothing was written"
        lines: list[Line] = [[Styled("NO", Style.BAD), told]]
        lines += [f"  {reason}" for reason in error.reasons]
        return Answer(ExitCode.NO, {"exported": False, "reasons": reasons}, lines)
    written = write_export(export, Path(args.output))
    document = {
        "exported": True,
        "file": args.output,
        "sha256": written,
        "artifact": pinned.artifact.to_dict(),
        "files": len(export.files),
        "missing": list(export.missing),
    }
    return Answer(ExitCode.YES, document, _lines(export, args.output, written))


def _lines(export: Export, path: str, digest: str) -> list[Line]:
    bundles = sum(name.startswith("bundles/") for name in export.files)
    lines: list[Line] = [
        f"export   {path}",
        f"sha256   {digest}",
        f"about    {export.verification.artifact}",
        f"holds    {bundles} bundles, {len(export.files)} files; README.txt says how to verify them",
    ]
    if export.missing:
        lines.append(Styled(f"no longer in the store: {', '.join(export.missing)}", Style.LOUD))
    return lines


def _log(args: argparse.Namespace) -> LogTrust | None:
    from airflow_mlsecops.core.log import LogTrust
    from airflow_mlsecops.core.signing import PublicKey

    if (args.log_origin is None) != (args.log_key is None):
        raise UsageError("--log-origin and --log-key come together", "give both, or neither")
    if args.log_key is None:
        return None
    key = PublicKey.from_pem(places.read_document(args.log_key, "log key"))
    return LogTrust(args.log_origin, (key,))


COMMAND = Command(
    path=("export",),
    summary="write all evidence about a release into one file",
    usage="RELEASE --output FILE --store ROOT --trust FILE --policy FILE [--every-blob]\n"
    "                       [--log-origin NAME --log-key PEM]",
    description=(
        "Verify that the model is released, and write everything that a third party needs to verify it offline\n"
        "into one tar file: every bundle about it and its data sets, manifests and reports, both policies, public\n"
        "keys, and a README.txt with the commands to verify it, also with tools that aren't ours. Equal evidence\n"
        "makes equal files, byte for byte. A NO writes nothing.\n\n"
        "`mlsecops verify MODEL --evidence FILE` reads the file as it is."
    ),
    configure=_configure,
    run=_run,
)
