"""Reading the parts of a bundle: what is missing, unknown, of another type or written in a second way is refused."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Set
from typing import Any

from airflow_mlsecops.core.oms.errors import OmsFormatError

_NONE: frozenset[str] = frozenset()


def record(value: Any, what: str, required: Set[str], optional: Set[str] = _NONE) -> dict[str, Any]:
    """``value`` as an object that has all ``required`` keys and no others than the ``optional`` ones.

    Raises:
        OmsFormatError: if it isn't; unknown keys are refused, because something could hide in them.
    """
    if not isinstance(value, dict):
        raise OmsFormatError(f"expected {what} as an object, got {type(value).__name__}")
    missing, unknown = required - set(value), set(value) - required - optional
    if missing:
        raise OmsFormatError(f"{what} without {', '.join(sorted(missing))}")
    if unknown:
        raise OmsFormatError(f"{what} with unknown {', '.join(sorted(unknown))[:200]}", "its meaning isn't known here")
    return value


def items(value: Any, what: str) -> list[Any]:
    """``value`` as a list.

    Raises:
        OmsFormatError: if it isn't one.
    """
    if not isinstance(value, list):
        raise OmsFormatError(f"expected {what} as a list, got {type(value).__name__}")
    return value


def text(value: Any, what: str) -> str:
    """``value`` as a non-empty string.

    Raises:
        OmsFormatError: if it isn't one.
    """
    if not isinstance(value, str) or not value:
        raise OmsFormatError(f"expected {what} as text, got {str(value)[:80]!r}")
    return value


def constant(value: Any, what: str, expected: object) -> None:
    """Check that ``value`` is ``expected``, also in type.

    Raises:
        OmsFormatError: if it isn't.
    """
    if type(value) is not type(expected) or value != expected:
        raise OmsFormatError(f"expected {what} {expected!r}, got {str(value)[:200]!r}", "it isn't read here")


def whole(value: Any, what: str) -> int:
    """A count that protobuf's JSON writes as a string, or a plain one.

    Raises:
        OmsFormatError: if it isn't one.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise OmsFormatError(f"expected {what} as a whole number, got {str(value)[:40]!r}")


def base64_bytes(value: Any, what: str) -> bytes:
    """Standard base64, in its one canonical form: spare bits would let one signature be written in several ways.

    Raises:
        OmsFormatError: if it isn't, or is empty.
    """
    try:
        data = base64.b64decode(text(value, what), validate=True)
    except (binascii.Error, ValueError) as error:
        raise OmsFormatError(f"the {what} is not base64") from error
    if not data or base64.b64encode(data).decode() != value:
        raise OmsFormatError(f"the {what} is empty or not in canonical base64")
    return data
