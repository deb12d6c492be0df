"""Which log is meant, and by whom it is signed: options that the ``log`` commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlsecops.cli import places
from airflow_mlsecops.cli.arguments import UsageError, add_setting, setting
from airflow_mlsecops.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_mlsecops.core.log import LogTrust

MAX_FILE_BYTES = 1024 * 1024
LOG_USAGE = "--store ROOT [--trust FILE | --log-origin NAME --log-key FILE]"


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--store``, ``--trust``, ``--log-origin`` and ``--log-key``."""
    add_setting(parser, "store")
    add_setting(parser, "trust", "; it names the log, unless the next two do")
    parser.add_argument("--log-origin", metavar="NAME", help="the log's name, as its checkpoints begin with it")
    parser.add_argument(
        "--log-key",
        metavar="FILE",
        action="append",
        help="public key (PEM) that signs the log's checkpoints; again for each key that it had before",
    )


def log_trust(args: argparse.Namespace) -> LogTrust:
    """What the options say.

    Raises:
        UsageError: if one is missing or empty, or the trust policy names no log.
        ConfigurationError: if a key can't be read.
        TrustError: if a file holds no public key.
    """
    from airflow_mlsecops.core.log import LogTrust
    from airflow_mlsecops.core.signing import PublicKey

    trust_path = setting(args, "trust")
    if args.log_origin is None and args.log_key is None and trust_path is not None:
        rule = places.read_trust(trust_path).log
        if rule is None:
            raise UsageError(f"the trust policy {trust_path} names no log", "give --log-origin and --log-key")
        return rule.trust
    if not (args.log_origin or "").strip():
        raise UsageError(
            "--log-origin is missing: the log's name", "it is the first line of its checkpoints; or give --trust"
        )
    if not args.log_key:
        raise UsageError("--log-key is missing: the public key of the log's signer", "give its PEM file")
    keys = tuple(PublicKey.from_pem(read_file(path, "public key")) for path in args.log_key)
    return LogTrust(args.log_origin, keys)


def read_file(path: str, what: str) -> bytes:
    """A small file.

    Raises:
        ConfigurationError: if it can't be read.
    """
    try:
        with Path(path).open("rb") as stream:
            return stream.read(MAX_FILE_BYTES)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"the {what} {path} can't be read: {why}", "check the path") from error
