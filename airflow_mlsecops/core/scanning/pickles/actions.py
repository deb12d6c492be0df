"""What each of the rarer opcodes does to the verifier's stack: a visible table at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.scanning.pickles.arguments import Arguments
from airflow_mlsecops.core.scanning.pickles.objects import Objects
from airflow_mlsecops.core.scanning.pickles.opcodes import OPCODES
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal
from airflow_mlsecops.core.scanning.pickles.values import DATA, LIST, OLD_MARKER, SET, TUPLE, Dict

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TUPLE = 64
_NEVER_PUT = "something is taken from the memo that this pickle never put there"


class Actions(Arguments, Objects):
    """Stack, memo and containers; arguments and objects come from the base classes."""

    # --- the stack ---

    def pop(self) -> None:
        """POP: the top, or an empty mark."""
        if self.stack:
            self.stack.pop()
        else:
            self.stack = self.marks.pop()

    def items(self) -> list[object]:
        """Everything above the last mark."""
        found, self.stack = self.stack, self.marks.pop()
        return found

    def pop_mark(self) -> None:
        """POP_MARK."""
        self.items()

    def push_tuple(self, items: list[object]) -> None:
        """A tuple; of a large one nothing is kept."""
        self.stack.append(tuple(items) if len(items) <= MAX_TUPLE else TUPLE)

    def stop(self) -> None:
        """STOP: one object, and nothing else, is left.

        Raises:
            Refusal: if more or less is.
        """
        if self.marks or len(self.stack) != 1:
            raise Refusal("malformed", f"{len(self.stack)} objects and {len(self.marks)} marks are left at the end")
        if self.reader.base + self.pos < self.frame_end:
            raise Refusal("malformed", "the last frame is longer than the pickle")
        self.reading.result = self.stack.pop()

    # --- containers ---

    def set_items(self, target: object, items: list[object]) -> None:
        """SETITEMS on anything but a fresh dictionary, or with a key that has no value.

        Raises:
            Refusal: of the latter.
        """
        if len(items) % 2:
            raise Refusal("malformed", "a key without a value")
        self.put_items(target, items)

    def put_items(self, target: object, items: list[object]) -> None:
        """Keys and values go into a dictionary that has just been made, or an object that is one."""
        if target.__class__ is Dict:
            target.add(items)
        else:
            self.change(target, "takes keys")

    def set_item(self) -> None:
        """SETITEM."""
        value, key = self.stack.pop(), self.stack.pop()
        self.put_items(self.stack[-1], [key, value])

    def append(self) -> None:
        """APPEND."""
        self.stack.pop()
        if self.stack[-1] is not LIST:
            self.append_to(self.stack[-1])

    def append_to(self, target: object) -> None:
        """Items go into something that isn't a fresh list."""
        self.change(target, "takes items")

    def add_items(self) -> None:
        """ADDITEMS."""
        self.items()
        if self.stack[-1] is not SET:
            self.change(self.stack[-1], "takes members")

    def make_dict(self) -> None:
        """DICT."""
        items, made = self.items(), Dict()
        if len(items) % 2:
            raise Refusal("malformed", "a key without a value")
        made.add(items)
        self.stack.append(made)

    def make_list(self) -> None:
        """LIST."""
        self.items()
        self.stack.append(LIST)

    def make_frozenset(self) -> None:
        """FROZENSET."""
        self.items()
        self.stack.append(DATA)

    def tuple_of_one(self) -> None:
        """TUPLE1."""
        self.stack[-1] = (self.stack[-1],)

    # --- the memo ---

    def put(self, index: int) -> None:
        """PUT: each number is given once, in turn; Python 2 began with one.

        Raises:
            Refusal: if one is skipped, or given again.
        """
        if index == 1 and not self.memo:
            self.memo.append(OLD_MARKER)
            self.memo_shift = True
        if index != len(self.memo):
            self.put_again(index)
            return
        self.memo.append(self.keep(self.stack[-1]))

    def put_again(self, index: int) -> None:
        """A number that isn't the next one: only where a pickle is followed as a part of another.

        Raises:
            Refusal: anywhere else.
        """
        if not self.lenient or index > len(self.memo):
            raise Refusal("memo", f"memo entry {index} is written out of turn, or again", certain=False)
        self.memo[index] = self.keep(self.stack[-1])

    def get(self, index: int) -> None:
        """GET.

        Raises:
            Refusal: if nothing was put there in this pickle.
        """
        if not 0 <= index < len(self.memo) or self.memo[index] is OLD_MARKER:
            raise Refusal("memo", _NEVER_PUT, certain=True)
        self.stack.append(self.memo[index])

    # --- what no pickler writes ---

    def never(self, name: str) -> None:
        """An opcode that isn't followed.

        Raises:
            Refusal: always.
        """
        rule = "extension-code" if name.startswith("EXT") else "unusual-opcode"
        raise Refusal(rule, f"{name}, which no pickler of Python 3 writes into a file")

    @classmethod
    def _table(cls) -> list[Callable[[Actions], None] | None]:
        table: list[Callable[[Actions], None] | None] = [None] * 256
        for name, action in ACTIONS.items():
            table[OPCODES[name]] = action
        return table


def _never(name: str) -> Callable[[Actions], None]:
    return lambda machine: machine.never(name)


ACTIONS: dict[str, Callable[[Actions], None]] = {
    "PROTO": Actions.proto,
    "FRAME": Actions.frame,
    "POP": Actions.pop,
    "POP_MARK": Actions.pop_mark,
    "INT": Actions.int_line,
    "BININT": Actions.binint,
    "LONG": Actions.long_line,
    "LONG1": lambda machine: machine.long(1),
    "LONG4": lambda machine: machine.long(4),
    "FLOAT": Actions.float_line,
    "STRING": Actions.string_line,
    "BINSTRING": lambda machine: machine.text(4, ascii_only=True),
    "SHORT_BINSTRING": lambda machine: machine.text(1, ascii_only=True),
    "UNICODE": Actions.unicode_line,
    "BINUNICODE": lambda machine: machine.text(4),
    "BINUNICODE8": lambda machine: machine.text(8),
    "SHORT_BINBYTES": lambda machine: machine.raw(1),
    "BINBYTES": lambda machine: machine.raw(4),
    "BINBYTES8": lambda machine: machine.raw(8),
    "BYTEARRAY8": lambda machine: machine.raw(8),
    "EMPTY_TUPLE": lambda machine: machine.stack.append(()),
    "TUPLE": lambda machine: machine.push_tuple(machine.items()),
    "TUPLE1": Actions.tuple_of_one,
    "LIST": Actions.make_list,
    "DICT": Actions.make_dict,
    "APPEND": Actions.append,
    "SETITEM": Actions.set_item,
    "EMPTY_SET": lambda machine: machine.stack.append(SET),
    "ADDITEMS": Actions.add_items,
    "FROZENSET": Actions.make_frozenset,
    "GET": lambda machine: machine.get(machine.number_line()),
    "PUT": lambda machine: machine.put(machine.number_line()),
    "BINPUT": lambda machine: machine.put(machine.number(1)),
    "LONG_BINPUT": lambda machine: machine.put(machine.number(4)),
    "GLOBAL": Actions.global_lines,
    "STACK_GLOBAL": Actions.stack_global,
    "REDUCE": Actions.reduce,
    "BUILD": Actions.build,
    "NEWOBJ": Actions.newobj,
    "NEWOBJ_EX": Actions.newobj_ex,
    "BINPERSID": Actions.persistent_id,
    **{name: _never(name) for name in ("DUP", "INST", "OBJ", "PERSID", "EXT1", "EXT2", "EXT4")},
    **{name: _never(name) for name in ("NEXT_BUFFER", "READONLY_BUFFER")},
}
Actions.table = Actions._table()
