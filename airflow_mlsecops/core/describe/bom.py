"""The CycloneDX 1.6 ML-BOM: built here, because the library has no model cards; validated by the library's schema.

Source: https://cyclonedx.org/docs/1.6/json/ and https://cyclonedx.org/capabilities/mlbom/
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_mlsecops import __version__
from airflow_mlsecops.core.canonical import canonical_json, jsonable
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.describe.content import Content
from airflow_mlsecops.core.describe.lineage import as_text
from airflow_mlsecops.core.describe.packages import package_url
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import ConfigurationError, MissingExtraError
from airflow_mlsecops.core.predicates.bom import MODEL_CARD, PROPERTY, RUN

SPEC = "1.6"
_MODEL_REF = "model"
_NAMESPACE = uuid.UUID("6f6c1e6e-3ea9-5d0f-8a56-0c1b0e3c9a11")
MAX_FILES = 1000
_RUN = ("dag_id", "run_id", "task_id", "map_index", "try_number")


def build_bom(content: Content, cards: Mapping[str, Sha256]) -> dict[str, Any]:
    """The document; deterministic for the same content and time.

    Args:
        content: what is known of the model.
        cards: name -> address of the model cards.

    Raises:
        ConfigurationError: if the author's words don't make a valid document.
        MissingExtraError: if the library with the schema isn't installed.
    """
    datasets = [_dataset(item.name, item.digest, item.kind, content) for item in content.lineage.inputs]
    libraries = [_library(name, version, content) for name, version in sorted(content.packages.items())]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "version": 1,
        "metadata": {
            "timestamp": to_text(content.made_at),
            "tools": {"components": [{"type": "application", "name": "airflow-mlsecops", "version": __version__}]},
            "component": _model(content, cards),
            **({"properties": [_property(RUN + name, str(content.run[name])) for name in _RUN]} if content.run else {}),
        },
        "components": [*datasets, *libraries],
        "dependencies": [
            {
                "ref": _MODEL_REF,
                "dependsOn": sorted(
                    item["bom-ref"] for item in [*datasets, *libraries] if item.get("scope") != "optional"
                ),
            }
        ],
    }
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, canonical_json(jsonable(document)).hex())}"
    check(document)
    return document


def check(document: Mapping[str, Any]) -> None:
    """Validate against the strict schema.

    Raises:
        ConfigurationError: naming the first place that isn't valid.
        MissingExtraError: if the library isn't installed.
    """
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError as error:
        raise MissingExtraError(
            "bills of materials need cyclonedx-python-lib", "install airflow-mlsecops[describe]"
        ) from error
    wrong: Any = JsonStrictValidator(SchemaVersion.V1_6).validate_str(canonical_json(jsonable(dict(document))).decode())
    if wrong is not None:
        told = str(wrong).splitlines()[0][:300]
        raise ConfigurationError(
            f"the bill of materials isn't valid CycloneDX {SPEC}: {told}", "correct the description"
        )


def _model(content: Content, cards: Mapping[str, Sha256]) -> dict[str, Any]:
    artifact, told = content.artifact, content.told.model
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": _MODEL_REF,
        "name": artifact.name or "model",
        **_text(version=told.get("version"), description=told.get("description")),
        **_authors(told.get("authors", ())),
        **_licences(told.get("licence", "")),
        "hashes": [_hash(artifact.digest)],
        "modelCard": _card(content),
        "properties": [
            _property("form", artifact.form.value),
            _property("sha256", artifact.digest),
            *(_property(f"parameter:{name}", as_text(value)) for name, value in _sorted(content.lineage.parameters)),
            *(_property(f"code:{name}", f"sha256:{digest}") for name, digest in _sorted(content.lineage.code)),
            _property("packages-of", content.packages_of),
            _property("description-sha256", content.told.digest),
        ],
        "externalReferences": [
            {"type": MODEL_CARD, "url": f"urn:sha256:{digest}", "comment": name, "hashes": [_hash(digest)]}
            for name, digest in sorted(cards.items())
        ],
    }
    if content.manifest is not None:
        entries = content.manifest.entries[:MAX_FILES]
        component["components"] = [
            {"type": "file", "bom-ref": f"file:{each.name}", "name": each.name, "hashes": [_hash(each.sha256)]}
            for each in entries
        ]
        component["properties"].append(_property("files", str(artifact.files)))
        del component["hashes"]
    return component


def _card(content: Content) -> dict[str, Any]:
    told = content.told.model
    parameters: dict[str, Any] = {
        **({"approach": {"type": told["approach"]}} if "approach" in told else {}),
        **_text(task=content.task, architectureFamily=told.get("family"), modelArchitecture=content.architecture),
        "datasets": [{"ref": _ref(item.digest)} for item in content.lineage.inputs],
        **{key: [{"format": each} for each in told[key]] for key in ("inputs", "outputs") if told.get(key)},
    }
    metrics = [
        {
            "type": each.name,
            "value": f"{each.value:.6g}",
            **({"slice": each.slice} if each.slice else {}),
            **(
                {"confidenceInterval": {"lowerBound": f"{each.low:.6g}", "upperBound": f"{each.high:.6g}"}}
                if each.low is not None and each.high is not None
                else {}
            ),
        }
        for each in content.metrics
    ]
    return {
        "modelParameters": parameters,
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "considerations": _considerations(content),
    }


def _considerations(content: Content) -> dict[str, Any]:
    told = content.told.considerations
    lists = {
        "users": content.told.words("users"),
        "useCases": content.told.words("use_cases"),
        "technicalLimitations": content.limits,
        "performanceTradeoffs": content.told.words("tradeoffs"),
    }
    ethical = [
        {"name": item["risk"], **_text(mitigationStrategy=item.get("mitigation"))} for item in told.get("ethical", ())
    ]
    fairness = [
        {
            "groupAtRisk": item["group"],
            **_text(**{key: item.get(key) for key in ("benefits", "harms")}, mitigationStrategy=item.get("mitigation")),
        }
        for item in told.get("fairness", ())
    ]
    found: dict[str, Any] = {key: list(value) for key, value in lists.items() if value}
    if ethical:
        found["ethicalConsiderations"] = ethical
    if fairness:
        found["fairnessAssessments"] = fairness
    if content.told.environment:
        found["environmentalConsiderations"] = {"energyConsumptions": [_energy(content.told.environment)]}
    return found


def _energy(told: Mapping[str, Any]) -> dict[str, Any]:
    cost = {"value": told["energy_kwh"], "unit": "kWh"}
    carbon = {"co2CostEquivalent": {"value": told["co2_kg"] / 1000, "unit": "tCO2eq"}} if "co2_kg" in told else {}
    provider = {
        "organization": {"name": told.get("provider", "unknown")},
        "energySource": told.get("source", "unknown"),
        "energyProvided": cost,
    }
    return {
        "activity": told.get("activity", "training"),
        "energyProviders": [provider],
        "activityEnergyCost": cost,
        **carbon,
    }


def _dataset(name: str, digest: str, kind: str, content: Content) -> dict[str, Any]:
    told = content.told.data.get(name, {})
    base = kind == "model"
    data = {
        "type": "dataset",
        "name": name or digest[:12],
        **_text(description=told.get("description")),
        **({"sensitiveData": list(told["sensitive"])} if told.get("sensitive") else {}),
        **({"governance": {"owners": [{"organization": {"name": told["owner"]}}]}} if told.get("owner") else {}),
    }
    return {
        "type": "machine-learning-model" if base else "data",
        "bom-ref": _ref(digest),
        "name": name or digest[:12],
        **_licences(told.get("licence", "")),
        "hashes": [_hash(digest)],
        **({} if base else {"data": [data]}),
    }


def _library(name: str, version: str, content: Content) -> dict[str, Any]:
    purl = package_url(name, version)
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "scope": "required" if name in content.needed else "optional",
    }


def _licences(licence: str) -> dict[str, Any]:
    """An SPDX id, an expression, or a name that SPDX doesn't know."""
    if not licence:
        return {}
    try:
        from cyclonedx.spdx import is_expression, is_supported_id
    except ImportError as error:
        raise MissingExtraError(
            "bills of materials need cyclonedx-python-lib", "install airflow-mlsecops[describe]"
        ) from error
    if is_supported_id(licence):
        return {"licenses": [{"license": {"id": licence}}]}
    if is_expression(licence):
        return {"licenses": [{"expression": licence}]}
    return {"licenses": [{"license": {"name": licence}}]}


def _authors(names: Iterable[str]) -> dict[str, Any]:
    found = [{"name": name} for name in names]
    return {"authors": found} if found else {}


def _text(**values: Any) -> dict[str, str]:
    return {key: str(value) for key, value in values.items() if value}


def _sorted(values: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    return sorted((values or {}).items())


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _ref(digest: str) -> str:
    return f"sha256:{digest}"


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"{PROPERTY}{name}", "value": value}
