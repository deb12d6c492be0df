"""Arguments of the security expectations, and what their values have to be; both engines check them by this table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_mlsecops.core.clock import from_text
from airflow_mlsecops.core.errors import ConfigurationError, StatementError
from airflow_mlsecops.core.validation.security.invisible import GROUPS
from airflow_mlsecops.core.validation.security.pii import ENTITIES, LOCALES
from airflow_mlsecops.core.validation.security.prompt import pack
from airflow_mlsecops.core.validation.security.tokens import UNITS

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _number(low: float, high: float, *, above: bool = False) -> Check:
    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        return low <= value <= high and not (above and value == low)

    return check


def _whole(low: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= 2**53


def _some_of(known: Callable[[], Any]) -> Check:
    def check(value: Any) -> bool:
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            return False
        return len(set(value)) == len(value) and set(value) <= set(known())

    return check


def _one_of(*known: str) -> Check:
    return lambda value: isinstance(value, str) and value in known


def _moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and from_text(value) is not None
    except StatementError:
        return False


def _pinned(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"path", "sha256"}:
        return False
    return _text(value["path"]) and bool(re.fullmatch(r"[0-9a-f]{64}", str(value["sha256"])))


_MAP: dict[str, Check] = {"column": _text, "mostly": _number(0, 1, above=True)}
_SHARE = _number(0, 1)
_PREFIX = "expect_column_values_to_not_contain_"

ARGUMENTS: dict[str, dict[str, Check]] = {
    f"{_PREFIX}formula_injection": _MAP,
    f"{_PREFIX}homoglyph_mix": {**_MAP, "allow_greek": _flag},
    f"{_PREFIX}invisible_unicode": {**_MAP, "allow": _some_of(lambda: GROUPS)},
    f"{_PREFIX}pii": {
        **_MAP,
        "locales": _some_of(lambda: LOCALES),
        "entities": _some_of(lambda: ENTITIES),
        "engine": _one_of("patterns", "presidio"),
    },
    f"{_PREFIX}prompt_injection": {**_MAP, "languages": _some_of(lambda: pack().stems)},
    f"{_PREFIX}script_or_control_characters": _MAP,
    "expect_column_categorical_cardinality_to_be_bounded": {
        "column": _text,
        "max_distinct": _whole(1),
        "max_singletons": _SHARE,
        "max_length": _whole(1),
    },
    "expect_column_timestamps_to_be_monotone_and_not_in_the_future": {
        "column": _text,
        "monotone": _flag,
        "strictly": _flag,
        "tolerance_seconds": _number(0, 10 * 365 * 86400),
        "now": _moment,
    },
    "expect_column_tokens_not_to_predict_label": {
        "column": _text,
        "label_column": _text,
        "unit": _one_of(*UNITS),
        "min_count": _whole(2),
        "min_share": _number(0.5, 1, above=True),
        "alpha": _number(0, 0.5, above=True),
        "sample_rows": _whole(1000),
    },
    "expect_table_near_duplicates_to_be_few": {
        "column": _text,
        "max_share": _SHARE,
        "max_group": _SHARE,
        "min_group": _whole(2),
        "similarity": _number(0.5, 1),
        "sample_rows": _whole(1000),
    },
    "expect_train_test_overlap_to_be_low": {
        "column": _text,
        "max_share": _number(0, 0.999999),
        "split_column": _text,
        "train": _text,
        "test": _text,
        "other": _pinned,
    },
}
"""Type -> its arguments, and what their values must be."""

REQUIRED: dict[str, tuple[str, ...]] = {"expect_column_tokens_not_to_predict_label": ("column", "label_column")}
"""Those that need more than a column."""


def check_arguments(kind: str, given: Mapping[str, Any]) -> None:
    """Check the arguments of one expectation that aren't ``None``.

    Raises:
        ConfigurationError: naming the argument that is missing or wrong.
    """
    arguments = ARGUMENTS[kind]
    for name in REQUIRED.get(kind, ("column",)):
        if given.get(name) is None:
            raise ConfigurationError(f"argument {name!r} is missing")
    for name, value in given.items():
        if name in arguments and value is not None and not arguments[name](value):
            raise ConfigurationError(f"argument {name!r} is {str(value)[:100]!r}, which it can't be")
    if why := conflict(kind, given):
        raise ConfigurationError(why)


def conflict(kind: str, given: Mapping[str, Any]) -> str:
    """Why the arguments can't stand together; empty if they can."""
    overlap = kind == "expect_train_test_overlap_to_be_low"
    if overlap and (given.get("other") is None) == (given.get("split_column") is None):
        return "expected either split_column or other: where the training rows are"
    if given.get("engine") == "presidio" and (given.get("locales") or given.get("entities")):
        return "locales and entities are for engine='patterns': Presidio looks for kinds of its own"
    return ""
