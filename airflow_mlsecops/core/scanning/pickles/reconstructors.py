"""Functions that ordinary pickles call, each with a rule for its arguments: the visible table is at the end.

Pickles of arrays and of compiled classes can't do without these functions. Each was read, and does no more than make an
object of a class that is allowed itself. An argument that isn't known well enough is a refusal.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow_mlsecops.core.scanning.allow_list import Use
from airflow_mlsecops.core.scanning.pickles.arguments import is_special
from airflow_mlsecops.core.scanning.pickles.dtypes import dtype_of
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal
from airflow_mlsecops.core.scanning.pickles.tensors import rebuild_parameter, rebuild_tensor
from airflow_mlsecops.core.scanning.pickles.values import (
    DATA,
    DType,
    Global,
    Instance,
    Made,
)

Reconstructor = Callable[[Global, tuple[object, ...]], object]

_BIT_GENERATORS = {b"MT19937", b"PCG64", b"PCG64DXSM", b"Philox", b"SFC64"}
_BASES = {"object", "dict", "list", "set", "frozenset", "tuple", "int", "float", "str", "complex"}
_TICKS = ("Day", "Hour", "Minute", "Second", "Milli", "Micro", "Nano")
_ARRAY_CLASSES = {"ndarray", "matrix", "recarray", "MaskedArray", "memmap", "chararray"}


def refuse(function: Global, expected: str) -> Refusal:
    """The refusal of a call whose arguments aren't those that a pickler writes."""
    return Refusal("arguments-not-allowed", f"{function.allowed} is called with other arguments than {expected}")


def _class(function: Global, value: object) -> Global:
    """``value``, if it is a class whose objects may be made."""
    if isinstance(value, Global) and Use.NEW in value.allowed.uses:
        return value
    raise refuse(function, "a class that may be made")


def _object_of_class(function: Global, args: tuple[object, ...]) -> object:
    """``cls.__new__(cls)``, then perhaps a state: newObj, __pyx_unpickle_*, __newobj__."""
    if not args:
        raise refuse(function, "a class first")
    return Made(_class(function, args[0]))


def _reconstructor(function: Global, args: tuple[object, ...]) -> object:
    """copyreg._reconstructor(cls, base, state): ``base.__new__(cls, state)``."""
    if len(args) != 3 or not isinstance(args[1], Global):
        raise refuse(function, "class, base, state")
    base = args[1].allowed
    if base.module not in ("builtins", "__builtin__") or base.name not in _BASES:
        raise refuse(function, "a built-in base")
    return Made(_class(function, args[0]))


def _empty_array(function: Global, args: tuple[object, ...]) -> object:
    """Numpy _reconstruct(subtype, (0,), b'b'): an empty array, whose state follows."""
    if len(args) != 3 or args[1] != (0,) or not isinstance(args[0], Global):
        raise refuse(function, "an array class, (0,) and a type code")
    if args[0].allowed.name not in _ARRAY_CLASSES or not args[0].allowed.module.startswith("numpy"):
        raise refuse(function, "an array class of NumPy")
    return Made(args[0])


def _masked_array(function: Global, args: tuple[object, ...]) -> object:
    """numpy.ma.core._mareconstruct(subtype, baseclass, (0,), 'b')."""
    if len(args) != 4 or args[2] != (0,):
        raise refuse(function, "two array classes, (0,) and a type code")
    for item in args[:2]:
        if not isinstance(item, Global) or item.allowed.name not in _ARRAY_CLASSES:
            raise refuse(function, "two array classes of NumPy")
    return Made(_class(function, args[0]))


def _scalar(function: Global, args: tuple[object, ...]) -> object:
    """Numpy scalar(dtype, bytes); of an object dtype it would hand back any object."""
    if len(args) != 2 or not isinstance(args[0], DType) or args[0].has_object:
        raise refuse(function, "a dtype without objects, and bytes")
    return DATA


def _frombuffer(function: Global, args: tuple[object, ...]) -> object:
    """A buffer as an array: buffer, dtype, shape, order."""
    if len(args) != 4 or not isinstance(args[1], DType) or args[1].has_object:
        raise refuse(function, "a buffer, a dtype without objects, a shape and an order")
    return DATA


def _bit_generator(function: Global, args: tuple[object, ...]) -> object:
    """numpy.random._pickle.__bit_generator_ctor(class or name)."""
    known = len(args) == 1 and (
        args[0] in _BIT_GENERATORS or (isinstance(args[0], Global) and args[0].allowed.name.encode() in _BIT_GENERATORS)
    )
    if not known:
        raise refuse(function, "one of NumPy's bit generators")
    return Made(function)


def _random_state(function: Global, args: tuple[object, ...]) -> object:
    """numpy.random._pickle.__randomstate_ctor and __generator_ctor(bit generator or its name[, its constructor])."""
    if not 1 <= len(args) <= 2 or (isinstance(args[0], bytes) and args[0] not in _BIT_GENERATORS):
        raise refuse(function, "one of NumPy's bit generators")
    if not isinstance(args[0], (bytes, Made, Instance)):
        raise refuse(function, "one of NumPy's bit generators")
    if len(args) == 2 and not (isinstance(args[1], Global) and args[1].allowed.name == "__bit_generator_ctor"):
        raise refuse(function, "the constructor of bit generators")
    return Made(function)


def _encode(function: Global, args: tuple[object, ...]) -> object:
    """_codecs.encode(text, 'latin1'): how protocols before 3 write bytes."""
    if len(args) != 2 or args[1] != b"latin1":
        raise refuse(function, "text and 'latin1'")
    if isinstance(args[0], bytes) and is_special(args[0]):
        raise refuse(function, "text that is no name which Python looks up")
    return DATA


def _bytearray(function: Global, args: tuple[object, ...]) -> object:
    """bytearray(bytes) or bytearray(text, 'latin-1'); a number would reserve memory."""
    plain = len(args) == 0 or (len(args) == 1 and args[0] is DATA)
    encoded = len(args) == 2 and args[1] in (b"latin-1", b"latin1")
    if not plain and not encoded:
        raise refuse(function, "bytes")
    return DATA


def _bytes(function: Global, args: tuple[object, ...]) -> object:
    """bytes(): how protocol 2 writes no bytes; a number would reserve memory."""
    if args:
        raise refuse(function, "nothing")
    return DATA


def _partial(function: Global, args: tuple[object, ...]) -> object:
    """functools.partial(function): the function is an allowed name, and isn't called."""
    if len(args) != 1 or not isinstance(args[0], Global):
        raise refuse(function, "one allowed function")
    return Made(function)


def _index(function: Global, args: tuple[object, ...]) -> object:
    """Pandas _new_Index(cls, parameters)."""
    if len(args) != 2:
        raise refuse(function, "an index class and its parameters")
    return Made(_class(function, args[0]))


def _index_of(name: str) -> Reconstructor:
    """Pandas _new_DatetimeIndex(cls, parameters) and its like, each for the one class that it was written for."""

    def index(function: Global, args: tuple[object, ...]) -> object:
        if len(args) != 2 or not isinstance(args[0], Global) or args[0].allowed.name != name:
            raise refuse(function, f"{name} and its parameters")
        return Made(_class(function, args[0]))

    return index


def _made(function: Global, args: tuple[object, ...]) -> object:
    """An object whose arguments are data: a block of a table, a timestamp."""
    if any(isinstance(item, Global) for item in args):
        raise refuse(function, "data")
    return Made(function)


def _from_text(function: Global, args: tuple[object, ...]) -> object:
    """torch.device('cpu'), torch.Size((…)): one piece of data."""
    if not args or any(isinstance(item, Global) for item in args):
        raise refuse(function, "data")
    return DATA


def _numpy(name: str) -> list[tuple[str, str]]:
    """NumPy 2 and NumPy 1 have the same function in different modules."""
    module, _, function = name.rpartition(".")
    return [(f"numpy.{core}.{module}", function) for core in ("_core", "core")]


RECONSTRUCTORS: dict[tuple[str, str], Reconstructor] = {
    ("copyreg", "_reconstructor"): _reconstructor,
    ("copy_reg", "_reconstructor"): _reconstructor,
    ("copyreg", "__newobj__"): _object_of_class,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytearray"): _bytearray,
    ("__builtin__", "bytearray"): _bytearray,
    ("builtins", "bytes"): _bytes,
    ("__builtin__", "bytes"): _bytes,
    ("functools", "partial"): _partial,
    ("numpy", "dtype"): dtype_of,
    **dict.fromkeys(_numpy("multiarray._reconstruct"), _empty_array),
    **dict.fromkeys(_numpy("multiarray.scalar"), _scalar),
    **dict.fromkeys(_numpy("numeric._frombuffer"), _frombuffer),
    ("numpy.ma.core", "_mareconstruct"): _masked_array,
    ("numpy.random._pickle", "__bit_generator_ctor"): _bit_generator,
    ("numpy.random._pickle", "__randomstate_ctor"): _random_state,
    ("numpy.random._pickle", "__generator_ctor"): _random_state,
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"): _object_of_class,
    ("sklearn.neighbors._kd_tree", "newObj"): _object_of_class,
    ("sklearn.neighbors._ball_tree", "newObj"): _object_of_class,
    ("sklearn.metrics._dist_metrics", "newObj"): _object_of_class,
    ("pandas.core.indexes.base", "_new_Index"): _index,
    ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"): _index_of("DatetimeIndex"),
    ("pandas.core.indexes.timedeltas", "_new_TimedeltaIndex"): _index_of("TimedeltaIndex"),
    ("pandas.core.indexes.interval", "_new_IntervalIndex"): _index_of("IntervalIndex"),
    ("pandas._libs.interval", "__pyx_unpickle_IntervalMixin"): _object_of_class,
    **{(module, "Interval"): _made for module in ("pandas", "pandas._libs.interval")},
    ("pandas._libs.sparse", "IntIndex"): _made,
    ("pandas._libs.sparse", "BlockIndex"): _made,
    **{("pandas._libs.tslibs.offsets", name): _made for name in _TICKS},
    **{("pandas._libs.tslibs.nattype", f"{dashes}nat_unpickle"): _from_text for dashes in ("_", "__")},
    ("pandas._libs.internals", "_unpickle_block"): _made,
    ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"): _made,
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"): _object_of_class,
    ("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle"): _made,
    ("pyarrow.lib", "_restore_array"): _made,
    ("pyarrow.lib", "py_buffer"): _made,
    ("pyarrow.lib", "type_for_alias"): _from_text,
    **{("pyarrow.lib", name): _from_text for name in ("timestamp", "duration", "time32", "time64", "decimal128")},
    ("pyarrow.lib", "chunked_array"): _made,
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    ("torch", "device"): _from_text,
    ("torch", "Size"): _from_text,
}


def reconstruct(function: Global, args: tuple[object, ...]) -> object:
    """What the call makes, if it is allowed.

    Raises:
        Refusal: if the arguments aren't those that a pickler writes.
    """
    rule = RECONSTRUCTORS.get((function.allowed.module, function.allowed.name))
    if rule is not None:
        return rule(function, args)
    if function.allowed.name.startswith("__pyx_unpickle_"):
        return _object_of_class(function, args)
    raise Refusal("call-not-allowed", f"{function.allowed} may not be called")
