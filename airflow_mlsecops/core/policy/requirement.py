"""One requirement of a release policy, read strictly."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.config_file import brief, only_keys
from airflow_mlsecops.core.errors import PolicyError
from airflow_mlsecops.core.policy.licences import is_licence
from airflow_mlsecops.core.predicates import APPROVAL, BOM, PROVENANCE, SIGNATURE, TEST_RESULT
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.trust_signer import is_role

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_AGE = re.compile(r"([1-9][0-9]{0,5})([mhd])\Z")
_ASKABLE = (TEST_RESULT.slug, PROVENANCE.slug, SIGNATURE.slug, APPROVAL.slug, BOM.slug)
_COMMON = {"id", "evidence", "of", "max_age", "signed_by", "signer_roles"}
_OWN = {
    TEST_RESULT.slug: {"control", "verdicts", "metrics", "waivable"},
    BOM.slug: {"licences", "waivable"},
    APPROVAL.slug: {"count", "level", "approvers", "not_trainer", "requested"},
}
"""Keys that belong to one kind of evidence."""


class Of(StrEnum):
    """What a requirement speaks of."""

    MODEL = "model"
    DATASETS = "datasets"
    ALL_DATASETS = "all-datasets"
    BASE_MODELS = "base-models"
    SOURCES = "sources"


@dataclass(frozen=True)
class Limit:
    """What a metric may be, both ends included."""

    name: str
    least: float | None
    most: float | None

    def allows(self, value: object) -> bool:
        """Whether it is a finite number within the limits; everything else is none."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not _finite(value):
            return False
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        ends = ((self.least, "at least"), (self.most, "at most"))
        return f"{self.name} {' and '.join(f'{word} {end:g}' for end, word in ends if end is not None)}"


@dataclass(frozen=True)
class Requirement:
    """One thing that must be true.

    Attributes:
        evidence: slug of the predicate: test-result, provenance, signature, approval or bom.
        of: the model itself, or what its provenance leads to.
        control: of a test-result, which control.
        verdicts: of a test-result, which verdicts will do.
        max_age: how old the statement may be when the gate decides.
        signed_by: names from the trust policy, if not every signer with the role will do.
        count: of an approval, how many different people.
        id: what waivers and policies that extend this one call it; may be empty.
        signer_roles: roles of which the signer has to have one in the trust policy; empty if the usual ones will do.
        metrics: of a test-result, limits on what it measured.
        level: of an approval, how sure the identity has to be.
        approvers: of an approval, ids or names of who may give it; empty for everybody.
        not_trainer: of an approval, whether who triggered or signed the model doesn't count.
        requested: of an approval, whether it counts only under the terms of a signed request that it answers.
        licences: of a bill of materials, SPDX licences that will do; empty if it isn't asked.
        waivable: how long a waiver may hold; None if nobody may waive it.
    """

    evidence: str
    of: Of
    control: str = ""
    verdicts: frozenset[Verdict] = frozenset({Verdict.PASS})
    max_age: timedelta | None = None
    signed_by: frozenset[str] = frozenset()
    count: int = 1
    id: str = ""
    signer_roles: frozenset[str] = frozenset()
    metrics: tuple[Limit, ...] = ()
    level: Assurance = Assurance.RECORDED
    approvers: frozenset[str] = frozenset()
    not_trainer: bool = False
    requested: bool = False
    licences: frozenset[str] = frozenset()
    waivable: timedelta | None = None

    def __str__(self) -> str:
        return f"{self.control or self.evidence} of the {self.of}"


def read_requirement(item: Any, groups: Mapping[str, frozenset[str]]) -> Requirement:
    """Read one entry under ``require:``.

    Raises:
        PolicyError: if it is malformed, or has a key that belongs to another kind of evidence.
    """
    if not isinstance(item, dict):
        raise PolicyError(f"expected a requirement such as {{evidence: signature, of: model}}, got {brief(item)}")
    only_keys(item, _COMMON.union(*_OWN.values()), "a requirement", PolicyError)
    evidence, of = item.get("evidence"), item.get("of")
    if evidence not in _ASKABLE:
        raise PolicyError(f"requirement for unknown evidence {brief(evidence)}", f"known: {', '.join(_ASKABLE)}")
    if of not in tuple(Of):
        raise PolicyError(f"requirement of {brief(of)}", f"write 'of:' with one of {', '.join(Of)}")
    foreign = sorted(set(item) - _COMMON - _OWN.get(evidence, set()))
    if foreign:
        raise PolicyError(f"{', '.join(foreign)} of {evidence}", "it belongs to another kind of evidence")
    control, identifier = item.get("control", ""), item.get("id", "")
    if not isinstance(control, str) or (evidence == TEST_RESULT.slug) != bool(control):
        raise PolicyError(f"a test-result needs its control; got {brief(control)} with {evidence}")
    if not isinstance(identifier, str) or ("id" in item and not identifier) or ("waivable" in item and not identifier):
        raise PolicyError(f"id {brief(identifier)} of {evidence}", "give a text; what may be waived needs one")
    return Requirement(
        evidence=evidence,
        of=Of(of),
        control=control,
        verdicts=_verdicts(item.get("verdicts", [Verdict.PASS.value])),
        max_age=read_age(item, "max_age"),
        signed_by=names(item, "signed_by"),
        count=_count(item.get("count", 1)),
        id=identifier,
        signer_roles=_roles(item),
        metrics=_metrics(item),
        level=_level(item.get("level", Assurance.RECORDED.value)),
        approvers=frozenset().union(*(groups.get(name, {name}) for name in names(item, "approvers"))),
        not_trainer=_flag(item, "not_trainer"),
        requested=_flag(item, "requested"),
        licences=_licences(item),
        waivable=read_age(item, "waivable"),
    )


def names(item: Mapping[str, Any], key: str) -> frozenset[str]:
    """A list of texts; empty if the key isn't there.

    Raises:
        PolicyError: if it is there and is none, or is empty.
    """
    if key not in item:
        return frozenset()
    value = item[key]
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
        raise PolicyError(f"{key} {brief(value)}", "give a list of texts, or leave it out")
    return frozenset(value)


def read_age(item: Mapping[str, Any], key: str) -> timedelta | None:
    """A duration; None if the key isn't there.

    Raises:
        PolicyError: if it is there and is none.
    """
    if key not in item:
        return None
    match = _AGE.match(item[key]) if isinstance(item[key], str) else None
    if match is None:
        raise PolicyError(f"{key} {brief(item[key])}", "write 90m, 24h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _verdicts(value: Any) -> frozenset[Verdict]:
    allowed = (Verdict.PASS.value, Verdict.WARN.value)
    if not isinstance(value, list) or not value or any(item not in allowed for item in value):
        raise PolicyError(
            f"verdicts {brief(value)}", "give a list of 'pass' and 'warn'; a failed control never releases anything"
        )
    return frozenset(Verdict(item) for item in value)


def _metrics(item: Mapping[str, Any]) -> tuple[Limit, ...]:
    if "metrics" not in item:
        return ()
    value = item["metrics"]
    if not isinstance(value, dict) or not value:
        raise PolicyError(f"metrics {brief(value)}", "write {accuracy: {min: 0.9}}, or leave it out")
    limits = []
    for name, ends in value.items():
        if (
            not isinstance(name, str)
            or not name
            or not isinstance(ends, dict)
            or not ends
            or set(ends) - {"min", "max"}
        ):
            raise PolicyError(f"limit {brief(ends)} of the metric {brief(name)}", "give min, max or both")
        if not all(
            isinstance(end, int | float) and not isinstance(end, bool) and _finite(end) for end in ends.values()
        ):
            raise PolicyError(f"limit {brief(ends)} of the metric {brief(name)}", "give finite numbers")
        limit = Limit(name, ends.get("min"), ends.get("max"))
        if limit.least is not None and limit.most is not None and limit.least > limit.most:
            raise PolicyError(f"nothing can be {limit}", "swap min and max")
        limits.append(limit)
    return tuple(sorted(limits, key=lambda limit: limit.name))


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every double
        return False


def _roles(item: Mapping[str, Any]) -> frozenset[str]:
    roles = names(item, "signer_roles")
    if not all(map(is_role, roles)):
        raise PolicyError(f"signer_roles {brief(sorted(roles))}", "see the roles of the trust policy")
    return roles


def _licences(item: Mapping[str, Any]) -> frozenset[str]:
    licences = names(item, "licences")
    if not all(map(is_licence, licences)):
        raise PolicyError(f"licences {brief(sorted(licences))}", "list single SPDX ids, such as Apache-2.0")
    return licences


def _level(value: Any) -> Assurance:
    if value not in tuple(Assurance):
        raise PolicyError(f"level {brief(value)}", f"write one of {', '.join(Assurance)}")
    return Assurance(value)


def _flag(item: Mapping[str, Any], key: str) -> bool:
    value = item.get(key, False)
    if not isinstance(value, bool):
        raise PolicyError(f"{key} {brief(value)}", "write true or false")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise PolicyError(f"count {brief(value)}", "give a whole number from 1 on")
    return value
