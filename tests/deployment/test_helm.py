"""deploy/helm-values.yaml: what it tells Airflow and this provider is understood, and a task gets no secret."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.signing.keyless_uri import keyless_signer_from_uri
from airflow_mlsecops.core.signing.uri import SignerUri
from airflow_mlsecops.hooks.settings import Settings
from tests.deployment.compose_file import ROOT, strings
from tests.deployment.test_airflow_side import known_options

TEXT = (ROOT / "deploy" / "helm-values.yaml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "how-to" / "deploy-on-kubernetes.md").read_text(encoding="utf-8")
# What the chart's values.schema.json has at the top; an unknown key is a mistake that Helm would let pass.
CHART = {
    "airflowVersion", "executor", "images", "data", "fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName",
    "postgresql", "redis", "createUserJob", "config", "apiServer", "scheduler", "triggerer", "workers", "podTemplate",
}  # fmt: skip
SECRET_SETTINGS = re.compile(r"SQL_ALCHEMY|FERNET|JWT|API__SECRET_KEY|BROKER|RESULT_BACKEND")


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


@pytest.fixture(scope="module")
def pod(values: dict[str, Any]) -> dict[str, Any]:
    """The worker's pod, with the chart's two templates filled in as Helm does."""
    text = values["podTemplate"].replace("{{ .Release.Name }}", "airflow")
    text = text.replace('{{ include "airflow_config" . }}', "airflow-config")
    assert "{{" not in text
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def connection(container: Any) -> Any:
    from airflow.sdk import Connection

    (text,) = (entry["value"] for entry in container["env"] if entry["name"] == "AIRFLOW_CONN_MLSECOPS_DEFAULT")
    return Connection.from_json(text, conn_id="mlsecops_default")


def test_only_keys_of_the_chart(values: dict[str, Any]) -> None:
    assert values.keys() <= CHART


def test_every_setting_exists(values: dict[str, Any]) -> None:
    description, _ = known_options()
    for section, options in values["config"].items():
        if section == "kubernetes_executor":  # of a provider that isn't installed here
            continue
        assert options.keys() <= description[section]["options"].keys(), section


def test_a_task_has_no_secret_of_airflow(values: dict[str, Any], pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert not [entry["name"] for entry in container["env"] if SECRET_SETTINGS.search(entry["name"])]
    assert all("valueFrom" not in entry for entry in container["env"])
    assert "envFrom" not in container
    assert not [volume for volume in spec["volumes"] if "secret" in volume]
    secrets = {values[name] for name in values if name.endswith("SecretName")} | set(values["data"].values())
    assert not [text for text in strings(pod) if any(secret in text for secret in secrets)]
    assert spec["automountServiceAccountToken"] is False


def test_a_task_is_confined(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert all(mount["readOnly"] for mount in container["volumeMounts"])
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}


def test_the_worker_signs_as_its_service_account(values: dict[str, Any], pod: dict[str, Any]) -> None:
    (container,) = pod["spec"]["containers"]
    settings = Settings.from_connection(connection(container))
    account = pod["spec"]["serviceAccountName"]
    assert account == values["workers"]["kubernetes"]["serviceAccount"]["name"]
    with pytest.raises(ConfigurationError, match=r"trust-config\.json"):  # all that is missing here is that file
        keyless_signer_from_uri(settings.signer)
    given = SignerUri.parse(settings.signer).parameters
    assert given["identity"] == f"https://kubernetes.io/namespaces/airflow/serviceaccounts/{account}"
    (token,) = (
        source["serviceAccountToken"]
        for volume in pod["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
    )
    assert token["audience"] == given["audience"]
    assert token["expirationSeconds"] == 600
    (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] == "sigstore-token")
    assert given["token"] == f"{mount['mountPath']}/{token['path']}"
    assert settings.log_signer.startswith("awskms:")
    assert settings.log_origin


@pytest.mark.parametrize("component", ["apiServer", "triggerer"])
def test_who_shows_and_who_waits_reads_the_workers_evidence_and_signs_nothing(
    values: dict[str, Any], pod: dict[str, Any], component: str
) -> None:
    settings = Settings.from_connection(connection(values[component]))
    assert (settings.signer, settings.log_signer, settings.passphrase) == ("", "", None)
    (container,) = pod["spec"]["containers"]
    signing = Settings.from_connection(connection(container))
    assert (settings.evidence_root, settings.trust_policy) == (signing.evidence_root, signing.trust_policy)
    folder = settings.trust_policy.rpartition("/")[0]
    (mount,) = (item for item in values[component]["extraVolumeMounts"] if item["mountPath"] == folder)
    assert mount["name"] in {volume["name"] for volume in values[component]["extraVolumes"]}
    assert values[component]["serviceAccount"] != values["workers"]["kubernetes"]["serviceAccount"]


def test_who_makes_tokens_has_the_key(values: dict[str, Any]) -> None:
    folder = values["config"]["api_auth"]["jwt_private_key_path"].rpartition("/")[0]
    for component in ("apiServer", "scheduler"):
        (mount,) = (item for item in values[component]["extraVolumeMounts"] if item["mountPath"] == folder)
        (volume,) = (item for item in values[component]["extraVolumes"] if item["name"] == mount["name"])
        assert volume["secret"]["secretName"] == "airflow-jwt-key"


def test_no_secret_stands_in_the_file(values: dict[str, Any]) -> None:
    for text in strings(values):
        assert not re.search(r"\w+://[^/\s]*:[^/\s@]+@", text)
        if text.startswith("{"):
            assert "password" not in json.loads(text)


def test_the_page_names_what_has_to_be_there(values: dict[str, Any], pod: dict[str, Any]) -> None:
    named = {values[name] for name in values if name.endswith("SecretName")} | set(values["data"].values())
    for volume in (*values["apiServer"]["extraVolumes"], *pod["spec"]["volumes"]):
        kinds = (("secret", "secretName"), ("configMap", "name"))
        named |= {volume[kind][key] for kind, key in kinds if kind in volume}
    for name in named - {"airflow-config"}:
        assert f"`{name}`" in PAGE, name
