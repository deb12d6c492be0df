"""What the author says of a model: a YAML or JSON file with a published schema, read strictly.

::

    model: {version: 1.2.0, licence: Apache-2.0, description: Reads hand-written digits., task: classification}
    data: {digits: {licence: CC-BY-4.0, description: 1,797 images of 8 x 8 pixels}}
    considerations:
      use_cases: [Sorting of scanned forms]
      limitations: [Never tried on photographs]
      ethical: [{risk: Left-handed writers are rare in the data, mitigation: Measured by subgroup}]
    environment: {activity: training, energy_kwh: 0.02, source: unknown, provider: on premises, co2_kg: 0.008}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json, jsonable
from airflow_mlsecops.core.config_file import load_mapping
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError

_WHAT = "model description"
_SCHEMA = "model-description-v1.json"


@dataclass(frozen=True)
class Told:
    """The author's words. All of them are foreign text to whoever shows them.

    Attributes:
        model: ``version``, ``licence``, ``description``, ``task``, ``approach``, ``architecture``, ``family``,
            ``authors``, ``inputs``, ``outputs``, ``metrics``.
        data: data set's name -> ``licence``, ``description``, ``sensitive``, ``owner``.
        considerations: ``users``, ``use_cases``, ``limitations``, ``tradeoffs``, ``ethical``, ``fairness``.
        environment: energy and carbon of one activity.
        digest: SHA-256 of the canonical JSON of all of it.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    considerations: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    digest: Sha256 = field(default_factory=lambda: sha256_bytes(b"{}"))

    @classmethod
    def from_bytes(cls, data: bytes) -> Told:
        """Read the file.

        Raises:
            ConfigurationError: naming what is unknown or of another type.
        """
        return cls.from_mapping(load_mapping(data, _WHAT, ConfigurationError))

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> Told:
        """Check against the schema's sections, keys and types.

        Raises:
            ConfigurationError: naming what is unknown or of another type.
        """
        from jsonschema import Draft202012Validator

        sections = dict(value)
        wrong = next(iter(Draft202012Validator(_schema()).iter_errors(sections)), None)
        if wrong is not None:
            place = ".".join(map(str, wrong.absolute_path)) or "at the top"
            raise ConfigurationError(
                f"the {_WHAT} is wrong, {place}: {wrong.message[:300]}", "see docs/how-to/describe-a-model.md"
            )
        return cls(
            **{name: sections.get(name, {}) for name in ("model", "data", "considerations", "environment")},
            digest=sha256_bytes(canonical_json(jsonable(sections))),
        )

    def words(self, key: str) -> Sequence[str]:
        """One of the lists of considerations."""
        found: Sequence[str] = self.considerations.get(key, ())
        return found


@cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files(__package__) / "schemas" / _SCHEMA).read_text(encoding="utf-8"))
    return found
