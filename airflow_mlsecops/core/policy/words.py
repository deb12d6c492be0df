"""A policy in plain words: what it demands, and what a model still lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from airflow_mlsecops.core.policy.evaluate import Outcome
from airflow_mlsecops.core.policy.release_policy import ReleasePolicy
from airflow_mlsecops.core.policy.requirement import Of, Requirement
from airflow_mlsecops.core.predicates import APPROVAL, BOM, PROVENANCE, SIGNATURE, TEST_RESULT
from airflow_mlsecops.core.predicates.approval import Assurance

_OF = {
    Of.MODEL: "the model",
    Of.DATASETS: "each data set that it was made from",
    Of.ALL_DATASETS: "each data set that it came from, however far back",
    Of.BASE_MODELS: "each model that it came from, however far back",
    Of.SOURCES: "each data set and model that it came from, however far back",
}
ADVICE = {
    "evidence-missing": "make the statement: run the control, sign, describe or attest it; or ask whoever should have",
    "evidence-stale": "run it again",
    "verdict": "look at its findings, mend what they show, and run it again",
    "metric": "improve the model or the data, and run it again",
    "approvals-missing": "ask for approvals",
    "rejected": "talk to whoever rejected it",
    "trainer-unknown": "let a run that somebody triggered train it, so that provenance names them",
    "licence": "use another source, or have the licence allowed",
    "licence-missing": "describe it with its licence",
    "policy-not-trusted": "give a policy whose sha256 stands under release_policies in the trust policy",
    "no-dataset": "attest the model with its inputs",
    "signers-missing": "have others check or sign it too",
    "artifact-revoked": "don't use it; train without what was withdrawn",
}
"""What to do about a reason, where there is something to say."""


def demands(policy: ReleasePolicy) -> list[str]:
    """One sentence per requirement, and what was taken out."""
    said = [demand(requirement) for requirement in policy.require]
    said += [f"Not asked for here: {identifier}, because {reason}" for identifier, reason in policy.without]
    if policy.valid_for is not None:
        said.append(f"A release holds for {span(policy.valid_for)}.")
    return said


def demand(requirement: Requirement) -> str:
    """One requirement as a sentence."""
    text = _WHAT[requirement.evidence](requirement)
    if requirement.max_age is not None:
        text += f", no older than {span(requirement.max_age)}"
    if requirement.signed_by:
        text += f", signed by {_any(requirement.signed_by)}"
    if requirement.signer_roles:
        text += f", by a signer with the role {_any(requirement.signer_roles)}"
    head = f"{requirement.id}: " if requirement.id else ""
    waivable = f" It may be waived for {span(requirement.waivable)} at most." if requirement.waivable else ""
    return f"{head}{text}.{waivable}"


def lacks(outcomes: Iterable[Outcome]) -> list[tuple[str, str]]:
    """What doesn't hold and isn't waived, each with what to do."""
    return [
        (
            f"{f'{item.about}: ' if item.about else ''}{item.reason.text}",
            ADVICE.get(item.reason.code, f"see [{item.reason.code}] in the reference of errors and reasons"),
        )
        for item in outcomes
        if item.reason is not None and not item.waived
    ]


def span(time: timedelta) -> str:
    """A duration as people say it."""
    minutes = int(time.total_seconds()) // 60
    size, word = next(pair for pair in ((1440, "day"), (60, "hour"), (1, "minute")) if minutes % pair[0] == 0)
    count = minutes // size
    return f"{count} {word}{'' if count == 1 else 's'}"


def _any(names: Iterable[object]) -> str:
    return " or ".join(sorted(map(str, names)))


def _control(requirement: Requirement) -> str:
    text = f"For {_OF[requirement.of]} the control {requirement.control} says {_any(requirement.verdicts)}"
    return text + "".join(f", with {limit}" for limit in requirement.metrics)


def _approval(requirement: Requirement) -> str:
    people = "one person" if requirement.count == 1 else f"{requirement.count} different people"
    text = f"{people[0].upper()}{people[1:]} approved {_OF[requirement.of]}"
    if requirement.approvers:
        text += f", of {', '.join(sorted(requirement.approvers))}"
    if requirement.not_trainer:
        text += ", none of whom triggered or signed it"
    if requirement.level is Assurance.SIGNED:
        text += ", each with a key of their own"
    return text + (", as a signed request asked them to" if requirement.requested else "")


def _bill(requirement: Requirement) -> str:
    text = f"There is a bill of materials of {_OF[requirement.of]}"
    if requirement.licences:
        text = f"The licence of {_OF[requirement.of]} is known and covered by {', '.join(sorted(requirement.licences))}"
    return text


_WHAT: dict[str, Callable[[Requirement], str]] = {
    TEST_RESULT.slug: _control,
    APPROVAL.slug: _approval,
    BOM.slug: _bill,
    PROVENANCE.slug: lambda requirement: f"It is attested what {_OF[requirement.of]} was made from",
    SIGNATURE.slug: lambda requirement: f"Somebody signed {_OF[requirement.of]}",
}
