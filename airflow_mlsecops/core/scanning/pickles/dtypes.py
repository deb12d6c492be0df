"""NumPy dtypes in pickles, followed exactly: what an array's items are decides how the bytes after it are read.

A dtype that claims objects in the middle of raw bytes would make NumPy take the file's bytes for pointers, so that
structures with object fields are refused. Source of the state's form: ``arraydescr_setstate`` in NumPy's descriptor.c.
"""

from __future__ import annotations

import re

from airflow_mlsecops.core.scanning.pickles.refusal import Refusal
from airflow_mlsecops.core.scanning.pickles.values import NONE, Dict, DType, Global

_CODE = re.compile(rb"([biufcSUVOMm])(\d{1,9})")
_HAS_REFERENCES = 0x01
_OBJECT_FLAGS = 63


def dtype_of(function: Global, args: tuple[object, ...]) -> object:
    """numpy.dtype(code, align, copy).

    Raises:
        Refusal: if the code isn't one that pickles have.
    """
    code = args[0] if args else None
    found = _CODE.fullmatch(code) if isinstance(code, bytes) and len(args) <= 3 else None
    if found is None:
        raise Refusal("arguments-not-allowed", f"{function.allowed} is called with other arguments than a type code")
    return parse_code(found.group(0), fresh=True)


def parse_code(code: bytes, *, fresh: bool = False) -> DType:
    """A dtype from its code, e.g. ``f8``, ``U12``, ``O8``.

    Raises:
        Refusal: if it isn't one.
    """
    found = _CODE.fullmatch(code)
    if found is None:
        raise Refusal("arguments-not-allowed", f"{code[:20]!r} is no type code")
    letter, count = found.group(1), int(found.group(2))
    return DType(code, count * 4 if letter == b"U" else count, letter == b"O", fresh)


def with_state(dtype: DType, state: object) -> DType:
    """The dtype after its state is set.

    Raises:
        Refusal: if the state isn't known whole, or isn't one that NumPy writes.
    """
    if not dtype.fresh:
        raise Refusal("build-not-allowed", "the state of a dtype is set twice")
    if not isinstance(state, tuple) or not 8 <= len(state) <= 9:
        raise Refusal("arguments-not-allowed", "the state of a dtype isn't known")
    _, _, subarray, names, fields, size, _, flags = state[:8]
    if not isinstance(flags, int) or not isinstance(size, int):
        raise Refusal("arguments-not-allowed", "the state of a dtype isn't known")
    letter = dtype.code[:1]
    if letter == b"O":
        if flags != _OBJECT_FLAGS or (subarray, names, fields) != (NONE, NONE, NONE):
            raise Refusal("object-in-structure", "an object dtype with a state that NumPy doesn't write")
        return dtype.old
    if flags & _HAS_REFERENCES:
        raise Refusal("object-in-structure", "a dtype of raw bytes claims to hold objects")
    if letter != b"V":
        if (subarray, names, fields) != (NONE, NONE, NONE) or (size != -1 and size != dtype.itemsize):
            raise Refusal("arguments-not-allowed", "a plain dtype with the state of a structure")
        return dtype.old
    total = dtype.itemsize if size == -1 else size
    if total != dtype.itemsize:
        raise Refusal("array-desync", f"a dtype of {dtype.itemsize} bytes says that it has {total}")
    if fields is not NONE:
        _check_fields(fields, total)
    if subarray is not NONE:
        _check_subarray(subarray)
    return dtype.old


def _check_subarray(subarray: object) -> None:
    base = subarray[0] if isinstance(subarray, tuple) and len(subarray) == 2 else None
    if not isinstance(base, DType) or base.has_object:
        raise Refusal("object-in-structure", "the items of a sub-array aren't known, or are objects")


def _check_fields(fields: object, total: int) -> None:
    if not isinstance(fields, Dict) or not fields.known:
        raise Refusal("arguments-not-allowed", "the fields of a structured dtype aren't known")
    for value in fields.items[1::2]:
        field = value[0] if isinstance(value, tuple) and len(value) in (2, 3) else None
        if not isinstance(field, DType) or field.has_object:
            raise Refusal("object-in-structure", "a field of a structured dtype isn't known, or is an object")
        offset = value[1] if isinstance(value, tuple) else None
        if not isinstance(offset, int) or offset < 0 or offset + field.itemsize > total:
            raise Refusal("array-desync", "a field of a structured dtype lies outside of it")
