"""Commands with the network cut off by the kernel: a network namespace of their own, where no interface is up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache

import pytest

CUT_OFF = ("unshare", "--map-root-user", "--net", "--")
"""Put this before a command."""
_PROBE = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)"


@cache
def _why_not() -> str:
    if shutil.which("unshare") is None:
        return "util-linux's unshare is not installed"
    done = subprocess.run([*CUT_OFF, "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def need_network_cut() -> None:
    """Skip the test, saying why, where the kernel doesn't let us cut the network off."""
    if reason := _why_not():
        pytest.skip(f"THE NETWORK CAN'T BE CUT OFF HERE, so this proves nothing: {reason}")


def reaches(port: int, *before: str) -> bool:
    """Whether a process started behind ``before`` reaches a port of this machine."""
    done = subprocess.run([*before, sys.executable, "-c", _PROBE, str(port)], capture_output=True, check=False)
    return done.returncode == 0
