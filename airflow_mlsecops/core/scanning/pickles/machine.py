"""The stack and memo machine: follows one pickle opcode by opcode, and executes nothing.

Source of the format: CPython's ``Modules/_pickle.c`` and ``Lib/pickletools.py``, protocols 0 to 5. Where CPython is
lenient (rewriting the memo, DUP, frames that overlap, leftovers on the stack), this machine refuses, because no pickler
writes such a thing and each has been used to make a scanner see another pickle than the one that is loaded.

What is refused but doesn't hinder reading on is noted, and the reading goes on, so that a report names everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_mlsecops.core.scanning.allow_list import AllowList
from airflow_mlsecops.core.scanning.limits import Limits
from airflow_mlsecops.core.scanning.pickles.actions import _NEVER_PUT, Actions
from airflow_mlsecops.core.scanning.pickles.opcodes import NUMBERS, RUN, RUN_ITEM
from airflow_mlsecops.core.scanning.pickles.reader import Reader
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal
from airflow_mlsecops.core.scanning.pickles.values import (
    DATA,
    LIST,
    NONE,
    OLD_DICT,
    OLD_LIST,
    OLD_MARKER,
    TEXT,
    TUPLE,
    Dict,
)

Sink = Callable[[list[bytes]], None]

SEARCHED_TEXT = 12
"""Shorter text can't hold a credential or a path that matters."""
_BATCH = 4096


@dataclass
class Reading:
    """What one pickle turned out to be.

    Attributes:
        end: where it ends in the stream, or where reading stopped.
        complete: whether its STOP was reached.
        certain_end: whether CPython is known to stop where reading stopped before STOP.
        globals: the names it needs, allowed or not, in the order in which they come.
        hits: rule, message and offset of everything that was refused.
        hits_total: also of those that weren't kept.
        arrays: how many arrays joblib's way were passed over.
        row_names: attributes in which estimators keep training rows.
        result: what stood on the stack at STOP.
    """

    end: int = 0
    complete: bool = False
    certain_end: bool = False
    globals: dict[str, None] = field(default_factory=dict)
    hits: list[tuple[str, str, int]] = field(default_factory=list)
    hits_total: int = 0
    arrays: int = 0
    row_names: set[str] = field(default_factory=set)
    storages: dict[bytes, int] = field(default_factory=dict)
    result: object = None


class Machine(Actions):
    """Follows one pickle in a stream; a new one for each, because a memo never outlives its pickle.

    Args:
        reader: a window on the stream.
        allow_list: which names are allowed.
        limits: when to give up.
        sink: gets the text in the pickle, in batches.
        tensors: whether persistent ids are references to tensor storages.
        joblib: whether arrays may follow their wrapper in the stream.
    """

    def __init__(
        self,
        reader: Reader,
        allow_list: AllowList,
        limits: Limits,
        *,
        sink: Sink | None = None,
        tensors: bool = False,
        joblib: bool = True,
    ) -> None:
        super().__init__()
        self.reader = reader
        self.allow_list = allow_list
        self.limits = limits
        self.sink = sink
        self.tensors = tensors
        self.joblib = joblib
        self.lenient = False
        self.reading = Reading()
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: list[Any] = []
        self.kept: dict[bytes, bytes] = {}
        self.texts: list[bytes] = []
        self.known: dict[tuple[bytes, bytes], object] = {}
        self.frame_end = -1
        self.in_frame = False
        self.pos = 0
        self.start = 0
        self.memo_shift = False

    def read(self, offset: int = 0) -> Reading:
        """Follow the pickle that begins at ``offset`` of the stream."""
        reader = self.reader
        pos = reader.refill(offset - reader.base)
        self.pos, self.start = pos, offset
        try:
            pos = self._run(pos)
            self.reading.complete = True
        except Refusal as refusal:
            self.reading.certain_end = refusal.certain
            self.hit(refusal.rule, refusal.message)
            pos = self.pos
        except IndexError:
            self.reading.certain_end = True
            self.hit("malformed", "an opcode takes more from the stack than there is")
            pos = self.pos
        self.flush()
        self.reading.end = reader.base + pos
        return self.reading

    def flush(self) -> None:
        """Hand the text that was read to whoever searches it."""
        if self.texts and self.sink is not None:
            self.sink(self.texts)
        self.texts.clear()

    def hit(self, rule: str, message: str) -> None:
        """Note that something is refused."""
        self.reading.hits_total += 1
        if len(self.reading.hits) < self.limits.findings:
            self.reading.hits.append((rule, message, self.reader.base + self.pos))

    def keep(self, value: Any) -> object:
        """What the memo keeps of a value: one shared object where there can be many.

        Picklers make a tuple anew wherever its content matters here, so that of one from the memo nothing is known.
        """
        kind = value.__class__
        if kind is bytes:
            return self.keep_text(value)
        if kind is tuple:
            return TUPLE
        return DATA if kind is int else value.old

    def keep_text(self, value: bytes) -> object:
        """The text itself, as long as there is room: a name may be made of it later."""
        if len(self.kept) >= self.limits.kept:
            return self.kept.get(value, TEXT)
        return self.kept.setdefault(value, value)

    def _run(self, pos: int) -> int:  # noqa: C901 - one loop, because every call in it would be paid for each opcode
        """Follow opcodes up to STOP; the ones that make up nearly all of a pickle stand here, the others in a table."""
        reader, memo, kept, texts = self.reader, self.memo, self.kept, self.texts
        stack, marks, keep, keep_text = self.stack, self.marks, self.keep, self.keep_text
        special, actions, want_text = self.special_text, self.table, self.sink is not None
        buf, safe = reader.buf, self.safe_end()
        while True:
            if pos >= safe:
                self.pos = pos
                self.leave_frame(pos)
                if reader.base + pos >= reader.size:
                    raise Refusal("truncated", "the pickle has no end")
                if pos >= reader.safe_end():
                    pos = reader.refill(pos)
                buf, safe = reader.buf, self.safe_end()
                self.pos = pos
                self.check_size()
            op = buf[pos]
            pos += 1
            if op == 0x8C:  # SHORT_BINUNICODE
                end = pos + 1 + buf[pos]
                text = buf[pos + 1 : end]
                pos = end
                if text[:2] == b"__" or not text.isascii():
                    self.pos = pos
                    special(text)
                if want_text and len(text) >= SEARCHED_TEXT:
                    texts.append(text)
                stack.append(text)
                if buf[pos] == 0x94 and pos < safe:
                    pos += 1
                    known: object = kept.get(text)
                    if known is None:
                        known = keep_text(text)
                    memo.append(known)
            elif op == 0x68 or op == 0x6A:  # BINGET, LONG_BINGET
                if op == 0x68:
                    index = buf[pos]
                    pos += 1
                else:
                    index = int.from_bytes(buf[pos : pos + 4], "little")
                    pos += 4
                if index >= len(memo) or memo[index] is OLD_MARKER:
                    self.pos = pos
                    raise Refusal("memo", _NEVER_PUT, certain=True)
                stack.append(memo[index])
            elif op == 0x4B:  # BININT1
                stack.append(buf[pos])
                pos += 1
            elif op == 0x94:  # MEMOIZE
                value = stack[-1]
                kind = value.__class__
                memo.append(TUPLE if kind is tuple else keep(value))
                if self.memo_shift and not self.lenient:
                    self.pos = pos
                    raise Refusal("memo", "two ways of numbering the memo in one pickle")
            elif op == 0x28:  # MARK
                marks.append(stack)
                stack = self.stack = []
                if buf[pos] in NUMBERS:
                    found = RUN.match(buf, pos)
                    if found is not None:
                        stack += [DATA] * len(RUN_ITEM.findall(found.group()))
                        pos = found.end()
            elif op == 0x47:  # BINFLOAT
                pos += 8
                stack.append(DATA)
            elif op == 0x75:  # SETITEMS
                items = stack
                stack = self.stack = marks.pop()
                target = stack[-1]
                if target.__class__ is Dict and len(items) % 2 == 0:
                    target.add(items)
                else:
                    self.pos = pos
                    self.set_items(target, items)
            elif op == 0x7D:  # EMPTY_DICT
                stack.append(Dict())
                if buf[pos] == 0x94 and pos < safe:
                    pos += 1
                    memo.append(OLD_DICT)
            elif op == 0x5D:  # EMPTY_LIST
                stack.append(LIST)
                if buf[pos] == 0x94 and pos < safe:
                    pos += 1
                    memo.append(OLD_LIST)
            elif op == 0x86:  # TUPLE2
                second = stack.pop()
                stack[-1] = (stack[-1], second)
            elif op == 0x87:  # TUPLE3
                third, second = stack.pop(), stack.pop()
                stack[-1] = (stack[-1], second, third)
            elif op == 0x65:  # APPENDS
                stack = self.stack = marks.pop()
                if stack[-1] is not LIST:
                    self.pos = pos
                    self.append_to(stack[-1])
            elif op == 0x4E:  # NONE
                stack.append(NONE)
            elif op == 0x4D:  # BININT2
                stack.append(buf[pos] | buf[pos + 1] << 8)
                pos += 2
            elif op == 0x88 or op == 0x89:  # NEWTRUE, NEWFALSE
                stack.append(DATA)
            elif op == 0x2E:  # STOP
                self.pos = pos
                self.stop()
                return pos
            else:
                action = actions[op]
                self.pos = pos
                if action is None:
                    raise Refusal("malformed", f"0x{op:02x} is no opcode")
                action(self)
                self.check_size()
                pos, buf, safe = self.pos, reader.buf, self.safe_end()
                stack = self.stack

    def safe_end(self) -> int:
        """Up to where the window, and the frame, hold whole opcodes."""
        end = self.reader.safe_end()
        return min(end, self.frame_end - self.reader.base) if self.in_frame else end

    def leave_frame(self, pos: int) -> None:
        """A frame ends where an opcode does.

        Raises:
            Refusal: if it cuts one in two: CPython's two unpicklers differ then.
        """
        at = self.reader.base + pos
        if self.in_frame and at >= self.frame_end:
            self.in_frame = False
            if at > self.frame_end:
                raise Refusal("malformed", "a frame ends in the middle of an opcode", certain=False)

    def check_size(self) -> None:
        """Give up in time, and hand over the text so far.

        Raises:
            Refusal: if there are more objects than are followed.
        """
        limits = self.limits
        if len(self.memo) > limits.memo or len(self.stack) > limits.stack or len(self.marks) > limits.marks:
            raise Refusal("too-large", "more objects than are followed")
        if len(self.texts) > _BATCH:
            self.flush()

    def fork(self, memo: list[object] | None = None) -> Machine:
        """A machine for a pickle inside this one."""
        inner = Machine(self.reader, self.allow_list, self.limits, sink=self.sink, joblib=False)
        if memo is not None:
            inner.memo = list(memo)
            inner.lenient = True
        return inner
