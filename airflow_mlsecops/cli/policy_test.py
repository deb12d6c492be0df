"""``mlsecops policy test``: does a policy say what it is meant to say?"""

from __future__ import annotations

import argparse

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("policy_file", metavar="POLICY", help="a path, or mlsecops:production and other shipped ones")
    parser.add_argument("cases", metavar="CASES", help="the file of cases")


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.policy.cases import try_cases

    policy = places.read_policy(args.policy_file)
    results = try_cases(policy, places.read_document(args.cases, "cases"))
    good = sum(map(bool, results))
    document = {
        "passed": good == len(results),
        "policy": {"name": policy.name, "sha256": policy.digest},
        "cases": [
            {
                "name": result.name,
                "as_expected": bool(result),
                "wrong": result.wrong,
                "answer": "YES" if result.decision else "NO",
                "reasons": [{"code": reason.code, "text": reason.text} for reason in result.decision.reasons],
                "waived": list(result.decision.waived),
            }
            for result in results
        ],
    }
    lines: list[Line] = []
    for result in results:
        word = Styled("ok   ", Style.GOOD) if result else Styled("WRONG", Style.BAD)
        lines.append([word, f"  {result.name}: {result.wrong or ('YES' if result.decision else 'NO')}"])
    lines.append(f"{good} of {len(results)} cases are as expected, under policy {policy.name}")
    return Answer(ExitCode.YES if good == len(results) else ExitCode.NO, document, lines)


COMMAND = Command(
    path=("policy", "test"),
    summary="try a policy on example evidence",
    usage="POLICY CASES",
    description=(
        "Evaluate the policy over each case of a file: facts that stand for verified evidence, and the answer and\n"
        "the reasons that are expected. Exit 0 if all cases are as expected, 1 if one isn't."
    ),
    configure=_configure,
    run=_run,
)
