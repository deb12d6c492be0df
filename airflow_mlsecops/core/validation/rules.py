"""Verdict rules: every way in which nothing was checked is a NO, unless its name is among the relaxed ones.

What is relaxed stands in the signed statement, so that a release policy can refuse it.

>>> VerdictRules().relaxed
frozenset()
>>> VerdictRules(relaxed=frozenset({"all-null"})).to_dict()
{'min_rows': 1, 'min_nonnull': 1, 'relaxed': ['all-null']}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.validation.outcome import Outcome

RELAXATIONS = {
    "all-null": "an expectation whose column holds nulls only",
    "empty-condition": "a row condition that matches no row",
    "empty-data": "a table without rows",
    "expectation-error": "an expectation that can't be evaluated",
    "missing-column": "a column that isn't there",
    "mostly-zero": "an expectation with mostly=0, which lets every row fail",
}
"""Name -> what is let pass. Each one is a FAIL by default."""


@dataclass(frozen=True)
class VerdictRules:
    """What has to have been seen before an answer counts.

    Attributes:
        min_rows: with fewer rows than this the verdict is FAIL.
        min_nonnull: an expectation that rests on fewer values than this doesn't hold.
        relaxed: names of :data:`RELAXATIONS` that are let pass.
    """

    min_rows: int = 1
    min_nonnull: int = 1
    relaxed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in ("min_rows", "min_nonnull"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(
                    f"{name} is {value!r}, expected a whole number >= 1", "what may be empty is named in relax"
                )
        unknown = sorted(set(self.relaxed) - RELAXATIONS.keys())
        if unknown:
            raise ConfigurationError(
                f"relax names {', '.join(map(repr, unknown))}", f"known: {', '.join(sorted(RELAXATIONS))}"
            )

    @classmethod
    def of(cls, min_rows: int = 1, min_nonnull: int = 1, relax: Iterable[str] = ()) -> VerdictRules:
        """From an operator's arguments.

        Raises:
            ConfigurationError: for numbers below 1 and unknown names.
        """
        if isinstance(relax, str):
            raise ConfigurationError(f"relax is the text {relax!r}, expected a list of names")
        return cls(min_rows, min_nonnull, frozenset(relax))

    def objection(self, outcome: Outcome) -> str:
        """Why an outcome doesn't count although GX may call it a success; empty if it does."""
        if outcome.trouble or outcome.saw is None:
            return ""
        condition = " where its row_condition holds" if outcome.conditional else ""
        if outcome.saw == 0:
            if self._nothing_is_fine(outcome):
                return ""
            return f"it saw no value{condition}, so it says nothing about the data"
        if outcome.saw < self.min_nonnull:
            return f"it saw {outcome.saw} values{condition}, fewer than min_nonnull={self.min_nonnull}"
        return ""

    def relaxes(self, outcome: Outcome) -> bool:
        """Whether the trouble of an outcome is only recorded."""
        return ("missing-column" if outcome.missing_column else "expectation-error") in self.relaxed

    def holds(self, outcome: Outcome) -> bool:
        """Whether the expectation holds by these rules."""
        return outcome.held and not outcome.trouble and not self.objection(outcome)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the statement."""
        return {"min_rows": self.min_rows, "min_nonnull": self.min_nonnull, "relaxed": sorted(self.relaxed)}

    def _nothing_is_fine(self, outcome: Outcome) -> bool:
        if outcome.elements == 0 and "empty-data" in self.relaxed and not outcome.conditional:
            return True
        return ("empty-condition" if outcome.conditional else "all-null") in self.relaxed
