"""Cases that a policy is tried on: example evidence, and what the policy has to say to it.

Example::

    version: 1
    artifacts: {model: model, digits: dataset}
    evidence:
      signed: {of: model, evidence: signature}
      scan: {of: model, evidence: test-result, control: model-scan, age: 2d}
    cases:
      - {name: all there, expect: yes}
      - {name: not scanned, without: [scan], expect: no, reasons: [evidence-missing]}
      - {name: scan failed, change: {scan: {verdict: fail}}, expect: no, reasons: [verdict]}
      - {name: withdrawn, revoked: [digits], expect: no}

The artifact called ``model`` is the one that goes out. Reasons are codes; if they are given, they have to be all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.config_file import brief, is_version, load_mapping, only_keys
from airflow_mlsecops.core.errors import PolicyError, StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet, Refused
from airflow_mlsecops.core.policy.decision import Decision
from airflow_mlsecops.core.policy.evaluate import evaluate
from airflow_mlsecops.core.policy.facts import Facts, example_artifact
from airflow_mlsecops.core.policy.gather import Dossier, Source, datasets_of, sources_of
from airflow_mlsecops.core.policy.release_policy import ReleasePolicy
from airflow_mlsecops.core.policy.requirement import names

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "model"
_CASE = {"name", "expect", "reasons", "waived", "without", "with", "change", "revoked"}


@dataclass(frozen=True)
class CaseResult:
    """What came of one case; ``bool(result)`` is true if it is as expected.

    Attributes:
        name: of the case.
        decision: what the policy says.
        wrong: what isn't as expected, in a sentence; empty if all is.
    """

    name: str
    decision: Decision
    wrong: str

    def __bool__(self) -> bool:
        return not self.wrong


def try_cases(policy: ReleasePolicy, data: bytes) -> list[CaseResult]:
    """Evaluate a policy over each case of a file.

    Raises:
        PolicyError: if the file can't be read, or has no case.
    """
    value = load_mapping(data, "file of cases", PolicyError)
    only_keys(value, {"version", "artifacts", "evidence", "cases"}, "the file of cases", PolicyError)
    if not is_version(value.get("version"), 1):
        raise PolicyError(f"cases of version {brief(value.get('version'))}", "this release reads version 1")
    kinds, cases = value.get("artifacts"), value.get("cases")
    if not isinstance(kinds, dict) or MODEL not in kinds or not all(kind in tuple(Kind) for kind in kinds.values()):
        raise PolicyError(f"artifacts {brief(kinds)}", "write {model: model, digits: dataset}")
    if not isinstance(cases, list) or not cases:
        raise PolicyError("the file has no case", "what isn't tried says nothing")
    artifacts = {str(name): example_artifact(str(name), kind) for name, kind in kinds.items()}
    given = _facts(value.get("evidence", {}))
    try:
        return [_try(policy, _case(item), artifacts, given) for item in cases]
    except StatementError as error:
        raise PolicyError(f"a fact that no statement could say: {error.message}", error.advice) from error


def _case(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise PolicyError(f"a case {brief(item)}", "write {name: …, expect: yes}")
    only_keys(item, _CASE, "a case", PolicyError)
    if not isinstance(item.get("name"), str) or not item["name"]:
        raise PolicyError("a case has no name", "add 'name:'")
    if not isinstance(item.get("expect"), bool):
        raise PolicyError(f"case {item['name']}: expect {brief(item.get('expect'))}", "write yes or no")
    return item


def _facts(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(fact, dict) for fact in value.values()):
        raise PolicyError(f"evidence {brief(value)}", "write {signed: {of: model, evidence: signature}}")
    return value


def _try(
    policy: ReleasePolicy, case: dict[str, Any], artifacts: Mapping[str, Artifact], given: dict[str, dict[str, Any]]
) -> CaseResult:
    facts = {**given, **_facts(case.get("with", {}))}
    for name, change in _facts(case.get("change", {})).items():
        facts[name] = {**_known(facts, name, case), **change}
    said = dict(facts)  # what is left out can still be named
    for name in names(case, "without"):
        _known(facts, name, case)
        del facts[name]
    for name in names(case, "revoked"):
        _known(artifacts, name, case)
    reader = Facts(artifacts, NOW, policy.name, said)
    dossier = _dossier(artifacts, [reader.evidence(fact) for fact in facts.values()], names(case, "revoked"))
    decision = evaluate(policy, dossier, NOW)
    return CaseResult(case["name"], decision, _wrong(case, decision))


def _known(known: Mapping[str, Any], name: str, case: dict[str, Any]) -> Any:
    if name not in known:
        raise PolicyError(f"case {case['name']}: nothing is called {brief(name)}", f"known: {', '.join(known)}")
    return known[name]


def _wrong(case: dict[str, Any], decision: Decision) -> str:
    if bool(decision) is not case["expect"]:
        why = "; ".join(map(str, decision.reasons)) or "nothing speaks against it"
        return f"expected {'YES' if case['expect'] else 'NO'}, got {'YES' if decision else 'NO'}: {why}"
    expected, found = names(case, "reasons"), {reason.code for reason in decision.reasons}
    if expected and expected != found:
        return f"expected the reasons {', '.join(sorted(expected))}, got {', '.join(sorted(found))}"
    if "waived" in case and case["waived"] != len(decision.waived):
        return f"expected {brief(case['waived'])} waived, got {len(decision.waived)}"
    return ""


def _dossier(
    artifacts: Mapping[str, Artifact], said: list[tuple[str, Evidence, bool]], revoked: frozenset[str]
) -> Dossier:
    """As gathering would make it; every artifact of the file is looked at as far as provenance leads to it."""
    sets: dict[str, EvidenceSet] = {}
    for name, artifact in artifacts.items():
        verified = tuple(item for about, item, withdrawn in said if about == name and not withdrawn)
        withdrawn = tuple(item for about, item, withdrawn in said if about == name and withdrawn)
        broken = (Refused("", name, "artifact-revoked", "as the example says"),) if name in revoked else ()
        sets[artifact.digest] = EvidenceSet(artifact.digest, verified, (), broken, withdrawn)
    model = artifacts[MODEL]
    direct = sources_of(sets[model.digest])
    met, level = {item.digest: Source(item.name, item.kind, item.digest, True) for item in direct}, list(direct)
    while level:
        further = [item for source in level for item in sources_of(sets[source.digest])]
        level = [item for item in further if item.digest not in met and item.digest != model.digest]
        met |= {item.digest: Source(item.name, item.kind, item.digest, False) for item in level}
    near = tuple((item.name, item.digest) for item in datasets_of(sets[model.digest]))
    reached: dict[str, EvidenceSet] = {digest: sets[digest] for digest in (model.digest, *met)}
    return Dossier(model.digest, reached, near, sources=tuple(met.values()))
