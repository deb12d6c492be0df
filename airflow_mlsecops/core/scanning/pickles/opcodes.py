"""Opcodes by name, and the runs of plain numbers that one expression passes over at once."""

from __future__ import annotations

import re
from typing import Final

_NUMBER = rb"[N\x88\x89]|K.|M..|J....|G........"
RUN: Final = re.compile(rb"(?:" + _NUMBER + rb"){9,}", re.DOTALL)
"""At least nine numbers after a mark. Shapes and states are shorter, and are followed one by one."""
NUMBERS: Final = frozenset(b"N\x88\x89KMJG")
RUN_ITEM: Final = re.compile(_NUMBER, re.DOTALL)

OPCODES: Final = {
    "PROTO": 0x80,
    "FRAME": 0x95,
    "STOP": 0x2E,
    "POP": 0x30,
    "POP_MARK": 0x31,
    "DUP": 0x32,
    "MARK": 0x28,
    "INT": 0x49,
    "BININT": 0x4A,
    "LONG": 0x4C,
    "LONG1": 0x8A,
    "LONG4": 0x8B,
    "FLOAT": 0x46,
    "STRING": 0x53,
    "BINSTRING": 0x54,
    "SHORT_BINSTRING": 0x55,
    "UNICODE": 0x56,
    "BINUNICODE": 0x58,
    "BINUNICODE8": 0x8D,
    "BINBYTES": 0x42,
    "SHORT_BINBYTES": 0x43,
    "BINBYTES8": 0x8E,
    "BYTEARRAY8": 0x96,
    "NEXT_BUFFER": 0x97,
    "READONLY_BUFFER": 0x98,
    "EMPTY_TUPLE": 0x29,
    "TUPLE": 0x74,
    "TUPLE1": 0x85,
    "TUPLE3": 0x87,
    "LIST": 0x6C,
    "DICT": 0x64,
    "APPEND": 0x61,
    "SETITEM": 0x73,
    "EMPTY_SET": 0x8F,
    "ADDITEMS": 0x90,
    "FROZENSET": 0x91,
    "GET": 0x67,
    "PUT": 0x70,
    "BINPUT": 0x71,
    "LONG_BINPUT": 0x72,
    "GLOBAL": 0x63,
    "STACK_GLOBAL": 0x93,
    "REDUCE": 0x52,
    "BUILD": 0x62,
    "NEWOBJ": 0x81,
    "NEWOBJ_EX": 0x92,
    "INST": 0x69,
    "OBJ": 0x6F,
    "PERSID": 0x50,
    "BINPERSID": 0x51,
    "EXT1": 0x82,
    "EXT2": 0x83,
    "EXT4": 0x84,
}
