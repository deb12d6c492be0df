"""Serve a loopback Sigstore until told to stop.

``python -m tests.support.loopback_sigstore --home DIR --workload SUBJECT=FILE`` writes the trust configuration into
DIR, keeps a fresh token of each workload in its file, as a platform does, and prints ``ready`` and the issuer when all
services answer.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from tests.support.loopback_sigstore.instance import LoopbackSigstore

_RENEW_SECONDS = 240.0
"""Tokens live for ten minutes; they are replaced well before half of that."""


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    parser = argparse.ArgumentParser(prog="loopback_sigstore", description="A Sigstore on 127.0.0.1, for trying out.")
    parser.add_argument("--home", type=Path, required=True, help="folder of its keys, logs and trust configuration")
    parser.add_argument(
        "--workload",
        action="append",
        default=[],
        metavar="SUBJECT=FILE",
        help="keep a token of this subject in this file (may be repeated)",
    )
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="also stop when standard input ends, as with its parent"
    )
    options = parser.parse_args(arguments)
    workloads = [_workload(item, parser) for item in options.workload]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.until_stdin_closes:
        threading.Thread(target=_stop_at_end, args=(stop,), daemon=True).start()
    with LoopbackSigstore(options.home) as sigstore:
        sigstore.write_configuration()
        ready = False
        while not stop.is_set():
            for subject, path in workloads:
                sigstore.issuer.project(subject, path)
            if not ready:
                sys.stdout.write(f"ready {sigstore.issuer.url}\n")
                sys.stdout.flush()
                ready = True
            stop.wait(_RENEW_SECONDS)
    return 0


def _stop_at_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _workload(text: str, parser: argparse.ArgumentParser) -> tuple[str, Path]:
    subject, separator, path = text.partition("=")
    if not separator or not subject or not path:
        parser.error(f"expected SUBJECT=FILE, got {text!r}")
    return subject, Path(path)


if __name__ == "__main__":
    sys.exit(main())
