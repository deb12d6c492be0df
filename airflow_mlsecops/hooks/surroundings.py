"""What a task ran with: the Dag's code, the packages beside it, and the image, as far as a worker can tell."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.describe.packages import canonical_name
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.predicates.provenance import Material

IMAGE_VARIABLE = "MLSECOPS_IMAGE"
"""Environment variable that names the worker's image with its digest: ``registry/name@sha256:…``."""
_MAX_CODE_BYTES = 16 * 1024 * 1024
_IMAGE = re.compile(r"(\S+)@sha256:([0-9a-f]{64})")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Surroundings:
    """Materials with digests, and what is known by name only."""

    materials: tuple[Material, ...]
    run: Mapping[str, str]


def surroundings(context: Mapping[str, Any], keep: Callable[[bytes], Sha256]) -> Surroundings:
    """Look around.

    Args:
        context: of the running task.
        keep: puts the list of packages into the evidence store and returns its digest.
    """
    bundle = getattr(context["ti"], "bundle_instance", None)
    marks = {
        "bundle": str(getattr(bundle, "name", "") or ""),
        "bundle_version": str(getattr(bundle, "version", "") or ""),
        "git_commit": _commit(bundle),
    }
    materials = [Material("python packages", "packages", keep(packages()))]
    code = _code(context)
    if code is not None:
        name, data = code
        materials.append(
            Material(name, "code", sha256_bytes(data), marks={key: value for key, value in marks.items() if value})
        )
    image = _IMAGE.fullmatch(os.environ.get(IMAGE_VARIABLE, ""))
    if image:
        materials.append(Material(image[1], "image", Sha256(image[2])))
    return Surroundings(tuple(materials), {"bundle": marks["bundle"], "git_commit": marks["git_commit"]})


@cache
def packages() -> bytes:
    """All installed distributions as a canonical JSON list of ``[name, version]``, sorted."""
    found = {(canonical_name(item.metadata["Name"]), item.version) for item in distributions() if item.metadata["Name"]}
    return canonical_json([list(pair) for pair in sorted(found)])


def _code(context: Mapping[str, Any]) -> tuple[str, bytes] | None:
    """The Dag file: its name inside the bundle, and its bytes."""
    dag = context.get("dag")
    fileloc = str(getattr(dag, "fileloc", "") or "")
    if not fileloc:
        return None
    try:
        with Path(fileloc).open("rb") as stream:
            data = stream.read(_MAX_CODE_BYTES + 1)
    except OSError:  # a Dag out of a zip file, or one that was removed while it ran
        return None
    name = str(getattr(dag, "relative_fileloc", "") or "") or Path(fileloc).name
    return None if len(data) > _MAX_CODE_BYTES else (name, data)


def _commit(bundle: Any) -> str:
    """The git commit of the Dag's code: a git bundle's version, or what the folder's checkout says."""
    version = str(getattr(bundle, "version", "") or "")
    if _COMMIT.fullmatch(version):
        return version
    path = getattr(bundle, "path", None)
    if not isinstance(path, Path) or not path.is_dir():
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "-C", str(path), "rev-parse", "HEAD"],  # noqa: S607 - wherever the worker's git is
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    commit = done.stdout.strip()
    return commit if done.returncode == 0 and _COMMIT.fullmatch(commit) else ""
