"""What ships: the map of packages, the built wheel and sdist, and the provider as Airflow sees it."""

from __future__ import annotations

import json
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_mlsecops import __version__
from airflow_mlsecops.provider_info import get_provider_info
from tests.support.wheel import run

ROOT = Path(__file__).resolve().parents[1]
MAPPED = {"operators": "operators", "sensors": "sensors", "expectations": "expectations"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages_on_disk() -> set[str]:
    """Every folder with Python files below the package and the users' folders, as a dotted name."""
    found = set()
    for top in ("airflow_mlsecops", *MAPPED):
        for folder in (ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())):
            if folder.is_symlink() or any(parent.is_symlink() for parent in folder.parents if ROOT in parent.parents):
                continue
            if any(folder.glob("*.py")):
                name = ".".join(folder.relative_to(ROOT).parts)
                found.add(name if top == "airflow_mlsecops" else f"airflow_mlsecops.{name}")
    return found


class TestLayout:
    def test_every_package_on_disk_is_named_and_the_other_way_round(self) -> None:
        assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_on_disk()

    def test_users_folders_are_mapped_and_linked(self) -> None:
        package_dir = PROJECT["tool"]["setuptools"]["package-dir"]
        for folder in MAPPED:
            assert package_dir[f"airflow_mlsecops.{folder}"] == folder
            link = ROOT / "airflow_mlsecops" / folder
            # Without link support git writes the target's name into a file; everything still works then.
            assert (str(link.readlink()) if link.is_symlink() else link.read_text()) == f"../{folder}"

    def test_top_level_is_the_one_that_was_asked_for(self) -> None:
        for name in ("pyproject.toml", "dags", "operators", "sensors", "expectations", "tests", "docker-compose.yml"):
            assert (ROOT / name).exists(), name

    def test_versions_agree(self) -> None:
        assert PROJECT["project"]["version"] == __version__
        assert get_provider_info()["versions"] == [__version__]

    def test_lock_files_name_no_index_host_and_carry_hashes(self) -> None:
        for lock in sorted((ROOT / "requirements").glob("*.txt")):
            text = lock.read_text()
            assert "://" not in text, lock
            assert "--index-url" not in text
            pinned = [line for line in text.splitlines() if line and line[0].isalnum()]
            assert pinned
            assert all("==" in line and line.endswith("\\") for line in pinned), lock


class TestProviderInfo:
    def test_fits_airflows_own_schema(self) -> None:
        import airflow

        schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
        jsonschema.validate(get_provider_info(), schema)

    def test_every_named_class_and_module_exists(self) -> None:
        info = get_provider_info()
        for kind in ("operators", "sensors", "hooks", "triggers"):
            for entry in info[kind]:
                for module in entry["python-modules"]:
                    import_module(module)
        functions = [*info["cli"], *(item["class-name"] for item in info["task-decorators"])]
        functions += [item[what] for item in info["asset-uris"] for what in ("handler", "factory")]
        for path in functions:
            module, _, name = path.rpartition(".")
            assert callable(getattr(import_module(module), name)), path
        paths = [*info["extra-links"], *(item["hook-class-name"] for item in info["connection-types"])]
        for path in paths:
            module, _, name = path.rpartition(".")
            assert isinstance(getattr(import_module(module), name), type), path

    def test_airflow_finds_command_decorators_settings_and_connection(self) -> None:
        from airflow.cli.cli_parser import ALL_COMMANDS_DICT
        from airflow.configuration import conf
        from airflow.providers_manager import ProvidersManager
        from airflow.sdk import task

        info = get_provider_info()
        assert "mlsecops" in ALL_COMMANDS_DICT
        for entry in info["task-decorators"]:
            assert callable(getattr(task, entry["name"]))
        for option, described in info["config"]["mlsecops"]["options"].items():
            assert conf.get("mlsecops", option) == described["default"]
        manager: Any = ProvidersManager()  # type: ignore[no-untyped-call]
        assert manager.hooks["mlsecops"].hook_name == "ML security evidence"
        fields = {
            name.removeprefix("extra__mlsecops__") for name in manager.connection_form_widgets if "mlsecops" in name
        }
        assert fields == info["connection-types"][0]["conn-fields"].keys()
        assert "extra" in manager.field_behaviours["mlsecops"]["hidden_fields"]

    def test_every_operator_and_sensor_module_is_named(self) -> None:
        info = get_provider_info()
        for kind in ("operators", "sensors"):
            named = {module for entry in info[kind] for module in entry["python-modules"]}
            offered = {
                f"airflow_mlsecops.{kind}.{path.stem}"
                for path in (ROOT / kind).glob("*.py")
                if any(
                    line.startswith("class ") and line.split("(")[0].endswith(("Operator", "Sensor"))
                    for line in path.read_text().splitlines()
                )
            }
            bases = {f"airflow_mlsecops.{name}" for name in ("operators.base", "operators.control", "sensors.base")}
            assert named == offered - bases


@pytest.fixture(scope="session")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bin folder of a fresh environment with the built wheel in it, and nothing of the checkout.

    Third-party packages come from the environment that runs the tests, so that nothing is fetched.
    """
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=False)
    (wheel,) = built.glob("*.whl")
    site = next(folder.glob("lib/python*/site-packages"))
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    here = Path(next(path for path in sys.path if path.endswith("site-packages")))
    others = tmp_path_factory.mktemp("others")
    for item in here.iterdir():
        if "airflow_mlsecops" not in item.name and not item.name.startswith("__editable__"):
            (others / item.name).symlink_to(item)
    (site / "others.pth").write_text(f"{others}\n")
    yield folder / "bin"


@pytest.mark.packaging
class TestWhatShips:
    def test_wheel_holds_one_import_package_and_its_data(self, built: Path) -> None:
        (wheel,) = built.glob("*.whl")
        names = set(zipfile.ZipFile(wheel).namelist())
        tops = {name.split("/")[0] for name in names}
        assert tops == {"airflow_mlsecops", f"airflow_mlsecops-{__version__}.dist-info"}
        for package in packages_on_disk():
            assert f"{package.replace('.', '/')}/__init__.py" in names
        for path in (
            "airflow_mlsecops/py.typed",
            "airflow_mlsecops/expectations/suites/digits.json",
            "airflow_mlsecops/operators/approval_gate.py",
        ):
            assert path in names
        data = {p for top in ("airflow_mlsecops", *MAPPED) for p in (ROOT / top).rglob("*") if p.is_file()}
        shipped = {name.removeprefix("airflow_mlsecops/") for name in names}
        for file in data:
            parts = file.relative_to(ROOT).parts
            if file.suffix in (".json", ".html", ".css", ".svg"):
                assert "/".join(parts[parts[0] == "airflow_mlsecops" :]) in shipped, file

    def test_sdist_holds_tests_dags_and_docs(self, built: Path) -> None:
        (sdist,) = built.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            names = archive.getnames()
        for path in ("tests/test_packaging.py", "dags/secure_training_pipeline.py", "docker-compose.yml", "LICENSE"):
            assert f"airflow_mlsecops-{__version__}/{path}" in names

    def test_airflow_lists_the_provider_from_the_wheel(self, installed: Path, tmp_path: Path) -> None:
        home = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        code = "import airflow_mlsecops; print(airflow_mlsecops.__file__)"
        assert str(installed.parent) in run(installed / "python", "-c", code, cwd=tmp_path)

        def airflow_providers(what: str) -> str:
            command = [installed / "python", "-m", "airflow", "providers", what, "--output", "json"]
            return run(*command, cwd=tmp_path, **home)

        listed = airflow_providers("list")
        providers = {item["package_name"]: item["version"] for item in json.loads(listed[listed.index("[") :])}
        assert providers["airflow-mlsecops"] == __version__
        assert "EvidenceLink" in airflow_providers("links")
        assert "MlsecopsHook" in airflow_providers("hooks")

    def test_command_and_suites_work_from_the_wheel(self, installed: Path, tmp_path: Path) -> None:
        assert __version__ in run(installed / "mlsecops", "--version", cwd=tmp_path)
        code = "from airflow_mlsecops.expectations.suites import resolve_suite; print(resolve_suite('digits')['name'])"
        assert run(installed / "python", "-c", code, cwd=tmp_path).strip() == "digits"
