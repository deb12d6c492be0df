"""The baseline that expectations are evaluated against, for the time of one evaluation.

Suites stay plain JSON, and Great Expectations hands an expectation nothing but its arguments; so a verified profile
reaches both engines by this one way, and never from a suite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.profile.model import Profile
from airflow_mlsecops.core.profile.table_schema import Schema


@dataclass(frozen=True)
class Baseline:
    """A profile that counts, and why it does.

    Attributes:
        profile: what the data set looked like.
        dataset: SHA-256 of that data set.
        name: what it is called in the statement.
        evidence: the bundle's digest.
        blob: the profile's digest.
        signers: names of those who signed it.
        asked: what was asked for, e.g. ``last-released``.
        released: SHA-256 of the model whose release made it the last released one; empty otherwise.
    """

    profile: Profile
    dataset: str
    name: str
    evidence: Sha256
    blob: str
    signers: tuple[str, ...]
    asked: str = ""
    released: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the statement of whoever compared with it."""
        released = {"released_model_sha256": self.released} if self.released else {}
        return {
            "asked": self.asked,
            "dataset": self.name,
            "dataset_sha256": self.dataset,
            "profile_evidence_sha256": self.evidence,
            "profile_sha256": self.blob,
            "signed_by": list(self.signers),
            **released,
        }


@dataclass(frozen=True)
class NoBaseline:
    """Why there is none. What needs one fails with this reason."""

    reason: str = "no baseline was given"
    asked: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the statement."""
        return {"asked": self.asked, "missing": self.reason}


@dataclass(frozen=True)
class Surroundings:
    """What an evaluation has besides the suite.

    Attributes:
        baseline: the one to compare with, or why there is none.
        schema: the table's own, as its file says; ``None`` if only a frame is at hand.
    """

    baseline: Baseline | NoBaseline = field(default_factory=NoBaseline)
    schema: Schema | None = None


_CURRENT: ContextVar[Surroundings] = ContextVar("mlsecops_baseline", default=Surroundings())  # noqa: B039 - frozen


@contextmanager
def using(baseline: Baseline | NoBaseline | None, schema: Schema | None = None) -> Iterator[None]:
    """Evaluate expectations against this baseline."""
    token = _CURRENT.set(Surroundings(baseline or NoBaseline(), schema))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Surroundings:
    """What the evaluation that runs now has; without one there is no baseline."""
    return _CURRENT.get()


def described(baseline: Baseline | NoBaseline | None) -> Mapping[str, Any]:
    """For a report's parameters: nothing if none was asked for."""
    return {} if baseline is None else {"baseline": baseline.to_dict()}
