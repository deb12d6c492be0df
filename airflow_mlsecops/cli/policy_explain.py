"""``mlsecops policy explain``: what a policy demands and, of a model, what it still lacks."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.core.artifact import Kind

if TYPE_CHECKING:
    from airflow_mlsecops.core.policy import ReleasePolicy


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("policy_file", metavar="POLICY", help="a path, or mlsecops:production and other shipped ones")
    parser.add_argument("artifact", metavar="ARTIFACT", nargs="?", help="a model: a path or a URI")
    add_setting(parser, "store")
    add_setting(parser, "trust")
    parser.add_argument(
        "--kind", choices=[kind.value for kind in Kind], default=Kind.MODEL.value, help="default: model"
    )


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.policy.words import demands

    policy = places.read_policy(args.policy_file)
    if args.artifact is not None:
        return _lacking(args, policy)
    said = demands(policy)
    document = {"policy": {"name": policy.name, "sha256": policy.digest}, "demands": said}
    lines: list[Line] = [
        [Styled(f"{policy.name} demands", Style.HEAD), f"  (sha256:{policy.digest})"],
        *(f"  {text}" for text in said),
    ]
    return Answer(ExitCode.YES, document, lines)


def _lacking(args: argparse.Namespace, policy: ReleasePolicy) -> Answer:
    from airflow_mlsecops.core.clock import utcnow
    from airflow_mlsecops.core.pinning import pin
    from airflow_mlsecops.core.policy import evaluate, gather, outcomes
    from airflow_mlsecops.core.policy.words import lacks

    store, trust = places.open_evidence(needed(args, "store")), places.read_trust(needed(args, "trust"))
    artifact = pin(args.artifact, kind=Kind(args.kind), access=places.access()).artifact
    now = utcnow()
    dossier = gather(store, artifact.identity, trust, now)
    decision, missing = evaluate(policy, dossier, now), lacks(outcomes(policy, dossier, now))
    document: dict[str, Any] = {
        "fulfilled": bool(decision),
        "policy": {"name": policy.name, "sha256": policy.digest},
        "artifact": artifact.to_dict(),
        "lacks": [{"what": what, "advice": advice} for what, advice in missing],
        "satisfied": list(decision.satisfied),
        "waived": list(decision.waived),
    }
    word = Styled("YES", Style.GOOD) if decision else Styled("NO", Style.BAD)
    lines: list[Line] = [[word, f"  {artifact}: does it fulfil {policy.name}?"]]
    for what, advice in missing:
        lines += [["  ", Styled("lacks", Style.BAD), f"   {what}"], f"          -> {advice}"]
    lines += [["  ", Styled("waived", Style.LOUD), f"  {text}"] for text in decision.waived]
    lines += [["  ", Styled("has", Style.GOOD), f"     {text}"] for text in decision.satisfied]
    return Answer(ExitCode.YES if decision else ExitCode.NO, document, lines)


COMMAND = Command(
    path=("policy", "explain"),
    summary="say in plain words what a policy demands, or what a model still lacks",
    usage="POLICY [ARTIFACT --store ROOT --trust FILE] [--kind model|dataset]",
    description=(
        "Without an artifact: one sentence for each thing that the policy demands. With one: what of that it lacks,\n"
        "and what to do. Whether a gate released it, nobody asks here: that is `mlsecops verify --policy`."
    ),
    configure=_configure,
    run=_run,
)
