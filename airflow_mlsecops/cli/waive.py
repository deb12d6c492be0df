"""``mlsecops waive``: take the risk of one unmet requirement, for one artifact, until a day."""

from __future__ import annotations

import argparse
import os
from typing import Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, UsageError, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.cli.passphrases import PASSPHRASE_VARIABLE
from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import StatementError


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="what doesn't meet it: a path or a URI")
    parser.add_argument("requirement", metavar="ID", help="id of the requirement in the release policy")
    add_setting(parser, "store")
    add_setting(parser, "trust", "; the signer must have the role 'waiver' there")
    add_setting(parser, "policy")
    parser.add_argument(
        "--signer", metavar="URI", help=f"who waives, e.g. file:key.pem; its passphrase is in {PASSPHRASE_VARIABLE}"
    )
    parser.add_argument("--reason", metavar="TEXT", help="why; it is shown with every decision")
    parser.add_argument("--until", metavar="TIME", help="until when it counts, e.g. 2026-01-31T12:00:00Z")
    parser.add_argument("--by", metavar="NAME", help="who says so; by default the signer's name in the trust policy")
    parser.add_argument(
        "--kind", choices=[kind.value for kind in Kind], default=Kind.MODEL.value, help="default: model"
    )


def _run(args: argparse.Namespace) -> Answer:
    """Everything that can be wrong is found before it is signed."""
    from airflow_mlsecops.core.clock import from_text, to_text, utcnow
    from airflow_mlsecops.core.pinning import pin
    from airflow_mlsecops.core.predicates.waiver import build
    from airflow_mlsecops.core.signing import signer_from_uri
    from airflow_mlsecops.core.waiving import waive

    now = utcnow()
    for name, why in (("reason", "why is it waived?"), ("until", "it has to end"), ("signer", "who waives?")):
        if not (getattr(args, name) or "").strip():
            raise UsageError(f"--{name} is missing: {why}", f"see `mlsecops waive --help` for --{name}")
    try:
        until = from_text(args.until)
    except StatementError as error:
        raise UsageError(f"--until: {error.message}", "write it as 2026-01-31T12:00:00Z") from error
    store, trust = places.open_evidence(needed(args, "store")), places.read_trust(needed(args, "trust"))
    policy = places.read_policy(needed(args, "policy"))
    artifact = pin(args.artifact, kind=Kind(args.kind), access=places.access()).artifact
    signer = signer_from_uri(args.signer, os.environ.get(PASSPHRASE_VARIABLE))
    statement = build(
        artifact,
        policy=policy.name,
        requirement=args.requirement,
        reason=args.reason,
        by=args.by or signer.name,
        waived_at=now,
        expires_at=until,
        run={},
    )
    evidence = waive(statement, policy, signer, store, trust, now)
    document: dict[str, Any] = {
        "waived": {"requirement": args.requirement, "policy": policy.name, "artifact": artifact.to_dict()},
        "reason": args.reason,
        "until": to_text(until),
        "signer": evidence.signer,
        "evidence": evidence.digest,
    }
    lines: list[Line] = [
        [Styled("WAIVED", Style.LOUD), f"  {args.requirement} of policy {policy.name}, for {artifact}"],
        f"  until     {to_text(until)}: {args.reason}",
        f"  signer    {evidence.signer}",
        f"  evidence  {evidence.digest}",
        "Every decision shows it until then. To take it back: mlsecops revoke evidence DIGEST.",
    ]
    return Answer(ExitCode.YES, document, lines)


COMMAND = Command(
    path=("waive",),
    summary="excuse one unmet requirement of a policy, for a while",
    usage=(
        "ARTIFACT ID --store ROOT --trust FILE --policy FILE --signer URI --reason TEXT\n"
        "                      --until TIME [--by NAME] [--kind model|dataset]"
    ),
    description=(
        "Sign that a requirement of the release policy isn't asked of exactly these bytes until a day. It counts\n"
        "only if the policy lets that requirement be waived (waivable) for so long, and stands in every decision.\n"
        "Releases that rest on it end with it. Give the role 'waiver' to keys that no pipeline can reach."
    ),
    configure=_configure,
    run=_run,
)
