"""deploy/Dockerfile installs what the locks say and nothing else, from sources that are there, and runs as nobody."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.deployment import compose_file
from tests.deployment.compose_file import ROOT
from tests.deployment.dockerfile import DOCKERFILE, Stage, is_sent, parse

TEXT = DOCKERFILE.read_text(encoding="utf-8")
IGNORE = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8")


def stages(text: str = TEXT) -> dict[str, Stage]:
    return {stage.name: stage for stage in parse(text)}


def complaints(text: str) -> list[str]:
    """Return what is wrong with the way this Dockerfile installs, copies and runs."""
    wrong: list[str] = []
    found = stages(text)
    for stage in found.values():
        for run in stage.all("RUN"):
            for command in re.split(r"&&|;|\|", run.rest):
                wrong += _install_complaints(command, stage)
            if re.search(r"\b(curl|wget|git clone|apt-get|apk)\b", run.rest):
                wrong.append(f"{stage.name}: fetches something that no lock names: {run.rest}")
        wrong += [f"{stage.name}: ADD can fetch and unpack; use COPY" for _ in stage.all("ADD")]
        wrong += _copy_complaints(stage, found)
        if stage.base != "${PYTHON_IMAGE}" and stage.base not in found:
            wrong.append(f"{stage.name}: starts from {stage.base}")
    for name in ("airflow", "s3"):
        users = [user.rest.split(":")[0] for user in found[name].all("USER")]
        if not users or users[-1] in {"0", "root"}:
            wrong.append(f"{name}: runs as root")
        if not found[name].all("HEALTHCHECK"):
            wrong.append(f"{name}: has no health check")
    return wrong


def _install_complaints(command: str, stage: Stage) -> list[str]:
    if "pip install" not in command:
        return []
    if "--no-deps" in command and "--no-index" in command and re.search(r"/airflow_mlsecops-\*\.whl", command):
        return []
    locked = re.search(r"-r (?:\S*/)?(requirements-\w+\.txt)", command)
    if not locked or "--require-hashes" not in command or "--only-binary=:all:" not in command:
        return [f"{stage.name}: installs without a lock: {command.strip()}"]
    return [] if (ROOT / "deploy" / locked[1]).exists() else [f"{stage.name}: there is no {locked[1]}"]


def _copy_complaints(stage: Stage, found: dict[str, Stage]) -> list[str]:
    wrong = []
    for copy in stage.all("COPY"):
        *sources, _ = copy.arguments
        if "from" in copy.options:
            if copy.options["from"] not in found:
                wrong.append(f"{stage.name}: copies from {copy.options['from']}, which is no stage")
            continue
        for source in sources:
            if not (ROOT / source).exists():
                wrong.append(f"{stage.name}: {source} is not in the repository")
            if not is_sent(source.rstrip("/"), IGNORE):
                wrong.append(f"{stage.name}: {source} is kept from the builder by Dockerfile.dockerignore")
    return wrong


def test_nothing_to_complain_about() -> None:
    assert complaints(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("--require-hashes --only-binary=:all: -r /tmp/requirements-dep", "-r /tmp/requirements-dep", "without a lock"),
        ("--only-binary=:all: -r /tmp/requirements-s3", "-r /tmp/requirements-s3", "without a lock"),
        ("--no-index --no-deps /tmp/dist", "/tmp/dist", "without a lock"),
        ("--no-index --no-deps /tmp/dist/airflow_mlsecops-*.whl", "--no-index --no-deps .", "without a lock"),
        ("requirements-s3.txt", "requirements-s4.txt", "there is no requirements-s4.txt"),
        ("RUN python -m build", "RUN pip install build && python -m build", "without a lock"),
        ("RUN useradd", "RUN apt-get install -y curl && useradd", "no lock names"),
        ("COPY operators operators", "COPY operator operators", "operator is not in the repository"),
        ("COPY operators operators", "COPY .git .git", ".git is kept from the builder"),
        ("COPY operators operators", "ADD operators operators", "use COPY"),
        ("--from=wheel", "--from=wheels", "copies from wheels"),
        ("FROM ${PYTHON_IMAGE} AS s3", "FROM chrislusf/seaweedfs AS s3", "s3: starts from"),
        ("WORKDIR /opt/airflow\nUSER 50000:0", "WORKDIR /opt/airflow\nUSER 0:0", "airflow: runs as root"),
        ("WORKDIR /opt/airflow\nUSER 50000:0", "WORKDIR /opt/airflow", "airflow: runs as root"),
        ("HEALTHCHECK --interval=15s", "LABEL x=", "s3: has no health check"),
    ],
)
def test_a_mistake_is_seen(old: str, new: str, complaint: str) -> None:
    assert old in TEXT
    assert any(complaint in found for found in complaints(TEXT.replace(old, new)))


def test_the_compose_file_builds_stages_that_exist() -> None:
    for name, service in compose_file.load()["services"].items():
        if build := service.get("build"):
            assert build["target"] in stages(), name
            assert (ROOT / build["dockerfile"]).samefile(DOCKERFILE), name
            assert build["args"].keys() == {"PYTHON_IMAGE"}, name


def test_the_default_image_of_both_files_is_the_same() -> None:
    default = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", TEXT, re.MULTILINE)
    assert default
    assert default[1] == compose_file.env_example()[1]["PYTHON_IMAGE"]


def test_scripts_that_the_compose_file_runs_are_in_the_image() -> None:
    target = {copy.arguments[-1]: copy.arguments[0] for copy in stages()["airflow"].all("COPY")}["/opt/mlsecops/bin/"]
    assert target == "deploy/bin/"
    for text in compose_file.strings(compose_file.load()["services"]):
        for script in re.findall(r"/opt/mlsecops/bin/(\S+?)\"?$", text):
            assert (ROOT / "deploy" / "bin" / script).is_file()


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("pyproject.toml", True),
        ("airflow_mlsecops/core/digest.py", True),
        ("deploy/requirements-s3.txt", True),
        ("deploy/bin/probe.py", True),
        ("deploy/.env", False),
        ("deploy/secrets/jwt_private_key", False),
        ("deploy/trust.yaml", False),
        (".git/config", False),
        (".venv/bin/python", False),
        ("operators/__pycache__/base.cpython-311.pyc", False),
        ("tests/deployment/test_dockerfile.py", False),
    ],
)
def test_no_secret_and_no_rubbish_reaches_the_builder(path: str, sent: bool) -> None:
    assert is_sent(path, IGNORE) is sent


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.packaging
def test_the_wheel_stage_builds_the_whole_provider(tmp_path: Path) -> None:
    """Its own steps, on its own sources: what COPY brings, minus what the ignore file holds back."""
    stage = stages()["wheel"]
    context = tmp_path / "src"
    for copy in stage.all("COPY"):
        *sources, target = copy.arguments
        for source in sources:
            whole = target.endswith("/") or len(sources) > 1
            _copy(ROOT / source, context / target / Path(source).name if whole else context / target)
    build = next(run.rest for run in stage.all("RUN") if "-m build" in run.rest)
    epoch = next(argument.rest.split("=") for argument in stage.all("ARG"))
    command = [sys.executable if word == "python" else word for word in build.split()]
    command = [str(tmp_path / "dist") if word == "/dist" else word for word in command]
    subprocess.run(command, cwd=context, check=True, capture_output=True, env={**os.environ, epoch[0]: epoch[1]})
    (wheel,) = (tmp_path / "dist").glob("airflow_mlsecops-*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    folders = {
        "airflow_mlsecops": "airflow_mlsecops",
        **{n: f"airflow_mlsecops/{n}" for n in ("operators", "sensors", "expectations")},
    }
    for folder, package in folders.items():
        for path in _modules(ROOT / folder):
            assert f"{package}/{path.relative_to(ROOT / folder).as_posix()}" in shipped


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copy2(source, target)


def _modules(folder: Path) -> list[Path]:
    # The links airflow_mlsecops/operators and so on lead to the folders at the top, which are looked at by themselves.
    inside = [path for path in folder.iterdir() if not path.is_symlink()]
    return [p for top in inside for p in ([top] if top.suffix == ".py" else top.rglob("*.py"))]
