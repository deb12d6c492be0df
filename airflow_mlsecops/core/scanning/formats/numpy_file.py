"""``.npy``: a header that is a Python literal, then the array, or a pickle of objects. ``.npz`` is a zip of them.

Source: NumPy Enhancement Proposal 1 and ``numpy/lib/_format_impl.py``.
"""

from __future__ import annotations

import ast
import math
import re
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.scanning.formats.pickle_file import one_pickle
from airflow_mlsecops.core.scanning.part import Part
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.scan import Scan

MAX_HEADER = 64 * 1024
_CODE = re.compile(r"[<>|=]?([?bBhHiIlLqQefdgFDGSUVOMm])(\d{0,9})(?:\[\d{0,9}[a-zA-Zμ]{1,2}\])?")
_SIZES = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "e": 2, "f": 4, "d": 8, "g": 16, "F": 8, "D": 16, "G": 32,
          "l": 8, "L": 8, "q": 8, "Q": 8, "i": 4, "I": 4, "O": 8}  # fmt: skip


def scan_npy(scan: Scan, part: Part) -> None:
    """Check that header and bytes agree.

    Raises:
        Refusal: if they don't.
    """
    head = part.at(0, 12)
    version, wide = head[6:8], head[6:7] > b"\x01"
    if version not in (b"\x01\0", b"\x02\0", b"\x03\0"):
        raise Refusal("malformed", f"npy version {version!r}")
    length = int.from_bytes(head[8 : 12 if wide else 10], "little")
    begin = (12 if wide else 10) + length
    if length > MAX_HEADER or begin > part.size:
        raise Refusal("header-bounds", "the header of an array ends after the file, or is huge")
    header = _literal(part.at(12 if wide else 10, length))
    if set(header) != {"descr", "fortran_order", "shape"} or not isinstance(header["fortran_order"], bool):
        raise Refusal("malformed", "the header of an array hasn't the three entries that it should have")
    shape = header["shape"]
    if not isinstance(shape, tuple) or any(type(item) is not int or item < 0 for item in shape):
        raise Refusal("malformed", "the shape of an array isn't a tuple of numbers")
    size, objects = item_size(header["descr"])
    if objects:
        if begin >= part.size:
            raise Refusal("truncated", "an array of objects without its pickle")
        reading = one_pickle(scan, part, begin, joblib=False)
        if reading.complete and reading.end != part.size:
            raise Refusal("trailing-bytes", "bytes after the pickle in an array file")
        return
    for item in shape:
        size *= item
    if begin + size != part.size:
        rule = "trailing-bytes" if begin + size < part.size else "truncated"
        raise Refusal(rule, f"an array of {size} bytes in a file that has {part.size - begin} for it")


def _literal(text: bytes) -> dict[str, Any]:
    try:
        value = ast.literal_eval(text.decode("utf-8" if not text.isascii() else "ascii").strip())
    except (ValueError, SyntaxError, UnicodeDecodeError, MemoryError, RecursionError) as error:
        raise Refusal("malformed", f"the header of an array is no literal: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise Refusal("malformed", "the header of an array is no dictionary")
    return value


def item_size(descr: object, depth: int = 0) -> tuple[int, bool]:
    """Bytes of one item, and whether it holds objects.

    Raises:
        Refusal: if it isn't a dtype.
    """
    if isinstance(descr, str):
        found = _CODE.fullmatch(descr)
        if found is None:
            raise Refusal("malformed", f"an array of {descr[:30]!r}")
        letter, count = found.group(1), int(found.group(2) or 0)
        if letter == "O":
            return 8, True
        return (count * 4 if letter == "U" else count) or _SIZES.get(letter, 0), False
    if isinstance(descr, list) and depth < 4:
        sizes = [_field_size(field, depth) for field in descr]
        if any(objects for _, objects in sizes):
            raise Refusal("object-in-structure", "a structured array with objects")
        return sum(size for size, _ in sizes), False
    if isinstance(descr, tuple) and len(descr) == 2 and depth < 4:
        size, objects = item_size(descr[0], depth + 1)
        return size * _product(descr[1] if isinstance(descr[1], tuple) else (descr[1],)), objects
    raise Refusal("malformed", "the items of an array aren't described")


def _field_size(field: object, depth: int) -> tuple[int, bool]:
    if not isinstance(field, tuple) or len(field) not in (2, 3):
        raise Refusal("malformed", "a field of an array isn't a tuple")
    size, objects = item_size(field[1], depth + 1)
    return size * _product(field[2] if len(field) == 3 else ()), objects


def _product(shape: object) -> int:
    if not isinstance(shape, tuple) or any(type(item) is not int or item < 0 for item in shape):
        raise Refusal("malformed", "a field of an array has no shape")
    return math.prod(shape)
