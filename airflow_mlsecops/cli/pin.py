"""``mlsecops pin``: hash an artifact as a pipeline would."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line
from airflow_mlsecops.core.artifact import Kind

if TYPE_CHECKING:
    from airflow_mlsecops.core.pinning import Pin


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("uri", metavar="URI", help="a path, file:///path, s3://bucket/key or s3://bucket/prefix/")
    parser.add_argument("--name", metavar="NAME", default="", help="what people call it; by default its file name")
    parser.add_argument(
        "--kind", choices=[kind.value for kind in Kind], default=Kind.DATASET.value, help="default: dataset"
    )
    parser.add_argument("--manifest", action="store_true", help="also list every file with its SHA-256 and size")


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.pinning import pin

    pinned = pin(args.uri, name=args.name, kind=Kind(args.kind), access=places.access())
    document = pinned.artifact.to_dict()
    if args.manifest:
        entries = pinned.manifest.entries
        document["manifest"] = [{"name": e.name, "size": e.size, "sha256": e.sha256} for e in entries]
    return Answer(ExitCode.YES, document, _lines(pinned, with_manifest=args.manifest))


def _lines(pinned: Pin, *, with_manifest: bool) -> list[Line]:
    artifact = pinned.artifact
    rows: list[tuple[str, str]] = [
        ("kind", artifact.kind.value),
        ("name", artifact.name),
        ("uri", artifact.uri),
        ("form", artifact.form.value),
        ("size", f"{artifact.size} bytes"),
        ("files", str(artifact.files)),
        ("sha256", artifact.digest),
    ]
    if artifact.version:
        rows.append(("version", artifact.version))
    lines: list[Line] = [f"{label:<8} {value}" for label, value in rows]
    if with_manifest:
        lines += ["", *(f"{entry.sha256}  {entry.size:>12}  {entry.name}" for entry in pinned.manifest.entries)]
    return lines


COMMAND = Command(
    path=("pin",),
    summary="hash a dataset or a model, as a pipeline pins it",
    usage="URI [--name NAME] [--kind dataset|model] [--manifest]",
    description=(
        "Hash what lies at URI now, and print its digest. Of one file it is the SHA-256 that sha256sum prints;\n"
        "of a folder or a prefix it is the SHA-256 of its manifest, which binds every file's name, size and\n"
        "SHA-256. Links, devices and names that could mean another file elsewhere are refused.\n"
        "Nothing is written, and nothing is said about who vouches for it: see verify."
    ),
    configure=_configure,
    run=_run,
)
