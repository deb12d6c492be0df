"""The argument parser: no abbreviations, errors as exceptions, the same help text under every supported Python."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from airflow_mlsecops.cli.exit_codes import MEANINGS
from airflow_mlsecops.cli.output import Answer
from airflow_mlsecops.core.errors import ConfigurationError

PROGRAM = "mlsecops"
MAX_WIDTH = 100
VARIABLES = {
    "store": ("MLSECOPS_STORE", "ROOT", "the evidence store: a folder or s3://bucket/prefix"),
    "trust": ("MLSECOPS_TRUST", "FILE", "the trust policy: who may sign what"),
    "policy": ("MLSECOPS_POLICY", "FILE", "the release policy: what must be true before a model goes out"),
}
"""Options that an environment variable can give: variable, placeholder, help."""


class UsageError(ConfigurationError):
    """The command line can't be understood."""

    code = "usage"


class HelpAsked(Exception):  # noqa: N818 - not an error: the way out of argparse, which would print and exit itself
    """Somebody asked for the help text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True)
class Command:
    """One command, as the table in :mod:`airflow_mlsecops.cli.main` lists it.

    Attributes:
        path: its words, e.g. ``("evidence", "list")``.
        summary: one line.
        usage: what follows the words in the usage line.
        description: the paragraphs of its help text.
        configure: adds its arguments.
        run: does the work.
    """

    path: tuple[str, ...]
    summary: str
    usage: str
    description: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Answer]


class Formatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal, but never wider than can be read well."""

    def __init__(self, prog: str, width: int | None = None) -> None:
        columns = width or min(shutil.get_terminal_size().columns, MAX_WIDTH)
        super().__init__(prog, width=columns - 2, max_help_position=28)


class Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        """Raise :class:`UsageError`."""
        raise UsageError(message, f"see `{self.prog} --help`")

    def print_help(self, file: Any = None) -> NoReturn:
        """Raise :class:`HelpAsked`."""
        raise HelpAsked(self.format_help())


def add_setting(parser: argparse.ArgumentParser, name: str, note: str = "") -> None:
    """Add ``--store``, ``--trust`` or ``--policy``."""
    variable, metavar, text = VARIABLES[name]
    parser.add_argument(f"--{name}", metavar=metavar, help=f"{text}{note} (or {variable})")


def setting(args: argparse.Namespace, name: str) -> str | None:
    """The value of such an option, else of its environment variable, else ``None``.

    Raises:
        UsageError: if it is given but empty. An unset shell variable in ``--policy "$POLICY"`` must not quietly turn
            "is it released?" into "is it signed?".
    """
    variable = VARIABLES[name][0]
    value: str | None = getattr(args, name)
    source = f"--{name}"
    if value is None:
        value, source = os.environ.get(variable), variable
    if value is not None and not value.strip():
        raise UsageError(f"{source} is given, but empty", "give it a value, or leave it out")
    return value


def needed(args: argparse.Namespace, name: str) -> str:
    """The value of an option that the command can't do without.

    Raises:
        UsageError: if there is none.
    """
    value = setting(args, name)
    if value is None:
        variable, _, text = VARIABLES[name]
        raise UsageError(f"--{name} is missing: {text}", f"give --{name}, or set {variable}")
    return value


def exit_codes() -> str:
    """What stands below every help text."""
    return "exit codes:\n" + "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())


def environment() -> str:
    """What also stands below the first one."""
    variables = "\n".join(f"  {variable:<17} stands in for --{name}" for name, (variable, _, _) in VARIABLES.items())
    return (
        f"environment:\n{variables}\n"
        "  NO_COLOR          no colours, if it isn't empty\n"
        "  AWS_…             how S3 is reached, as boto3 reads it (AWS_PROFILE, AWS_ENDPOINT_URL_S3, …)"
    )
