"""The ``mlsecops`` command: from arguments to an exit code. No error leaves as a traceback unless asked for."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from airflow_mlsecops import __version__
from airflow_mlsecops.cli import (
    alarms,
    approve,
    evidence_blob,
    evidence_list,
    evidence_show,
    export,
    fetch,
    graph,
    history,
    keygen,
    log_prove,
    log_reindex,
    log_verify,
    oms_sign,
    oms_verify,
    pin,
    policy_explain,
    policy_test,
    requests,
    revoke,
    verify,
    waive,
)
from airflow_mlsecops.cli.arguments import (
    PROGRAM,
    Command,
    Formatter,
    HelpAsked,
    Parser,
    UsageError,
    environment,
    exit_codes,
)
from airflow_mlsecops.cli.exit_codes import ExitCode, exit_code_of
from airflow_mlsecops.cli.output import Answer, Output
from airflow_mlsecops.core.errors import MlsecopsError

COMMANDS: tuple[Command, ...] = (
    pin.COMMAND,
    verify.COMMAND,
    fetch.COMMAND,
    evidence_list.COMMAND,
    evidence_show.COMMAND,
    evidence_blob.COMMAND,
    graph.COMMAND,
    history.HISTORY,
    history.CURRENT,
    alarms.COMMAND,
    requests.COMMAND,
    approve.COMMAND,
    oms_sign.COMMAND,
    oms_verify.COMMAND,
    export.COMMAND,
    log_verify.COMMAND,
    log_prove.COMMAND,
    log_reindex.COMMAND,
    *revoke.COMMANDS,
    policy_explain.COMMAND,
    policy_test.COMMAND,
    waive.COMMAND,
    keygen.COMMAND,
)
GROUPS = {
    "evidence": "look at what an evidence store holds",
    "oms": "sign a model as model_signing does, and verify such signatures",
    "log": "verify the evidence log, and prove what it holds",
    "policy": "explain a release policy, and try it on example evidence",
    "revoke": "withdraw an artifact, a piece of evidence or a key; it can't be taken back",
}
_ABOUT = "Pin, verify and explain datasets and models by signed evidence. Works without Airflow."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments without the program's name; by default those of the process.

    Returns:
        The exit code; see :class:`~airflow_mlsecops.cli.exit_codes.ExitCode`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    flags = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return carry_out(lambda: _answer(arguments), as_json="--json" in flags, debug="--debug" in flags)


def carry_out(work: Callable[[], Answer], *, as_json: bool, debug: bool) -> int:
    """Do a command's work, print its answer or its error, and return the exit code.

    Args:
        work: makes the answer.
        as_json: whether one JSON document is printed, errors too.
        debug: whether an error's traceback is printed.
    """
    output = Output(as_json=as_json)
    try:
        return int(output.answer(work()))
    except MlsecopsError as error:
        _trace(debug, output)
        return int(output.error(exit_code_of(error), error.code, error.message, error.advice))
    except OSError as error:
        # Not foreseen where it happened; but a disk or a network that fails says neither YES nor NO.
        _trace(debug, output)
        return int(output.error(ExitCode.NO_ANSWER, "io", str(error), "mend it, and try again"))
    except KeyboardInterrupt:
        return int(output.error(ExitCode.INTERRUPTED, "interrupted", "interrupted", ""))
    except Exception as error:
        _trace(debug, output)
        message = f"{type(error).__name__}: {error}"
        return int(output.error(ExitCode.INTERNAL, "internal", message, "add --debug to see where; please report it"))


def build_parser(width: int | None = None) -> Parser:
    """The whole parser.

    Args:
        width: of the help texts, in columns; by default that of the terminal, up to a limit.
    """
    root = Parser(**_settings((), "[--version] COMMAND …", _ABOUT, width))
    add_common(root, default=False)
    root.add_argument("--version", action="store_true", help="print the version")
    words = root.add_subparsers(title="commands", metavar="COMMAND")
    groups = {"": words}
    for command in COMMANDS:
        *group, word = command.path
        name = " ".join(group)
        if name not in groups:
            text = GROUPS[name]
            settings = _settings((name,), "COMMAND …", text[0].upper() + text[1:] + ".", width)
            parser = words.add_parser(name, help=text, **settings)
            add_common(parser)
            groups[name] = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
        settings = _settings(command.path, command.usage, command.description, width)
        parser = groups[name].add_parser(word, help=command.summary, **settings)
        command.configure(parser)
        add_common(parser)
        parser.set_defaults(run=command.run)
    return root


def _settings(path: tuple[str, ...], usage: str, description: str, width: int | None) -> dict[str, Any]:
    prog = " ".join((PROGRAM, *path))
    return {
        "prog": prog,
        # Written by hand: argparse wraps its own differently from one Python to the next.
        "usage": f"{prog} {usage}",
        "description": description,
        "epilog": exit_codes() if path else f"{exit_codes()}\n\n{environment()}",
        "formatter_class": partial(Formatter, width=width),
        "allow_abbrev": False,
    }


def add_common(parser: argparse.ArgumentParser, default: Any = argparse.SUPPRESS) -> None:
    """The options of every command. SUPPRESS, so that a command doesn't overwrite what stood before its name."""
    parser.add_argument("--json", action="store_true", default=default, help="print one JSON document, errors too")
    parser.add_argument("--debug", action="store_true", default=default, help="print the traceback of an error")


def _answer(arguments: Sequence[str]) -> Answer:
    try:
        args = build_parser().parse_args(arguments)
    except HelpAsked as asked:
        return Answer(ExitCode.YES, {"help": asked.text}, asked.text.rstrip("\n").split("\n"))
    if args.version:
        return Answer(ExitCode.YES, {"version": __version__}, [f"{PROGRAM} {__version__}"])
    if "run" not in args:
        raise UsageError("expected a command", f"see `{PROGRAM} --help`")
    answer: Answer = args.run(args)
    return answer


def _trace(debug: bool, output: Output) -> None:
    """The traceback, line by line through the same cleaning as everything else."""
    if debug:
        for line in traceback.format_exc().rstrip("\n").split("\n"):
            output.note(line)
