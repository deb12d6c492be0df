"""Assembles pickles from opcodes, so that hostile ones can be made without ever making (or running) what they hold."""

from __future__ import annotations

import struct

STOP = b"."
MARK = b"("
REDUCE = b"R"
BUILD = b"b"
MEMOIZE = b"\x94"
STACK_GLOBAL = b"\x93"
EMPTY_TUPLE, EMPTY_LIST, EMPTY_DICT, EMPTY_SET = b")", b"]", b"}", b"\x8f"
TUPLE, TUPLE1, TUPLE2, TUPLE3 = b"t", b"\x85", b"\x86", b"\x87"
SETITEM, SETITEMS, APPEND, APPENDS, ADDITEMS = b"s", b"u", b"a", b"e", b"\x90"
NEWOBJ, NEWOBJ_EX, OBJ = b"\x81", b"\x92", b"o"
NONE, TRUE, FALSE, POP, DUP = b"N", b"\x88", b"\x89", b"0", b"2"
TORCH_HEAD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
"""What torch's old format begins with: its magic number and its version, a pickle each."""


def proto(version: int) -> bytes:
    return b"\x80" + bytes([version])


def frame(body: bytes) -> bytes:
    return b"\x95" + struct.pack("<Q", len(body)) + body


def text(value: str) -> bytes:
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw if len(raw) < 256 else b"X" + struct.pack("<I", len(raw)) + raw


def raw_bytes(value: bytes) -> bytes:
    return b"C" + bytes([len(value)]) + value if len(value) < 256 else b"B" + struct.pack("<I", len(value)) + value


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def named(module: str, name: str) -> bytes:
    """GLOBAL, as protocols 0 to 3 write it."""
    return f"c{module}\n{name}\n".encode()


def stacked(module: str, name: str) -> bytes:
    """STACK_GLOBAL, as protocol 4 writes it."""
    return text(module) + text(name) + STACK_GLOBAL


def get(index: int) -> bytes:
    return b"h" + bytes([index])


def put(index: int) -> bytes:
    return b"q" + bytes([index])


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + MARK + b"".join(arguments) + TUPLE + REDUCE


def array(code: str, shape: tuple[int, ...], data: bytes) -> bytes:
    """A NumPy array, as pickle writes one."""
    dtype = call(named("numpy", "dtype"), text(code), FALSE, TRUE)
    state = MARK + number(3) + text("<") + NONE * 3 + number(-1) + number(-1) + number(0) + TUPLE + BUILD
    made = call(
        named("numpy._core.multiarray", "_reconstruct"), named("numpy", "ndarray"), number(0) + TUPLE1, raw_bytes(b"b")
    )
    dimensions = MARK + b"".join(number(item) for item in shape) + TUPLE
    return made + MARK + number(1) + dimensions + dtype + state + FALSE + raw_bytes(data) + TUPLE + BUILD
