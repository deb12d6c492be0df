"""Second opinions: other scanners, each in a process of its own without network and with little time and memory.

They add findings. A pass of theirs changes nothing: the worst they can do is to send a clean model to a person.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError, MissingExtraError
from airflow_mlsecops.core.findings import Finding
from airflow_mlsecops.core.scanning.rules import finding

SECONDS = 300
MEMORY = 4 * 1024**3
MAX_OUTPUT = 16 * 1024 * 1024
MAX_FINDINGS = 50


@dataclass(frozen=True)
class Opinion:
    """What another scanner said.

    Attributes:
        version: of the scanner.
        findings: nothing, if it saw nothing; what it saw, or why it said nothing.
    """

    version: str
    findings: tuple[Finding, ...]


# Runs in the child, before the scanner is imported: no network (a namespace of its own where the kernel allows it, and
# no sockets in Python in any case), limits, and no telemetry.
_CHILD = """
import ctypes, json, os, resource, socket, sys
try:
    ctypes.CDLL(None).unshare(0x10000000 | 0x40000000)  # CLONE_NEWUSER, CLONE_NEWNET; see unshare(2)
except (AttributeError, OSError):
    pass
def refused(*_, **__):
    raise OSError("no network here")
class Refused(socket.socket):
    __init__ = refused
socket.socket = Refused
socket.create_connection = socket.getaddrinfo = refused
for limit, value in ((resource.RLIMIT_AS, int(sys.argv[2])), (resource.RLIMIT_CPU, int(sys.argv[3])),
                     (resource.RLIMIT_FSIZE, 1 << 26), (resource.RLIMIT_CORE, 0)):
    resource.setrlimit(limit, (value, value))
path = sys.argv[1]
"""
_PICKLESCAN = (
    _CHILD
    + """
from picklescan.scanner import scan_directory_path, scan_file_path
result = scan_directory_path(path) if os.path.isdir(path) else scan_file_path(path)
found = [f"{item.safety.value} import of {item.module}.{item.name}" for item in result.globals
         if item.safety.value == "dangerous"]
print(json.dumps({"error": bool(result.scan_err), "found": found}))
"""
)
_MODELAUDIT = (
    _CHILD
    + """
from modelaudit.core import scan_model_directory_or_file
result = scan_model_directory_or_file(path)
data = result if isinstance(result, dict) else result.model_dump(mode="json")
found = [str(item.get("message", ""))[:300] for item in data.get("issues", [])
         if item.get("severity") in ("critical", "error")]
print(json.dumps({"error": bool(data.get("has_errors")), "found": found}))
"""
)
SCANNERS: dict[str, str] = {"picklescan": _PICKLESCAN, "modelaudit": _MODELAUDIT}


def ask(
    name: str, path: Path, *, seconds: int = SECONDS, memory: int = MEMORY, run: Callable[..., Any] = subprocess.run
) -> Opinion:
    """Let another scanner look at the files.

    Args:
        name: of the scanner.
        path: the file or folder.
        seconds: of time, on the clock and of the processor.
        memory: bytes of address space.
        run: what starts the process.

    Raises:
        ConfigurationError: if the scanner isn't known.
        MissingExtraError: if it isn't installed.
    """
    if name not in SCANNERS:
        raise ConfigurationError(f"no scanner {name!r}", f"use {' or '.join(sorted(SCANNERS))}")
    try:
        of = version(name)
    except PackageNotFoundError:
        advice = "install airflow-mlsecops[picklescan]" if name == "picklescan" else f"pip install {name}"
        raise MissingExtraError(f"{name} isn't installed", advice) from None
    with tempfile.TemporaryDirectory(prefix="mlsecops-opinion-") as home, tempfile.TemporaryFile() as output:
        environment = {
            "PATH": os.defpath,
            "HOME": home,
            "TMPDIR": home,
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "NO_COLOR": "1",
        }
        command = [sys.executable, "-I", "-c", SCANNERS[name], str(path.resolve()), str(memory), str(seconds)]
        try:
            done = run(
                command, stdout=output, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=seconds,
                env=environment, cwd=home, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return _failed(name, of, f"it took more than {seconds} s")
        output.seek(0)
        text = output.read(MAX_OUTPUT)
    if done.returncode != 0:
        return _failed(name, of, f"it ended with exit code {done.returncode}")
    return _read(name, of, text)


def _read(name: str, of: str, text: bytes) -> Opinion:
    try:
        answer = json.loads(text.decode().strip().splitlines()[-1])
        found, error = [str(item) for item in answer["found"]], bool(answer["error"])
    except (ValueError, LookupError, TypeError):
        return _failed(name, of, "its answer can't be read")
    findings = [finding("second-opinion", f"{name}: {item}"[:300], name) for item in found[:MAX_FINDINGS]]
    if error:
        findings += _failed(name, of, "it couldn't read everything").findings
    return Opinion(of, tuple(findings))


def _failed(name: str, of: str, why: str) -> Opinion:
    return Opinion(of, (finding("second-opinion-failed", f"{name} gave no whole answer: {why}", name),))
