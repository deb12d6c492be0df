"""What the checks of a whole table take from a pandas frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.validation.security.normal import normal

if TYPE_CHECKING:
    import pandas


def texts(frame: pandas.DataFrame, name: str) -> pandas.Series:
    """A column's values that aren't null.

    Raises:
        DataError: if one of them isn't text.
    """
    values = frame[name]
    values = values[values.notna()].astype(object)
    odd = next((value for value in values if not isinstance(value, str)), None)
    if odd is not None:
        raise DataError(f"column {name!r} holds {type(odd).__name__}, expected text", "check columns of text only")
    return values


def normal_forms(frame: pandas.DataFrame, name: str) -> pandas.Series:
    """The normal forms of a column's values that aren't null, by their row numbers."""
    return texts(frame, name).map(normal)


def as_keys(frame: pandas.DataFrame, name: str) -> pandas.Series:
    """A column's values as text that tells them apart, nulls left out, as ``CAST(… AS VARCHAR)`` writes them.

    Raises:
        DataError: if one of them is neither text nor a whole number nor a boolean.
    """
    values = frame[name]
    values = values[values.notna()].astype(object)
    return values.map(lambda value: _key(name, value))


def _key(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return "true" if value else "false"
    if type(value).__name__.startswith(("int", "uint")):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return str(int(value))  # pandas makes floats of whole numbers among nulls
    raise DataError(f"column {name!r} holds {type(value).__name__}", "expected text, whole numbers or booleans")
