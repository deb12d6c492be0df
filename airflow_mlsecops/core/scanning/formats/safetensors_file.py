"""safetensors: a JSON header with offsets, then the tensors' bytes, without gaps and without overlaps.

Source: https://github.com/huggingface/safetensors (format).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.scanning.formats.text_file import strict_json
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Scan

MAX_HEADER = 100_000_000
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16,
         "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
         "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}  # fmt: skip


def scan_safetensors(scan: Scan, part: Part) -> None:
    """Follow the header; every byte after it belongs to one tensor.

    Raises:
        Refusal: if one belongs to none, or to two.
    """
    length = int.from_bytes(part.at(0, 8), "little")
    if length > min(MAX_HEADER, part.size - 8, scan.limits.header_bytes):
        raise Refusal("header-bounds", f"a header of {length} bytes in a file of {part.size}")
    text = part.at(8, length)
    scan.leftovers.search(text, part.name)
    header = strict_json(text)
    if not isinstance(header, dict):
        raise Refusal("malformed", "the header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or any(not isinstance(item, str) for item in metadata.values()):
        raise Refusal("malformed", "the metadata aren't text")
    position = 0
    for begin, end in sorted(_bounds(name, tensor) for name, tensor in header.items()):
        if begin != position:
            raise Refusal("header-bounds", "tensors overlap, or bytes belong to none")
        position = end
    if 8 + length + position != part.size:
        rule = "trailing-bytes" if 8 + length + position < part.size else "truncated"
        raise Refusal(rule, f"the tensors end at byte {8 + length + position} of {part.size}")


def _bounds(name: str, tensor: Any) -> tuple[int, int]:
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
        raise Refusal("malformed", f"tensor {name[:60]!r} hasn't the three entries that it should have")
    shape, offsets, bits = tensor["shape"], tensor["data_offsets"], _BITS.get(str(tensor["dtype"]))
    numbers = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    if bits is None or not numbers or any(type(item) is not int or item < 0 for item in (*shape, *offsets)):
        raise Refusal("malformed", f"tensor {name[:60]!r} isn't described")
    for item in shape:
        bits *= item
    if bits % 8 or offsets[1] - offsets[0] != bits // 8:
        raise Refusal("header-bounds", f"tensor {name[:60]!r} has another size than its shape")
    return offsets[0], offsets[1]
