"""Whether a table has the schema that it is pinned to: by a digest in the suite, or by the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_mlsecops.core.profile.baseline import Baseline, NoBaseline
from airflow_mlsecops.core.profile.table_schema import Schema, difference, digest_of


@dataclass(frozen=True)
class Judged:
    """The answer.

    Attributes:
        held: whether it is that schema.
        observed: what differs, or the digest that was found.
        trouble: why it can't be told.
    """

    held: bool
    observed: str = ""
    trouble: str = ""


def judge_schema(found: Schema, pinned: str | None, baseline: Baseline | NoBaseline) -> Judged:
    """Hold a schema against the pinned digest or, without one, against the baseline's."""
    digest = digest_of(found)
    expected: Schema | None = None if isinstance(baseline, NoBaseline) else baseline.profile.schema
    if pinned is None:
        if expected is None:
            assert isinstance(baseline, NoBaseline)
            return Judged(False, trouble=baseline.reason)
        pinned = digest_of(expected)
    if digest == pinned:
        return Judged(True, f"sha256:{digest}")
    # The words come from a baseline with the pinned schema only; of any other they would mislead.
    known = expected if expected is not None and digest_of(expected) == pinned else None
    return Judged(False, (difference(known, found) if known else "") or f"sha256:{digest}")
