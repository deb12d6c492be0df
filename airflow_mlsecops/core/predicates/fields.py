"""Typed reading of predicate fields: what is missing or of another type is an error, never a default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import StatementError


def text(value: Mapping[str, Any], key: str) -> str:
    """A string field.

    Raises:
        StatementError: if it is missing or no string.
    """
    found = value.get(key)
    if not isinstance(found, str):
        raise StatementError(f"predicate field {key!r}: expected a string, got {type(found).__name__}")
    return found


def mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object field.

    Raises:
        StatementError: if it is missing or no object.
    """
    found = value.get(key)
    if not isinstance(found, dict):
        raise StatementError(f"predicate field {key!r}: expected an object, got {type(found).__name__}")
    return found


def objects(value: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """A field that is a list of objects.

    Raises:
        StatementError: if it is missing or anything else.
    """
    found = value.get(key)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise StatementError(f"predicate field {key!r}: expected a list of objects, got {type(found).__name__}")
    return found


def digest_set(value: Mapping[str, Any], key: str = "digest") -> Sha256:
    """The SHA-256 in a DigestSet field.

    Raises:
        StatementError: if there is none.
    """
    return parse_sha256(mapping(value, key).get("sha256"))
