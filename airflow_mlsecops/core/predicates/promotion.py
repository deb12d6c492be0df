"""A model version was released to a stage: ours, ``promotion/v1``.

Its subjects are the model's bytes and the model's name (:data:`.topic.MODEL_LINE`). Each names the one before it, so
that the promotions of one name are a chain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import digest_set, mapping, objects, text
from airflow_mlsecops.core.predicates.topic import MODEL_LINE, Topic
from airflow_mlsecops.core.predicates.types import PROMOTION
from airflow_mlsecops.core.statement import Statement

MAX_REASON = 4000
_WORDS = {
    "name": re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}"),
    "version": re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}"),
    "stage": re.compile(r"[a-z0-9][a-z0-9._-]{0,63}"),
}


class Action(StrEnum):
    """How a stage got its version: forward, or back to one that it had before."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class Release:
    """Which version of which model goes to which stage.

    Attributes:
        name: the model's name, such as ``digits`` or ``fraud/scoring``.
        version: letters, digits and ``._+-``; of one name it stands for the same bytes for ever.
        stage: lower case, such as ``production``.
        action: forward or back.
        reason: why, in a person's words; a rollback needs one.
    """

    name: str
    version: str
    stage: str
    action: Action = Action.PROMOTE
    reason: str = ""

    def check(self) -> None:
        """Refuse names that can't be told apart or shown.

        Raises:
            StatementError: naming the field.
        """
        for field, pattern in _WORDS.items():
            value = getattr(self, field)
            if not isinstance(value, str) or not pattern.fullmatch(value):
                raise StatementError(f"{field}: expected text like {pattern.pattern}, got {str(value)[:80]!r}")
        if self.action is Action.ROLLBACK and not self.reason.strip():
            raise StatementError("a rollback needs a reason", "say why, for whoever reads the history")

    @property
    def topic(self) -> Topic:
        """The subject under which all releases of the name lie."""
        return Topic(MODEL_LINE, self.name)


@dataclass(frozen=True)
class Promotion:
    """What a verified promotion statement says.

    Attributes:
        release: name, version, stage, action, reason.
        artifact: the bytes, as they were pinned.
        previous: evidence digest of the promotion of this name before it; ``None`` of the first.
        replaces: evidence digest of the promotion whose version stood at the stage before; ``None`` if none did.
        policy_name: name of the release policy under which a gate had said YES.
        policy: its SHA-256.
        evidence: digest of every statement that the promotion rests on, the gate's decision among them.
        changes: what is different from what it replaces; see :mod:`airflow_mlsecops.core.releases.changes`.
        promoted_at: when, by the signer's clock.
    """

    release: Release
    artifact: Artifact
    previous: Sha256 | None
    replaces: Sha256 | None
    policy_name: str
    policy: Sha256
    evidence: tuple[Sha256, ...]
    changes: Mapping[str, Any]
    promoted_at: datetime


def build(promotion: Promotion, run: Mapping[str, Any]) -> Statement:
    """The statement that a version goes to a stage.

    Raises:
        StatementError: if a name, version or stage is refused, or a rollback has no reason.
    """
    release = promotion.release
    release.check()
    links = {"previous": promotion.previous, "replaces": promotion.replaces}
    return Statement.build(
        [promotion.artifact, release.topic],
        PROMOTION.uri,
        {
            "name": release.name,
            "version": release.version,
            "stage": release.stage,
            "action": release.action.value,
            "reason": release.reason[:MAX_REASON],
            "artifact": promotion.artifact.to_dict(),
            **{key: {"digest": {"sha256": digest}} for key, digest in links.items() if digest},
            "policy": {"name": promotion.policy_name, "digest": {"sha256": promotion.policy}},
            "evidence": _digests(promotion.evidence),
            "changes": dict(promotion.changes),
            "promotedAt": to_text(promotion.promoted_at),
            "run": dict(run),
        },
    )


def parse(statement: Statement) -> Promotion:
    """Read a promotion statement.

    Raises:
        StatementError: if a field is missing or of another type.
    """
    if statement.predicate_type != PROMOTION.uri:
        raise StatementError(f"expected {PROMOTION.uri}, got {statement.predicate_type}")
    value = statement.predicate
    try:
        action = Action(text(value, "action"))
    except ValueError as error:
        raise StatementError(f"unknown action {value.get('action')!r}") from error
    release = Release(text(value, "name"), text(value, "version"), text(value, "stage"), action, text(value, "reason"))
    release.check()
    artifact = Artifact.from_dict(mapping(value, "artifact"))
    policy = mapping(value, "policy")
    return Promotion(
        release=release,
        artifact=artifact,
        previous=_link(value, "previous"),
        replaces=_link(value, "replaces"),
        policy_name=text(policy, "name"),
        policy=digest_set(policy),
        evidence=tuple(parse_sha256(mapping(item, "digest").get("sha256")) for item in objects(value, "evidence")),
        changes=mapping(value, "changes"),
        promoted_at=from_text(text(value, "promotedAt")),
    )


def check_subjects(statement: Statement, said: Promotion) -> None:
    """Refuse a promotion that lies where it doesn't belong.

    Raises:
        StatementError: if it is about something else than its artifact and its name.
    """
    if set(statement.identities) != {said.artifact.identity, said.release.topic.identity}:
        raise StatementError("a promotion has to be about its artifact and its name, and nothing else")


def _digests(digests: Sequence[str]) -> list[dict[str, Any]]:
    return [{"digest": {"sha256": digest}} for digest in sorted(digests)]


def _link(value: Mapping[str, Any], key: str) -> Sha256 | None:
    return digest_set(mapping(value, key)) if key in value else None
