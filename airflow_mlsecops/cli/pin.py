"""``mlsecops pin``: hash an artifact as a pipeline would."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line
from airflow_mlsecops.core.artifact import Kind

if TYPE_CHECKING:
    from airflow_mlsecops.core.pinning import Pin, Reuse


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("uri", metavar="URI", help="a path, file:///path, s3://bucket/key or s3://bucket/prefix/")
    parser.add_argument("--name", metavar="NAME", default="", help="what people call it; by default its file name")
    parser.add_argument(
        "--kind", choices=[kind.value for kind in Kind], default=Kind.DATASET.value, help="default: dataset"
    )
    parser.add_argument(
        "--reuse-from", metavar="SHA256", help="take over digests from this earlier, signed pin where nothing changed"
    )
    add_setting(parser, "store", "; for --reuse-from")
    add_setting(parser, "trust", "; for --reuse-from")
    parser.add_argument("--manifest", action="store_true", help="also list every file with its SHA-256 and size")


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.pinning import pin

    reuse = _reuse(args)
    pinned = pin(args.uri, name=args.name, kind=Kind(args.kind), access=places.access(), reuse=reuse)
    document: dict[str, Any] = pinned.artifact.to_dict()
    if reuse is not None:
        document["reused"] = {"files": len(pinned.reused), "bytes": pinned.reused_bytes, "earlier": reuse.digest}
    if args.manifest:
        entries = pinned.manifest.entries
        document["manifest"] = [{"name": e.name, "size": e.size, "sha256": e.sha256} for e in entries]
    return Answer(ExitCode.YES, document, _lines(pinned, with_manifest=args.manifest))


def _reuse(args: argparse.Namespace) -> Reuse | None:
    if args.reuse_from is None:
        return None
    from airflow_mlsecops.core.clock import utcnow
    from airflow_mlsecops.core.digest import parse_sha256
    from airflow_mlsecops.core.reuse import verified_reuse

    store, trust = places.open_evidence(needed(args, "store")), places.read_trust(needed(args, "trust"))
    return verified_reuse(parse_sha256(args.reuse_from.removeprefix("sha256:")), store, trust, utcnow())


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
    if pinned.reused:
        rows.append(("reused", f"{len(pinned.reused)} files, {pinned.reused_bytes} bytes that were not read"))
    lines: list[Line] = [f"{label:<8} {value}" for label, value in rows]
    if with_manifest:
        lines += ["", *(f"{entry.sha256}  {entry.size:>12}  {entry.name}" for entry in pinned.manifest.entries)]
    return lines


COMMAND = Command(
    path=("pin",),
    summary="hash a dataset or a model, as a pipeline pins it",
    usage="URI [--name NAME] [--kind dataset|model] [--manifest]\n"
    "                    [--reuse-from SHA256 --store ROOT --trust FILE]",
    description=(
        "Hash what lies at URI now, and print its digest. Of one file it is the SHA-256 that sha256sum prints;\n"
        "of a folder or a prefix it is the SHA-256 of its manifest, which binds every file's name, size and\n"
        "SHA-256. Links, devices and names that could mean another file elsewhere are refused.\n"
        "Nothing is written, and nothing is said about who vouches for it: see verify."
    ),
    configure=_configure,
    run=_run,
)
