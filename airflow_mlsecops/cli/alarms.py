"""``mlsecops alarms``: who went round a gate, as far as it was seen."""

from __future__ import annotations

import argparse
from typing import Any

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import Command, add_setting, needed
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.cli.table import seconds, table


def _configure(parser: argparse.ArgumentParser) -> None:
    add_setting(parser, "store")
    add_setting(parser, "trust")


def _run(args: argparse.Namespace) -> Answer:
    from airflow_mlsecops.core.clock import to_text, utcnow
    from airflow_mlsecops.core.evidence import collect
    from airflow_mlsecops.core.predicates import ALARM
    from airflow_mlsecops.core.predicates.alarm import EVERY_ALARM, parse

    store, trust = places.open_evidence(needed(args, "store")), places.read_trust(needed(args, "trust"))
    evidence = collect(store, EVERY_ALARM.digest, trust, utcnow())
    rows: list[dict[str, Any]] = []
    for item in evidence.of(ALARM.slug):
        said = parse(item.statement)
        rows.append(
            {
                "evidence": item.digest,
                "time": to_text(said.seen_at),
                "event": said.event.value,
                "task": said.task,
                "run": dict(said.run),
                "user": said.user,
                "detail": said.detail,
                "signer": item.signer,
            }
        )
    rows.sort(key=lambda row: (row["time"], row["evidence"]))
    not_counted = [
        {"key": no.key, "code": no.code, "reason": no.reason} for no in (*evidence.refused, *evidence.broken)
    ]
    code = ExitCode.NO if rows or evidence.broken else ExitCode.YES
    lines: list[Line] = [f"alarms: {len(rows)}"]
    if rows:
        told = [(seconds(r["time"]), r["event"], r["user"] or "?", _place(r["run"]), r["detail"]) for r in rows]
        lines += table(("TIME", "EVENT", "USER", "TASK", "DETAIL"), told)
    if not_counted:
        lines += ["", Styled(f"in the store, but not counted: {len(not_counted)}", Style.LOUD)]
        lines += [f"  {row['key']}: [{row['code']}] {row['reason']}" for row in not_counted]
    return Answer(code, {"alarms": rows, "not_counted": not_counted}, lines)


def _place(run: dict[str, Any]) -> str:
    return f"{run.get('dag_id', '?')}/{run.get('run_id', '?')}/{run.get('task_id', '?')}"


COMMAND = Command(
    path=("alarms",),
    summary="list who set a gate's state by hand, cleared it or wrote its XCom",
    usage="--store ROOT --trust FILE",
    description=(
        "List the signed alarms. Exit 1 if there are any, or if one was taken out of the store. An alarm decides\n"
        "nothing: what was set by hand releases nothing either way. No alarm doesn't prove that nobody tried."
    ),
    configure=_configure,
    run=_run,
)
