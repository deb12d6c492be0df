"""``mlsecops revoke``: withdraw an artifact, a piece of evidence, a key or an identity, for good."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, UsageError, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.cli.passphrases import PASSPHRASE_VARIABLE
from airflow_mlsecops.core.digest import parse_sha256
from airflow_mlsecops.core.errors import StatementError

_CAUSES = ("superseded", "retired", "compromised", "untrusted")


class _Withdrawn(NamedTuple):
    name: str
    digest: str


def _add_common(parser: argparse.ArgumentParser, cause: str) -> None:
    add_setting(parser, "store")
    add_setting(parser, "trust", "; the signer must have the role 'revoke' there")
    parser.add_argument(
        "--signer", metavar="URI", help=f"who revokes, e.g. file:key.pem; its passphrase is in {PASSPHRASE_VARIABLE}"
    )
    parser.add_argument("--reason", metavar="TEXT", help="why; whoever is told NO reads it")
    parser.add_argument("--since", metavar="TIME", help="from when on, e.g. 2026-01-31T12:00:00Z; by default now")
    parser.add_argument("--cause", choices=_CAUSES, default=cause, help=f"why, in one word; default: {cause}")
    parser.add_argument("--by", metavar="NAME", help="who says so; by default the signer's name in the trust policy")


def _configure_artifact(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="a path, a URI, or sha256:DIGEST if it is gone")
    _add_common(parser, "untrusted")


def _configure_evidence(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("digest", metavar="DIGEST", help="SHA-256 of the bundle, as `evidence list` prints it")
    _add_common(parser, "untrusted")


def _configure_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hint", metavar="HINT", help="the key's hint, or the name of a signer in the trust policy")
    _add_common(parser, "compromised")


def _configure_identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("identity", metavar="IDENTITY", help="the certificate's email address or URI")
    parser.add_argument("issuer", metavar="ISSUER", help="URL of the issuer that vouches for it")
    _add_common(parser, "compromised")


def _artifact(args: argparse.Namespace) -> _Withdrawn:
    from airflow_mlsecops.core.pinning import pin

    if args.artifact.startswith("sha256:"):
        digest = _digest(args.artifact)
        return _Withdrawn(f"sha256:{digest}", digest)
    artifact = pin(args.artifact, access=places.access()).artifact
    return _Withdrawn(artifact.name, artifact.digest)


def _evidence(args: argparse.Namespace) -> _Withdrawn:
    found = places.open_evidence(needed(args, "store")).get(_digest(args.digest))
    return _Withdrawn(found.key, found.digest)


def _key(args: argparse.Namespace) -> _Withdrawn:
    known = {signer.name: signer.signed_with for signer in places.read_trust(needed(args, "trust")).signers.values()}
    if args.hint in known:
        return _Withdrawn(args.hint, known[args.hint])
    digest = _digest(args.hint)
    return _Withdrawn(f"key {digest}", digest)


def _identity(args: argparse.Namespace) -> _Withdrawn:
    from airflow_mlsecops.core.predicates.revocation import identity_digest

    if not args.identity or not args.issuer:
        raise UsageError("an identity and its issuer come together", "name both, exactly as the certificate does")
    return _Withdrawn(f"{args.identity} (issuer {args.issuer})", identity_digest(args.identity, args.issuer))


def _digest(text: str) -> str:
    try:
        return parse_sha256(text.removeprefix("sha256:"))
    except StatementError as error:
        raise UsageError(error.message, "give 64 hex digits, as the lists print them") from error


def _run(target: str, find: Callable[[argparse.Namespace], _Withdrawn]) -> Callable[[argparse.Namespace], Answer]:
    def run(args: argparse.Namespace) -> Answer:
        return _revoke(args, target, find)

    return run


def _revoke(args: argparse.Namespace, target: str, find: Callable[[argparse.Namespace], _Withdrawn]) -> Answer:
    """Everything that can be wrong is found before it is signed: a revocation stays."""
    from airflow_mlsecops.core.clock import from_text, to_text, utcnow
    from airflow_mlsecops.core.predicates.revocation import Cause, Target, build
    from airflow_mlsecops.core.revoking import revoke
    from airflow_mlsecops.core.signing import signer_from_uri

    now = utcnow()
    if not (args.reason or "").strip():
        raise UsageError("--reason is missing: why is it withdrawn?", "whoever is told NO will read it")
    if not args.signer:
        raise UsageError("--signer is missing: who revokes?", "e.g. --signer file:revoker.pem")
    try:
        since = from_text(args.since) if args.since is not None else now
    except StatementError as error:
        raise UsageError(f"--since: {error.message}", "write it as 2026-01-31T12:00:00Z") from error
    store, trust = places.open_evidence(needed(args, "store")), places.read_trust(needed(args, "trust"))
    withdrawn = find(args)
    signer = signer_from_uri(args.signer, os.environ.get(PASSPHRASE_VARIABLE))
    statement = build(
        Target(target),
        withdrawn.name,
        withdrawn.digest,
        cause=Cause(args.cause),
        reason=args.reason,
        since=since,
        by=args.by or signer.name,
        revoked_at=now,
        run={},
    )
    evidence = revoke(statement, signer, store, trust, now)
    document: dict[str, Any] = {
        "revoked": {"type": target, "name": withdrawn.name, "sha256": withdrawn.digest},
        "cause": args.cause,
        "reason": args.reason,
        "since": to_text(since),
        "signer": evidence.signer,
        "evidence": evidence.digest,
    }
    lines: list[Line] = [
        [Styled("REVOKED", Style.BAD), f"  {target} {withdrawn.name}"],
        f"  sha256    {withdrawn.digest}",
        f"  since     {to_text(since)}, {args.cause}: {args.reason}",
        f"  signer    {evidence.signer}",
        f"  evidence  {evidence.digest}",
        "Every verification says so from now on. It can't be taken back.",
    ]
    return Answer(ExitCode.YES, document, lines)


_OPTIONS = (
    "--store ROOT --trust FILE --signer URI --reason TEXT\n"
    "                              [--since TIME] [--cause CAUSE] [--by NAME]"
)


def _command(
    target: str,
    argument: str,
    summary: str,
    description: str,
    configure: Callable[[argparse.ArgumentParser], None],
    find: Callable[[argparse.Namespace], _Withdrawn],
) -> Command:
    text = (
        f"{description}\n\nA revocation is a signed statement in the evidence store. It can't be taken back: what was\n"
        "withdrawn by mistake is made, checked and signed again. Give the role 'revoke' to a key that no pipeline\n"
        "can reach."
    )
    return Command(("revoke", target), summary, f"{argument} {_OPTIONS}", text, configure, _run(target, find))


COMMANDS = (
    _command(
        "artifact",
        "ARTIFACT",
        "withdraw a data set or a model",
        "Withdraw exactly these bytes, as a data set and as a model: every later verification says NO.",
        _configure_artifact,
        _artifact,
    ),
    _command(
        "evidence",
        "DIGEST",
        "withdraw one statement",
        "Withdraw one statement: it no longer speaks for anything. What it says against something still counts.",
        _configure_evidence,
        _evidence,
    ),
    _command(
        "key",
        "HINT",
        "withdraw a key",
        "Withdraw a key. Of one that was superseded or retired, what was signed before --since still counts; of one\n"
        "that was compromised, only what somebody else than the signer dates before --since.",
        _configure_key,
        _key,
    ),
    _command(
        "identity",
        "IDENTITY ISSUER",
        "withdraw a keyless identity",
        "Withdraw an identity that signs with certificates, as `revoke key` withdraws a key.",
        _configure_identity,
        _identity,
    ),
)
