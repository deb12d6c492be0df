"""``mlsecops verify``: may these bytes be used?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.cli import checkpoint_file, places
from airflow_mlsecops.cli.arguments import Command, UsageError, add_setting, needed, setting
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.files import write_file
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.cli.table import seconds, table
from airflow_mlsecops.core.artifact import Kind

if TYPE_CHECKING:
    from airflow_mlsecops.core.policy import ReleasePolicy
    from airflow_mlsecops.core.store import EvidenceStore
    from airflow_mlsecops.core.trust import TrustPolicy
    from airflow_mlsecops.core.verification import Verification

_ONLY_SIGNED = (
    "Only the signature was asked for: whether a gate released it, nobody asked. Give --policy to ask that too."
)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="a path, file:///path, s3://bucket/key or …/prefix/")
    add_setting(parser, "store")
    parser.add_argument("--evidence", metavar="FILE", help="an export, in place of the store: its evidence, no newer")
    add_setting(parser, "trust")
    add_setting(parser, "policy", "; without it only the signature is asked for")
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="remember the evidence log's state in FILE: NO if the log isn't a continuation of it any more",
    )
    parser.add_argument(
        "--kind", choices=[kind.value for kind in Kind], default=Kind.MODEL.value, help="default: model"
    )


def _run(args: argparse.Namespace) -> Answer:
    """Files first, because they are quick to be found wrong; then hash; then ask."""
    from airflow_mlsecops.core.clock import to_text, utcnow
    from airflow_mlsecops.core.pinning import pin
    from airflow_mlsecops.core.verification import verify_release, verify_signature

    policy_path = setting(args, "policy")
    store = _evidence_of(args)
    trust = places.read_trust(needed(args, "trust"))
    policy = places.read_policy(policy_path) if policy_path is not None else None
    since = _remembered(args.checkpoint, trust)
    artifact = pin(args.artifact, kind=Kind(args.kind), access=places.access()).artifact
    now = utcnow()
    if policy is None:
        answer = verify_signature(artifact, store, trust, now, since=since)
    else:
        answer = verify_release(artifact, store, trust, policy, now, since=since)
    if args.checkpoint is not None and answer.dossier.checkpoint:
        write_file(args.checkpoint, answer.dossier.checkpoint)
    document = {
        "verified": bool(answer),
        "asked": "signature" if policy is None else "release",
        "artifact": artifact.to_dict(),
        "store": str(store),
        "trust": {"sha256": trust.digest},
        "policy": None if policy is None else {"name": policy.name, "sha256": policy.digest},
        "time": to_text(now),
        "reasons": [{"code": reason.code, "text": reason.text} for reason in answer.decision.reasons],
        "satisfied": list(answer.decision.satisfied),
        "waived": list(answer.decision.waived),
        "signers": list(answer.signers),
        **_evidence(answer),
    }
    code = ExitCode.YES if answer else ExitCode.NO
    return Answer(code, document, _lines(answer, policy, document))


def _evidence_of(args: argparse.Namespace) -> EvidenceStore:
    """The export, if one is given; the environment's store is then not asked."""
    if args.evidence is None:
        return places.open_evidence(needed(args, "store"))
    if args.store is not None or not args.evidence.strip():
        raise UsageError("--evidence stands in for --store, and names a file", "give one of the two")
    return places.open_export(args.evidence)


def _remembered(path: str | None, trust: TrustPolicy) -> bytes:
    if path is None:
        return b""
    if trust.log is None:
        raise UsageError(
            "--checkpoint remembers the state of a log, and the trust policy names none", "add 'log:' to it"
        )
    return checkpoint_file.read(path)


def _evidence(answer: Verification) -> dict[str, Any]:
    """All that was read: what verified, and what didn't count."""
    from airflow_mlsecops.core.clock import to_text
    from airflow_mlsecops.core.telling import describe, told_time

    counted = set(answer.decision.evidence)
    abouts: dict[str, str] = {source.digest: str(source) for source in answer.dossier.sources}
    abouts[answer.artifact.digest] = answer.artifact.kind.value
    read: list[dict[str, Any]] = []
    not_counted: list[dict[str, Any]] = []
    for subject, evidence in answer.dossier.sets.items():
        about = abouts[subject]
        for item in evidence.verified:
            said = describe(item.statement)
            read.append(
                {
                    "digest": item.digest,
                    "about": about,
                    "subject": subject,
                    "predicate": item.slug,
                    "says": said.line,
                    "time": told_time(said),
                    "signer": item.signer,
                    "signed_with": item.signed_with,
                    "trusted_time": to_text(item.trusted_time) if item.trusted_time else None,
                    "log_place": item.place,
                    "decisive": item.digest in counted,
                }
            )
        not_counted += [
            {"digest": no.digest, "about": about, "key": no.key, "code": no.code, "reason": no.reason}
            for no in (*evidence.refused, *evidence.broken)
        ]
    read.sort(key=lambda row: (row["time"], row["digest"]))
    return {"evidence": read, "not_counted": not_counted}


def _lines(answer: Verification, policy: ReleasePolicy | None, document: dict[str, Any]) -> list[Line]:
    artifact = answer.artifact
    asked = "is it signed?" if policy is None else f"is it released under policy {policy.name}?"
    word = Styled("YES", Style.GOOD) if answer else Styled("NO", Style.BAD)
    lines: list[Line] = [
        [word, f"  {artifact.kind} {artifact.name}: {asked}"],
        f"  sha256   {artifact.digest}",
        f"  files    {artifact.files}, {artifact.size} bytes, {artifact.uri}",
    ]
    if policy is None:
        lines.insert(1, Styled(_ONLY_SIGNED, Style.LOUD))
    else:
        lines.append(f"  policy   {policy.name} sha256:{policy.digest}")
    lines.append(f"  signers  {', '.join(answer.signers) or 'none that counts'}")
    lines += ["", "why"]
    lines += [["  ", Styled("no ", Style.BAD), f"  {reason}"] for reason in answer.decision.reasons]
    lines += [["  ", Styled("yes", Style.GOOD), f"  {text}"] for text in answer.decision.satisfied]
    lines += [["  ", Styled("waived", Style.LOUD), f"  {text}"] for text in answer.decision.waived]
    rows = [
        (seconds(row["time"]), row["about"], row["says"], row["signer"], row["digest"]) for row in document["evidence"]
    ]
    lines += ["", f"evidence that was read: {len(rows)}"]
    if rows:
        lines += table(("TIME", "ABOUT", "SAYS", "SIGNER", "DIGEST"), rows)
    if document["not_counted"]:
        lines += ["", Styled(f"in the store, but not counted: {len(document['not_counted'])}", Style.LOUD)]
        lines += [f"  {row['key']}: [{row['code']}] {row['reason']}" for row in document["not_counted"]]
    return lines


COMMAND = Command(
    path=("verify",),
    summary="say whether an artifact is signed and released",
    usage=(
        "ARTIFACT [--store ROOT | --evidence FILE] --trust FILE [--policy FILE] [--checkpoint FILE]\n"
        "                       [--kind model|dataset]"
    ),
    description=(
        "Hash the artifact, read what the store holds about those bytes, check every signature against the\n"
        "trust policy, and answer YES (exit 0) or NO (exit 1) with the reasons.\n\n"
        "With --policy the question is: did a trusted gate release exactly these bytes under exactly this\n"
        "policy, and do its reasons still hold? Without it only: did somebody with the role 'sign' sign them?\n\n"
        "Keep trust policy and release policy where those who write to the store can't change them."
    ),
    configure=_configure,
    run=_run,
)
