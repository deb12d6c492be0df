"""What docker-compose.yml tells Airflow is something that this Airflow understands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from typing import Any

import pytest

from tests.deployment import compose_file
from tests.deployment.compose_file import ROOT, Document

VALUES = {
    "MLSECOPS_KEY_PASSPHRASE": "p-a_s",
    "EVIDENCE_WRITER_ACCESS_KEY": "w-key",
    "EVIDENCE_WRITER_SECRET_KEY": "w_secret",
    "EVIDENCE_READER_ACCESS_KEY": "r-key",
    "EVIDENCE_READER_SECRET_KEY": "r_secret",
    "AIRFLOW_UID": "1000",
}


def known_options() -> tuple[dict[str, Any], set[tuple[str, str]]]:
    from airflow.configuration import conf, retrieve_configuration_description

    return retrieve_configuration_description(
        include_airflow=True, include_providers=True
    ), conf.sensitive_config_values


def unknown_settings(environment: Mapping[str, str]) -> list[str]:
    """Return the names like AIRFLOW__SECTION__OPTION that Airflow would silently ignore."""
    description, sensitive = known_options()
    wrong = []
    for name in environment:
        if not name.startswith("AIRFLOW__"):
            continue
        section, _, option = name.removeprefix("AIRFLOW__").lower().partition("__")
        options = description.get(section, {}).get("options", {})
        plain = option.removesuffix("_cmd")
        if option not in options and (plain == option or (section, plain) not in sensitive or plain not in options):
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("name", [name for name, s in compose_file.load()["services"].items() if "environment" in s])
def test_every_setting_exists(name: str) -> None:
    environment = compose_file.load()["services"][name]["environment"]
    assert unknown_settings(environment) == []
    strange = [
        key for key in environment if key.startswith("AIRFLOW") and not re.match(r"AIRFLOW(__[A-Z]|_CONN_[A-Z])", key)
    ]
    assert strange == []


@pytest.mark.parametrize(
    "name",
    [
        "AIRFLOW__CORE__EXECUTER",
        "AIRFLOW__WEBSERVER__BASE_URL",
        "AIRFLOW__API_SECRET_KEY",
        "AIRFLOW__CORE__EXECUTOR_CMD",
        "AIRFLOW__CELERY__BROKERURL_CMD",
        "AIRFLOW__SCHEDULER__JWT_SECRET_CMD",
    ],
)
def test_a_mistyped_setting_is_seen(name: str) -> None:
    assert unknown_settings({name: "x"}) == [name]


def components() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = tomllib.loads((ROOT / "deploy" / "components.toml").read_text())["components"]
    return table


def test_the_command_line_takes_every_command() -> None:
    from airflow.cli.cli_parser import get_parser

    for name, component in components().items():
        program, *arguments = component["command"]
        assert program == "airflow", name
        assert callable(get_parser().parse_args(arguments).func), name
        assert component["runs"] in {"once", "forever"}, name
        assert isinstance(component["native"], bool), name


def test_the_health_checks_name_jobs_and_an_app_that_exist() -> None:
    from airflow.cli.cli_parser import get_parser

    services = compose_file.load()["services"]
    for name, job in {"dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}.items():
        test = services[name]["healthcheck"]["test"]
        assert test[:2] == ["CMD", "airflow"]
        assert get_parser().parse_args(test[2:]).job_type == job
    module, _, attribute = re.findall(r"--app (\S+)", services["worker"]["healthcheck"]["test"][1])[0].rpartition(".")
    code = f"import importlib; print(type(getattr(importlib.import_module({module!r}), {attribute!r})).__name__)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()[-1]
        == "Celery"
    )


def connections(name: str) -> dict[str, Any]:
    """Return the connections of a service as Airflow reads them from its environment."""
    from airflow.sdk import Connection

    document: Document = compose_file.interpolated(compose_file.load(), VALUES)
    environment = document["services"][name]["environment"]
    return {
        key.removeprefix("AIRFLOW_CONN_").lower(): Connection.from_json(value, conn_id=key)
        for key, value in environment.items()
        if key.startswith("AIRFLOW_CONN_")
    }


@pytest.mark.parametrize("name", ["worker", "triggerer", "api-server"])
def test_the_provider_reads_the_connections(name: str) -> None:
    from airflow_mlsecops.hooks.settings import Settings

    found = connections(name)
    settings = Settings.from_connection(found["mlsecops_default"])
    config = {entry["source"]: entry["target"] for entry in compose_file.load()["services"][name]["configs"]}
    assert settings.evidence_root == "s3://evidence/"
    assert settings.trust_policy == config["trust_policy"]
    store = found[settings.aws_conn_id]
    assert store.conn_type == "aws"
    assert store.extra_dejson == {"endpoint_url": "http://s3:8333", "region_name": "us-east-1"}
    # Named in the connection, and there for the worker alone.
    assert settings.signer == "file:/run/secrets/signing_key"
    if name == "worker":
        assert (settings.passphrase, store.login, store.password) == ("p-a_s", "w-key", "w_secret")
    else:
        assert (settings.passphrase, store.login, store.password) == (None, "r-key", "r_secret")


@pytest.mark.parametrize("name", ["scheduler", "dag-processor", "migrate", "users", "buckets"])
def test_the_others_have_no_connection(name: str) -> None:
    assert connections(name) == {}


def test_nothing_but_json_stands_in_a_connection() -> None:
    document = compose_file.interpolated(compose_file.load(), VALUES)
    for service in document["services"].values():
        for key, value in service.get("environment", {}).items():
            if key.startswith("AIRFLOW_CONN_"):
                assert json.loads(value)["conn_type"] in {"mlsecops", "aws"}
