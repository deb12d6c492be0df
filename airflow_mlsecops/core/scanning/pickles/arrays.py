"""Arrays that joblib writes into the stream, after the object that describes them.

joblib's unpickler reads them from the file, past its own buffer; pickle's would take them for opcodes. So both readings
have to agree: the array lies between frames, its padding is exactly what joblib writes (whose first byte is no opcode),
and a nested pickle of objects is followed both ways. Source: ``joblib/numpy_pickle.py``, ``NumpyArrayWrapper``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from airflow_mlsecops.core.scanning.pickles.refusal import Refusal
from airflow_mlsecops.core.scanning.pickles.values import Dict, DType, Global, Instance

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.pickles.machine import Machine
    from airflow_mlsecops.core.scanning.pickles.state import State

ALIGNMENT = 16
MAX_DIMENSIONS = 64


def pass_array(state: State, described: object) -> object:
    """Pass over the array that the wrapper describes; return what stands for it.

    Raises:
        Refusal: if the description isn't known whole, or the bytes aren't where they belong.
    """
    machine = cast("Machine", state)
    if not machine.joblib:
        raise Refusal("array-desync", "an array of joblib's inside a pickle that joblib doesn't read")
    shape, dtype, subclass = _description(described)
    machine.leave_frame(machine.pos)
    if machine.in_frame:
        raise Refusal("array-desync", "an array in the middle of a frame")
    machine.reading.arrays += 1
    if dtype.has_object:
        _pass_objects(machine)
    else:
        _pass_bytes(machine, shape, dtype, described)
    return Instance(subclass.allowed)


def _description(described: object) -> tuple[tuple[int, ...], DType, Global]:
    if isinstance(described, Dict) and described.known:
        shape, dtype, kind = (described.get(key) for key in (b"shape", b"dtype", b"subclass"))
        if (
            isinstance(shape, tuple)
            and len(shape) <= MAX_DIMENSIONS
            and all(isinstance(item, int) and item >= 0 for item in shape)
            and isinstance(dtype, DType)
            and isinstance(kind, Global)
        ):
            return cast("tuple[int, ...]", shape), dtype, kind
    raise Refusal("array-desync", "the description of an array isn't known")


def _pass_bytes(machine: Machine, shape: tuple[int, ...], dtype: DType, described: object) -> None:
    if not isinstance(described, Dict) or described.get(b"numpy_array_alignment_bytes") != ALIGNMENT:
        raise Refusal("array-desync", "an array without joblib's alignment; write it again with joblib 1.2 or later")
    expected = ALIGNMENT - (machine.reader.base + machine.pos + 1) % ALIGNMENT
    length = machine.number(1)
    if length != expected or machine.bytes_of(length) != b"\xff" * length:
        raise Refusal("array-desync", "the padding before an array isn't joblib's")
    count = dtype.itemsize
    for item in shape:
        count *= item
    machine.pos = machine.reader.skip(machine.pos, count)


def _pass_objects(machine: Machine) -> None:
    """A pickle within the pickle.

    1. As joblib reads it: a pickle of its own, with an empty memo.
    2. As pickle would, which doesn't know where it begins: a part of the outer one, with the memo as it is. Only what
       it would *run* counts; that it ends in an error is what pickle would say of such a file too.
    """
    begin = machine.reader.base + machine.pos
    inner = machine.fork()
    read = inner.read(begin)
    _take_over(machine, inner, form=True)
    if not read.complete:
        raise Refusal("malformed", "the objects of an array can't be read")
    plain = machine.fork(memo=machine.memo)
    plain.read(begin)
    _take_over(machine, plain, form=False)
    machine.pos = machine.reader.refill(read.end - machine.reader.base)


def _take_over(machine: Machine, inner: Machine, *, form: bool) -> None:
    machine.reading.globals.update(inner.reading.globals)
    machine.reading.row_names |= inner.reading.row_names
    machine.reading.arrays += inner.reading.arrays
    hits = inner.reading.hits
    if not form and inner.reading.certain_end:
        hits = hits[:-1]  # the last one is where pickle would end in an error, and run nothing
    machine.reading.hits_total += len(hits)
    machine.reading.hits.extend(hits)
