"""Files that people write (trust policy, release policy): YAML or JSON, read strictly."""

from __future__ import annotations

import reprlib
from collections.abc import Hashable
from typing import Any

import yaml

from airflow_mlsecops.core.errors import MlsecopsError

MAX_BYTES = 1024 * 1024


def load_mapping(data: bytes, what: str, error_class: type[MlsecopsError]) -> dict[str, Any]:
    """Parse one YAML (or JSON) mapping, refusing duplicate keys and anything over 1 MiB.

    Raises:
        MlsecopsError: of ``error_class``, with ``what`` in the message.
    """
    if len(data) > MAX_BYTES:
        raise error_class(f"the {what} has {len(data)} bytes, more than the {MAX_BYTES} that are read")
    try:
        value = yaml.load(data.decode("utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader that refuses duplicates
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise error_class(f"the {what} can't be read: {error}", "check it with a YAML linter") from error
    if not isinstance(value, dict):
        raise error_class(f"the {what} is {type(value).__name__}, expected a mapping", "see the reference in docs/")
    return value


def brief(value: object) -> str:
    """``value`` in a message: short, also of a value whose full text would be huge (YAML's aliases can nest)."""
    return reprlib.repr(value)[:200]


def is_version(value: object, version: int) -> bool:
    """Whether a file's ``version`` is this whole number; ``true`` and ``1.0`` are not 1."""
    return type(value) is int and value == version


def only_keys(value: dict[str, Any], allowed: set[str], what: str, error_class: type[MlsecopsError]) -> None:
    """Refuse unknown keys: a misspelt rule that is ignored would be a rule that never holds anybody back.

    Raises:
        MlsecopsError: of ``error_class``, naming the keys.
    """
    unknown = sorted(str(key) for key in set(value) - allowed)
    if unknown:
        raise error_class(f"unknown {', '.join(unknown)} in {what}", f"allowed: {', '.join(sorted(allowed))}")


class _StrictLoader(yaml.SafeLoader):
    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            # It can't be written anywhere: no statement, report or log. JSON's escaped pairs are two in YAML.
            problem = "half of a surrogate pair; write the character itself"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a plain value", node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", node.start_mark)
            seen.add(key)
        result: dict[Any, Any] = super().construct_mapping(node, deep)
        return result
