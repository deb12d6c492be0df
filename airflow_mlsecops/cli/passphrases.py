"""Where the passphrase of a key comes from. It is never an argument, never printed, and in no error message.

Not even the name after ``--passphrase-env`` or ``--passphrase-file`` is repeated, because people mistake these options
for one that takes the passphrase itself.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

from airflow_mlsecops.cli.arguments import UsageError

PASSPHRASE_VARIABLE = "MLSECOPS_PASSPHRASE"  # noqa: S105 - the variable's name
MAX_BYTES = 1023
"""What OpenSSL's PKCS#8 encryption takes."""
_WAYS = "give --passphrase-env VAR, --passphrase-file FILE or --no-passphrase, or run it in a terminal"


class _Refused(argparse.Action):
    """``--passphrase``: refused without repeating what stands behind it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> NoReturn:
        raise UsageError("a passphrase on the command line can be read by every user of the machine", _WAYS)


def add_passphrase_options(parser: argparse.ArgumentParser, *, new_key: bool = True) -> None:
    """Add the ways that exclude each other; a key that exists says itself whether it is encrypted."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--passphrase-env", metavar="VAR", help="take the passphrase from this environment variable")
    group.add_argument("--passphrase-file", metavar="FILE", help="take it from this file, which has one line")
    if new_key:
        group.add_argument(
            "--no-passphrase", action="store_true", help="leave the key unencrypted: whoever reads the file can sign"
        )
    parser.add_argument("--passphrase", nargs="?", action=_Refused, help=argparse.SUPPRESS)


def passphrase_of(args: argparse.Namespace) -> str | None:
    """The passphrase of a new key, or ``None`` if it is to stay unencrypted.

    Raises:
        UsageError: if there is none where it should be, it is empty, too long or not text.
    """
    return None if args.no_passphrase else given_passphrase(args) or _asked()


def given_passphrase(args: argparse.Namespace) -> str | None:
    """The passphrase from where an option says, or ``None`` if none says so.

    Raises:
        UsageError: if there is none where it should be, it is empty, too long or not text.
    """
    if args.passphrase_env is not None:
        return _checked(os.environ.get(args.passphrase_env, ""), "the variable that --passphrase-env names")
    if args.passphrase_file is not None:
        return _checked(_from_file(args.passphrase_file), "the file that --passphrase-file names")
    return None


def signing_passphrase(args: argparse.Namespace) -> str | None:
    """The passphrase of ``--signer``: from an option, from MLSECOPS_PASSPHRASE, or asked for if its file needs one.

    Raises:
        UsageError: if an option names a place where there is none, or nothing was typed.
    """
    given = given_passphrase(args) or os.environ.get(PASSPHRASE_VARIABLE)
    if given or sys.stdin is None or not sys.stdin.isatty() or not _is_encrypted(args.signer):
        return given or None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return _checked(getpass.getpass("Passphrase of your key: "), "the passphrase")
    except (EOFError, getpass.GetPassWarning):
        raise UsageError("no passphrase was given", _WAYS) from None


def _is_encrypted(signer: str) -> bool:
    scheme, separator, rest = signer.partition(":")
    if separator and scheme != "file":
        return False
    try:
        with Path(rest if separator else signer).open("rb") as stream:
            return b"ENCRYPTED" in stream.read(4096)
    except (OSError, ValueError):
        return False  # whoever opens it to sign says what is wrong


def _from_file(path: str) -> str:
    try:
        with Path(path).open("rb") as stream:
            text = stream.read(MAX_BYTES + 3).decode()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        # `from None`: a decoding error carries the bytes.
        raise UsageError(f"the file that --passphrase-file names can't be read: {why}", _WAYS) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if "\n" in text:
        raise UsageError("the file that --passphrase-file names has more than one line", "write one line into it")
    return text


def _asked() -> str:
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for a passphrase", _WAYS)
    try:
        with warnings.catch_warnings():
            # Where the terminal can't stop echoing, getpass only warns.
            warnings.simplefilter("error", getpass.GetPassWarning)
            first = _checked(getpass.getpass("Passphrase of the new key: "), "the passphrase")
            second = getpass.getpass("The same again: ")
    except (EOFError, getpass.GetPassWarning):
        raise UsageError("no passphrase was given", _WAYS) from None
    if first != second:
        raise UsageError("the two passphrases are not the same", "try again; nothing was written")
    return first


def _checked(text: str, source: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise UsageError(f"{source} is not UTF-8", _WAYS) from None
    if not size:
        raise UsageError(f"{source} is empty or not set", "--no-passphrase makes an unencrypted key, if that is meant")
    if size > MAX_BYTES:
        raise UsageError(f"{source} has {size} bytes", f"use at most {MAX_BYTES}")
    return text
