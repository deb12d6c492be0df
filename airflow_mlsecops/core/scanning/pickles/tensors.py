"""Tensors in pickles: a storage that lies elsewhere in the file, and a view of it that has to stay inside."""

from __future__ import annotations

from airflow_mlsecops.core.scanning.allow_list import Use
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal
from airflow_mlsecops.core.scanning.pickles.values import NONE, TEXT, Global, Instance, Made, Storage

ITEM_SIZES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
    "ComplexDoubleStorage": 16,
    "ComplexFloatStorage": 8,
    "UntypedStorage": 1,
}


def layer_of(pid: object) -> Global | None:
    """The class that torch's old format wraps in a persistent id: ``('module', class, path or None, source or None)``.

    Reading compares the source with the class's own and warns when they differ; it writes a patch only for classes
    that ask for it, which no state can make one do. Source: ``torch/serialization.py``, ``_check_container_source``.
    """
    if not isinstance(pid, tuple) or len(pid) != 4 or pid[0] != b"module":
        return None
    kind = pid[1]
    if not isinstance(kind, Global) or Use.NEW not in kind.allowed.uses or kind.allowed.package != "torch":
        return None
    told = all(isinstance(item, bytes) or item is TEXT or item is NONE for item in pid[2:])
    return kind if told else None


def storage_of(pid: object) -> Storage:
    """The storage that torch's persistent id names: ``('storage', class, key, location, numel)``.

    Raises:
        Refusal: if it is anything else.
    """
    if isinstance(pid, tuple) and len(pid) in (5, 6) and pid[0] == b"storage":
        kind, key, numel = pid[1], pid[2], pid[4]
        known = isinstance(kind, Global) and kind.allowed.name in ITEM_SIZES
        if known and isinstance(kind, Global) and isinstance(key, bytes) and isinstance(numel, int) and numel >= 0:
            return Storage(key, numel, ITEM_SIZES[kind.allowed.name])
    raise Refusal("persistent-id", "a persistent id that isn't torch's reference to a storage")


def rebuild_tensor(function: Global, args: tuple[object, ...]) -> object:
    """torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …).

    Raises:
        Refusal: if the view isn't known, or reaches beyond its storage.
    """
    if len(args) < 4 or not isinstance(args[0], Storage):
        raise Refusal("arguments-not-allowed", f"{function.allowed} is called without a storage")
    storage: Storage = args[0]
    offset, size, stride = args[1:4]
    numbers = [offset, *_numbers(size), *_numbers(stride)]
    if any(not isinstance(item, int) or item < 0 for item in numbers) or len(numbers) % 2 == 0:
        raise Refusal("arguments-not-allowed", "the shape of a tensor isn't known")
    sizes, strides = _numbers(size), _numbers(stride)
    last = int(str(offset)) + sum((int(str(n)) - 1) * int(str(s)) for n, s in zip(sizes, strides, strict=True))
    if 0 not in sizes and last >= storage.numel:
        raise Refusal("header-bounds", f"a tensor reaches to element {last} of a storage of {storage.numel}")
    return Made(function)


def rebuild_parameter(function: Global, args: tuple[object, ...]) -> object:
    """torch._utils._rebuild_parameter(tensor, requires_grad, hooks).

    Raises:
        Refusal: if it isn't made of a tensor.
    """
    if len(args) != 3 or not isinstance(args[0], (Made, Instance)):
        raise Refusal("arguments-not-allowed", f"{function.allowed} is called without a tensor")
    return Made(function)


def _numbers(value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        raise Refusal("arguments-not-allowed", "the shape of a tensor isn't known")
    return value
