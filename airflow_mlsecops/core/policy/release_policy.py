"""The release policy: one YAML file, read strictly. ``schemas/release-policy-v1.json`` is its published schema.

Example::

    version: 1
    name: production
    valid_for: 90d                  # how long a release may be used; no end if left out
    require:
      - {evidence: test-result, control: data-validation, of: datasets, verdicts: [pass, warn], max_age: 7d}
      - {evidence: provenance, of: model}
      - {evidence: signature, of: model, signed_by: [pipeline]}
      - {evidence: approval, of: model, count: 2}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.config_file import brief, is_version, load_mapping, only_keys
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import PolicyError
from airflow_mlsecops.core.predicates import APPROVAL, PROVENANCE, SIGNATURE, TEST_RESULT
from airflow_mlsecops.core.report import Verdict

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_AGE = re.compile(r"([1-9][0-9]{0,5})([mhd])\Z")
_KEYS = {"evidence", "of", "control", "verdicts", "max_age", "signed_by", "count"}
_ASKABLE = (TEST_RESULT.slug, PROVENANCE.slug, SIGNATURE.slug, APPROVAL.slug)


class Of(StrEnum):
    """What a requirement speaks of."""

    MODEL = "model"
    DATASETS = "datasets"


@dataclass(frozen=True)
class Requirement:
    """One thing that must be true.

    Attributes:
        evidence: slug of the predicate: test-result, provenance, signature or approval.
        of: the model itself, or every data set that its provenance names (at least one).
        control: of a test-result, which control.
        verdicts: of a test-result, which verdicts will do.
        max_age: how old the statement may be when the gate decides.
        signed_by: names from the trust policy, if not every signer with the role will do.
        count: of an approval, how many different people.
    """

    evidence: str
    of: Of
    control: str = ""
    verdicts: frozenset[Verdict] = frozenset({Verdict.PASS})
    max_age: timedelta | None = None
    signed_by: frozenset[str] = frozenset()
    count: int = 1

    def __str__(self) -> str:
        return f"{self.control or self.evidence} of the {self.of}"


@dataclass(frozen=True)
class ReleasePolicy:
    """A release policy and the digest of the file it came from."""

    name: str
    require: tuple[Requirement, ...]
    valid_for: timedelta | None
    digest: Sha256

    @classmethod
    def from_bytes(cls, data: bytes) -> ReleasePolicy:
        """Read a policy.

        Raises:
            PolicyError: if it is malformed, has unknown keys, or requires nothing.
        """
        value = load_mapping(data, "release policy", PolicyError)
        only_keys(value, {"version", "name", "valid_for", "require"}, "the release policy", PolicyError)
        if not is_version(value.get("version"), 1):
            raise PolicyError(
                f"release policy of version {brief(value.get('version'))}", "this release reads version 1"
            )
        name, items = value.get("name"), value.get("require")
        if not isinstance(name, str) or not name:
            raise PolicyError("the release policy has no name", "add 'name:'")
        if not isinstance(items, list) or not items:
            raise PolicyError(
                "the release policy requires nothing", "a gate that asks for nothing would let everything through"
            )
        require = tuple(_requirement(item) for item in items)
        if len(set(require)) != len(require):
            raise PolicyError("a requirement stands twice in the release policy", "remove one of them")
        return cls(name, require, _age(value, "valid_for"), sha256_bytes(data))


def _requirement(item: Any) -> Requirement:
    if not isinstance(item, dict):
        raise PolicyError(f"expected a requirement such as {{evidence: signature, of: model}}, got {brief(item)}")
    only_keys(item, _KEYS, "a requirement", PolicyError)
    evidence, of = item.get("evidence"), item.get("of")
    if evidence not in _ASKABLE:
        raise PolicyError(f"requirement for unknown evidence {brief(evidence)}", f"known: {', '.join(_ASKABLE)}")
    if of not in tuple(Of):
        raise PolicyError(f"requirement of {brief(of)}", "write 'of: model' or 'of: datasets'")
    control = item.get("control", "")
    if not isinstance(control, str) or (evidence == TEST_RESULT.slug) != bool(control):
        raise PolicyError(
            f"'control' belongs to test-result, and test-result needs it; got {brief(control)} with {evidence}"
        )
    if evidence != TEST_RESULT.slug and "verdicts" in item:
        raise PolicyError(f"'verdicts' belongs to test-result, not to {evidence}")
    if evidence != APPROVAL.slug and "count" in item:
        raise PolicyError(f"'count' belongs to approval, not to {evidence}")
    return Requirement(
        evidence=evidence,
        of=Of(of),
        control=control,
        verdicts=_verdicts(item.get("verdicts", [Verdict.PASS.value])),
        max_age=_age(item, "max_age"),
        signed_by=_names(item),
        count=_count(item.get("count", 1)),
    )


def _verdicts(value: Any) -> frozenset[Verdict]:
    allowed = (Verdict.PASS.value, Verdict.WARN.value)
    if not isinstance(value, list) or not value or any(item not in allowed for item in value):
        raise PolicyError(
            f"verdicts {brief(value)}", "give a list of 'pass' and 'warn'; a failed control never releases anything"
        )
    return frozenset(Verdict(item) for item in value)


def _names(item: dict[str, Any]) -> frozenset[str]:
    if "signed_by" not in item:
        return frozenset()
    value = item["signed_by"]
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise PolicyError(
            f"signed_by {brief(value)}", "give a list of signers' names from the trust policy, or leave it out"
        )
    return frozenset(value)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise PolicyError(f"count {brief(value)}", "give a whole number from 1 on")
    return value


def _age(item: dict[str, Any], key: str) -> timedelta | None:
    if key not in item:
        return None
    match = _AGE.match(item[key]) if isinstance(item[key], str) else None
    if match is None:
        raise PolicyError(f"{key} {brief(item[key])}", "write 90m, 24h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
