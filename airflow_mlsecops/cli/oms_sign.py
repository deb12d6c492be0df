"""``mlsecops oms sign``: a ``model.sig`` that ``model_signing verify`` accepts."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line
from airflow_mlsecops.cli.passphrases import add_passphrase_options, given_passphrase
from airflow_mlsecops.core.artifact import Kind

if TYPE_CHECKING:
    from airflow_mlsecops.core.oms import Published


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a path, file:///path, s3://bucket/key or s3://bucket/prefix/")
    parser.add_argument("--signer", metavar="URI", required=True, help="who signs: file:KEY.pem, or a plain path")
    parser.add_argument("--certificates", metavar="FILE", help="PEM: the key's certificate, then those up to the root")
    parser.add_argument("--name", metavar="NAME", default="", help="what a folder is called; by default its own name")
    parser.add_argument("--replace", action="store_true", help="replace whatever lies where the signature belongs")
    add_passphrase_options(parser, new_key=False)


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.oms import publish_oms, read_certificates, unsigned
    from airflow_mlsecops.core.pinning import pin
    from airflow_mlsecops.core.signing import signer_from_uri

    chain = read_certificates(args.certificates) if args.certificates is not None else ()
    signer = signer_from_uri(args.signer, given_passphrase(args))
    access = places.access()
    pinned = pin(args.model, kind=Kind.MODEL, access=access)
    if args.replace:
        pinned = unsigned(pinned)
    published = publish_oms(pinned, signer, name=args.name, certificates=chain, replace=args.replace, access=access)
    document = {
        "artifact": pinned.artifact.to_dict(),
        "signature": {"uri": published.uri, "sha256": published.digest},
        "written": published.written,
        "signer": signer.name,
    }
    return Answer(ExitCode.YES, document, _lines(published, signer.name, pinned.artifact.digest))


def _lines(published: Published, signer: str, digest: str) -> list[Line]:
    return [
        f"signature  {published.uri}" + ("" if published.written else "  (was there already)"),
        f"signer     {signer}",
        f"sha256     {digest}  (of the model, without its signature)",
    ]


COMMAND = Command(
    path=("oms", "sign"),
    summary="put an OMS v1.0 signature beside a model",
    usage="MODEL --signer URI [--certificates FILE] [--name NAME] [--replace]\n"
    "                         [--passphrase-env VAR | --passphrase-file FILE]",
    description=(
        "Sign every file of a model by its SHA-256, in the format of OpenSSF Model Signing v1.0, so that those who\n"
        "use it can run `model_signing verify`. The signature becomes model.sig in a folder, NAME.sig beside a\n"
        "file. One by the same signer over the same files is kept; anything else in its place is an error\n"
        "unless --replace is given. The key has to be an ECDSA key, the only kind that model_signing reads."
    ),
    configure=_configure,
    run=_run,
)
