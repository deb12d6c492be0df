"""``airflow mlsecops …``: the commands of ``mlsecops`` in Airflow's own command line, with an Airflow connection.

Options that name the evidence store and the trust policy may be left out: ``--mlsecops-conn-id`` names the connection
that says where they are, and how S3 is reached. Everything else is as in ``mlsecops``, exit codes too.

Airflow calls :func:`get_mlsecops_cli_commands` at every start of ``airflow``, so it imports next to nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand

    from airflow_mlsecops.cli.arguments import Command
    from airflow_mlsecops.cli.output import Answer

# What a command may be told by a connection: option -> field of the hook's settings.
_FROM_CONNECTION = {"store": "evidence_root", "trust": "trust_policy"}


def get_mlsecops_cli_commands() -> list[CLICommand]:
    """The group, as Airflow's parser wants it; named in the provider's ``cli``."""
    from airflow.cli.cli_config import GroupCommand

    from airflow_mlsecops.cli.main import COMMANDS, GROUPS

    grouped: dict[str, list[Command]] = {}
    for command in COMMANDS:
        grouped.setdefault(" ".join(command.path[:-1]), []).append(command)
    subcommands: list[CLICommand] = [_action(command) for command in grouped.pop("", [])]
    for name, commands in grouped.items():
        subcommands.append(GroupCommand(name, GROUPS[name], [_action(command) for command in commands]))
    about = "Pin, verify and explain datasets and models by signed evidence"
    return [GroupCommand("mlsecops", about, subcommands)]


def run(command: Command, args: argparse.Namespace) -> None:
    """Carry out a command that Airflow has parsed, and end with its exit code."""
    from airflow_mlsecops.cli.main import carry_out

    # In a context of its own: how S3 is reached is told to this command alone.
    answer = partial(carry_out, partial(_answer, command, args), as_json=args.json, debug=args.debug)
    sys.exit(copy_context().run(answer))


def _answer(command: Command, args: argparse.Namespace) -> Answer:
    """The answer, places that nobody named taken from the connection."""
    from airflow_mlsecops.cli.arguments import setting
    from airflow_mlsecops.cli.places import S3_CLIENT

    asked = [option for option in _FROM_CONNECTION if hasattr(args, option)]
    if args.mlsecops_conn_id or not all(setting(args, option) for option in asked):
        hook = _hook(args.mlsecops_conn_id)
        if hook is not None:
            S3_CLIENT.set(hook.access.s3)
            for option in asked:
                # A connection that somebody names outranks the environment, and only an option outranks it.
                named = getattr(args, option) if args.mlsecops_conn_id else setting(args, option)
                if named is None:
                    setattr(args, option, getattr(hook.settings, _FROM_CONNECTION[option]))
    answer: Answer = command.run(args)
    return answer


def _hook(conn_id: str | None) -> Any:
    """The hook of the connection; none if nobody named one and the default isn't there: then options are needed."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    from airflow_mlsecops.core.errors import ConfigurationError
    from airflow_mlsecops.hooks.mlsecops import DEFAULT_CONN_ID, MlsecopsHook

    hook = MlsecopsHook(conn_id or DEFAULT_CONN_ID)
    try:
        # Not hook.settings: without a connection that would make the embedded store and its key.
        hook.get_connection(hook.mlsecops_conn_id)
    except AirflowNotFoundException as error:
        if conn_id is None:
            return None
        raise ConfigurationError(f"there is no connection {conn_id!r}", "see `airflow connections list`") from error
    return hook


def _action(command: Command) -> CLICommand:
    from airflow.cli.cli_config import ActionCommand, Arg

    class Arguments(Arg):
        """All arguments of the command, added as they are: Airflow knows them one by one only."""

        def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
            from airflow_mlsecops.cli.main import add_common

            command.configure(parser)
            add_common(parser, default=False)
            parser.add_argument(
                "--mlsecops-conn-id", metavar="CONN_ID", help="the Airflow connection that names store and trust policy"
            )

    arguments: Iterable[Arg] = (Arguments(("--mlsecops",)),)  # type: ignore[no-untyped-call]
    return ActionCommand(
        command.path[-1], command.summary, partial(run, command), arguments, description=command.description
    )
