"""``mlsecops oms verify``: are these files exactly the signed files, and did somebody trusted sign them?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, UsageError
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import ConfigurationError, MlsecopsError, TrustError

if TYPE_CHECKING:
    from airflow_mlsecops.core.oms import OmsTrust, OmsVerification

_WAYS = "give --key, or --certificate-roots, or --sigstore with --identity and --issuer"


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a path, file:///path, s3://bucket/key or s3://bucket/prefix/")
    parser.add_argument("--signature", metavar="FILE", help="by default model.sig in a folder, NAME.sig beside a file")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--key", metavar="PEM", help="signed with this key's private half")
    way.add_argument("--certificate-roots", metavar="PEM", help="signed with a certificate that leads to one of these")
    way.add_argument("--sigstore", metavar="FILE", help="signed keyless: the trusted root of the Sigstore instance")
    parser.add_argument(
        "--certificate-name", metavar="NAME", action="append", help="whose certificate; may stand several times"
    )
    parser.add_argument("--identity", metavar="ID", help="keyless: who signed, exactly")
    parser.add_argument("--issuer", metavar="URL", help="keyless: who vouches for that identity")
    parser.add_argument(
        "--ignore", metavar="NAME", action="append", default=[], help="a file or folder that may be there unsigned"
    )
    parser.add_argument("--name", metavar="NAME", default="", help="what the model has to be called in the signature")


def _run(args: argparse.Namespace) -> Answer:
    """Trust first, because it is quick to be found wrong; then hash; then verify."""
    from airflow_mlsecops.core.clock import utcnow
    from airflow_mlsecops.core.oms import published_oms, verify_oms
    from airflow_mlsecops.core.pinning import pin

    trust = _trust(args)
    bundle = _bytes(args.signature, "signature") if args.signature is not None else None
    access = places.access()
    pinned = pin(args.model, kind=Kind.MODEL, access=access, every_file=True)
    try:
        if bundle is None:
            bundle = published_oms(pinned.artifact, access)
        found = verify_oms(bundle, pinned, trust=trust, at=utcnow(), ignore=args.ignore, name=args.name)
    except MlsecopsError as error:
        if error.transient or isinstance(error, ConfigurationError):
            raise
        return _no(error, pinned.artifact.uri)
    document = {
        "verified": True,
        "name": found.name,
        "method": found.method.value,
        "signer": found.signer,
        "files": len(found.manifest.entries),
        "ignored": list(found.ignored),
        "model": pinned.artifact.uri,
    }
    return Answer(ExitCode.YES, document, _lines(found, pinned.artifact.uri))


def _no(error: MlsecopsError, uri: str) -> Answer:
    """Whatever is wrong with files that were hashed and a signature that was read is a NO."""
    document = {
        "verified": False,
        "model": uri,
        "reason": {"code": error.code, "message": error.message, "advice": error.advice},
    }
    lines: list[Line] = [[Styled("NO", Style.BAD), f"  {uri}"], f"  [{error.code}] {error.message}"]
    return Answer(ExitCode.NO, document, [*lines, f"  -> {error.advice}"] if error.advice else lines)


def _lines(found: OmsVerification, uri: str) -> list[Line]:
    lines: list[Line] = [
        [Styled("YES", Style.GOOD), f"  model {found.name}: these are exactly the signed files"],
        f"  signer   {found.signer} (by {found.method})",
        f"  files    {len(found.manifest.entries)}, {found.manifest.size} bytes, {uri}",
    ]
    if found.ignored:
        lines.append(Styled(f"  unsigned, and ignored as asked: {', '.join(found.ignored)}", Style.LOUD))
    return lines


def _trust(args: argparse.Namespace) -> OmsTrust:
    from airflow_mlsecops.core.oms import CertificateTrust, keyless_verifier
    from airflow_mlsecops.core.signing import PublicKey

    keyless = args.sigstore is not None
    if keyless != (args.identity is not None) or keyless != (args.issuer is not None):
        raise UsageError("--sigstore, --identity and --issuer come together", _WAYS)
    if args.certificate_name and args.certificate_roots is None:
        raise UsageError("--certificate-name goes with --certificate-roots", _WAYS)
    if args.key is not None:
        return PublicKey.from_pem(_bytes(args.key, "public key"))
    if args.certificate_roots is not None:
        return CertificateTrust.from_pem(_bytes(args.certificate_roots, "roots"), args.certificate_name or ())
    if not keyless:
        raise UsageError("nobody is trusted", _WAYS)
    from airflow_mlsecops.core.oms.keyless import need_sigstore

    need_sigstore()
    from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot
    from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity

    root = SigstoreRoot.from_bytes(_bytes(args.sigstore, "trusted root"))
    return keyless_verifier(root, [KeylessIdentity(args.identity, args.issuer)])


def _bytes(path: str, what: str) -> bytes:
    from airflow_mlsecops.core.oms.bundle import MAX_BUNDLE_BYTES

    try:
        with Path(path.removeprefix("file://")).open("rb") as stream:
            return stream.read(MAX_BUNDLE_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise TrustError(f"the {what} {path} can't be read: {why}", "check the path") from error


COMMAND = Command(
    path=("oms", "verify"),
    summary="verify a model against an OMS v1.0 signature",
    usage="MODEL [--key PEM | --certificate-roots PEM | --sigstore FILE --identity ID --issuer URL]\n"
    "                           [--certificate-name NAME]… [--signature FILE] [--ignore NAME]… [--name NAME]",
    description=(
        "Hash the model, and answer YES (exit 0) if its files are exactly those that the signature lists and\n"
        "somebody trusted signed it; otherwise NO (exit 1) with the reason. It needs no network.\n\n"
        "It is stricter than model_signing: unsigned files count unless --ignore names them, whatever the\n"
        "signature says; so do expired certificates, links, names that stand twice, and foreign log entries.\n"
        "Whether the model was checked, approved and released, a model.sig doesn't say: see verify."
    ),
    configure=_configure,
    run=_run,
)
