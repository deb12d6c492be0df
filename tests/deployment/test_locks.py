"""The deployment's locks: every file by its hash, from no named place, and the versions that the tests run with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.deployment.compose_file import ROOT

LOCKS = sorted((ROOT / "deploy").glob("requirements-*.txt"))
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; .+)? \\$")


def pins(path: Path) -> dict[str, Version]:
    """Return name -> version of a lock."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(match[1]): Version(match[2]) for line in lines if (match := _PIN.match(line))}


def complaints(text: str) -> list[str]:
    """Return the lines of a lock that are neither a pin with hashes nor a comment."""
    wrong, hashes = [], True
    for line in text.splitlines():
        if _PIN.match(line):
            if not hashes:
                wrong.append(f"no hash before: {line}")
            hashes = False
        elif re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line):
            hashes = True
        elif not re.match(r"    #", line) or "://" in line:
            wrong.append(line)
    return wrong if hashes else [*wrong, "no hash at the end"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_has_pins_and_hashes_and_nothing_else(path: Path) -> None:
    assert pins(path)
    assert complaints(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "--index-url https://index.example/simple\n",
        "--extra-index-url=https://index.example/simple\n",
        "pytz==2026.1\n",
        "pytz>=2026.1 \\\n    --hash=sha256:" + "0" * 64 + "\n",
        "pytz==2026.1 \\\n    # via x\n",
        "pytz==2026.1 \\\n    --hash=md5:" + "0" * 32 + "\n",
        "pytz @ https://files.example/pytz.whl \\\n    --hash=sha256:" + "0" * 64 + "\n",
        "    # from https://index.example/simple\n",
    ],
)
def test_anything_else_is_seen(text: str) -> None:
    assert complaints(text) != []


def test_the_deployment_has_what_the_project_and_the_deployment_need() -> None:
    found = pins(ROOT / "deploy" / "requirements-deployment.txt")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    own = (ROOT / "deploy" / "requirements-deployment.in").read_text(encoding="utf-8").splitlines()
    for text in [*project, *(line for line in own if line and not line.startswith(("#", "-c")))]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(found[canonicalize_name(requirement.name)]), text


def test_the_deployment_runs_the_versions_that_are_tested() -> None:
    deployed, tested = (
        pins(ROOT / "deploy" / "requirements-deployment.txt"),
        pins(ROOT / "requirements" / "runtime.txt"),
    )
    assert {name: deployed.get(name) for name in tested} == tested


def test_the_build_has_the_backend_of_the_project() -> None:
    found = pins(ROOT / "deploy" / "requirements-build.txt")
    for text in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(found[canonicalize_name(requirement.name)]), text
