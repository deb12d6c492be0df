"""Arguments of opcodes: lengths, text, bytes, numbers, and what is special about some text."""

from __future__ import annotations

import codecs
import re

from airflow_mlsecops.core.scanning.pickles.reader import MAX_LINE
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal
from airflow_mlsecops.core.scanning.pickles.state import State
from airflow_mlsecops.core.scanning.pickles.values import DATA, TEXT

MAX_PROTOCOL = 5
KEPT_TEXT = 256
SEARCHED_BYTES = 64 * 1024
_SPECIAL = re.compile(rb"__\w+__")
_HARMLESS = {b"__main__", b"__builtin__"}
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d{0,4000})")
"""As Python writes one. Read with base 0, as CPython does, ``010`` would be eight."""
_FLOAT = re.compile(rb"-?(?:\d{1,400}(?:\.\d{1,400})?(?:e[+-]?\d{1,4})?|inf|nan)")
_SOON = 1024
_PIECE = 128 * 1024
_BROKEN_ESCAPE = "text of protocol 0 with a broken escape"
_OVERLAP = 256


def is_special(text: bytes) -> bool:
    """Whether text, or UTF-32 of it, is a name that Python itself looks up on objects."""
    return _SPECIAL.fullmatch(text.replace(b"\0", b"")) is not None


class Arguments(State):
    """Reads arguments from the window, and pushes what they are."""

    def bytes_of(self, count: int) -> bytes:
        """The next ``count`` bytes, of which there are few."""
        found, self.pos = self.reader.take(self.pos, count)
        return found

    def number(self, width: int) -> int:
        """An unsigned little-endian number."""
        return int.from_bytes(self.bytes_of(width), "little")

    def line(self) -> bytes:
        """Up to the next newline."""
        found, self.pos = self.reader.line(self.pos)
        return found

    def number_line(self) -> int:
        """A decimal number on a line of its own.

        Raises:
            Refusal: if it is none.
        """
        text = self.line()
        if not re.fullmatch(rb"\d{1,18}", text):
            raise Refusal("malformed", "a line that should be a number isn't", certain=False)
        return int(text)

    # --- the frame ---

    def proto(self) -> None:
        """PROTO: first, once, and known.

        Raises:
            Refusal: if it stands elsewhere.
        """
        version = self.number(1)
        if version > MAX_PROTOCOL:
            raise Refusal("malformed", f"pickle protocol {version}")
        if self.reader.base + self.pos != self.start + 2:
            raise Refusal("malformed", "PROTO in the middle of a pickle", certain=False)

    def frame(self) -> None:
        """FRAME: inside the stream, and not inside another one.

        Raises:
            Refusal: if it isn't.
        """
        begin = self.reader.base + self.pos - 1
        length = self.number(8)
        if self.in_frame and begin < self.frame_end:
            raise Refusal("malformed", "a frame begins inside another one", certain=False)
        self.frame_end, self.in_frame = self.reader.base + self.pos + length, True
        if self.frame_end > self.reader.size:
            raise Refusal("truncated", "a frame ends after the file")

    # --- numbers ---

    def int_line(self) -> None:
        """INT; ``01`` and ``00`` are the booleans of protocol 0."""
        text = self.line()
        if text in (b"00", b"01"):
            self.stack.append(DATA)
            return
        self._decimal(text)

    def long_line(self) -> None:
        """LONG."""
        text = self.line()
        self._decimal(text[:-1] if text.endswith(b"L") else text)

    def _decimal(self, text: bytes) -> None:
        if not _NUMBER.fullmatch(text):
            raise Refusal("malformed", "a line that should be a number isn't", certain=False)
        self.stack.append(int(text) if len(text) < 18 else DATA)

    def float_line(self) -> None:
        """FLOAT."""
        text = self.line()
        if not _FLOAT.fullmatch(text):
            raise Refusal("malformed", "a line that should be a number isn't", certain=False)
        self.stack.append(DATA)

    def binint(self) -> None:
        """BININT."""
        self.stack.append(int.from_bytes(self.bytes_of(4), "little", signed=True))

    def long(self, width: int) -> None:
        """LONG1, LONG4."""
        count = self.number(width)
        if width == 4 and count >= 1 << 31:
            raise Refusal("malformed", "a number of negative length")
        if count <= 8:
            self.stack.append(int.from_bytes(self.bytes_of(count), "little", signed=True))
        else:
            self.pos = self.reader.skip(self.pos, count)
            self.stack.append(DATA)

    # --- text and bytes ---

    def special_text(self, text: bytes) -> None:
        """Refuse what isn't UTF-8, and the names that Python itself looks up on objects.

        A state with ``__setstate__``, ``__class__`` or ``__reduce__`` would change what an allowed object does.
        """
        try:
            text.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise Refusal("malformed", "text that isn't UTF-8") from None
        plain = text.replace(b"\0", b"")
        if _SPECIAL.fullmatch(plain) and plain not in _HARMLESS:
            self.hit("special-name", f"the text {plain.decode(errors='replace')[:60]!r}, a name that Python looks up")

    def searched(self, data: bytes) -> None:
        """Text, or a few bytes, in which a secret may lie."""
        self.texts.append(data)
        if len(data) > _SOON:
            self.flush()

    def push_text(self, text: bytes) -> None:
        """Text that lies in the window."""
        if not text.isascii() or text[:2] == b"__":
            self.special_text(text)
        self.searched(text)
        self.stack.append(text if len(text) <= KEPT_TEXT else TEXT)

    def text(self, width: int, *, ascii_only: bool = False) -> None:
        """Text after its length, of any size."""
        count = self.number(width)
        if width == 4 and ascii_only and count >= 1 << 31:
            raise Refusal("malformed", "text of negative length")
        if count <= _PIECE:
            text = self.bytes_of(count)
            if ascii_only and not text.isascii():
                raise Refusal("malformed", "bytes of Python 2 that Python 3 can't read")
            self.push_text(text)
            return
        self._long_text(count, ascii_only=ascii_only)
        self.stack.append(TEXT)

    def _long_text(self, count: int, *, ascii_only: bool) -> None:
        """Decode long text piece by piece; each is searched, and forgotten."""
        decoder = codecs.getincrementaldecoder("ascii" if ascii_only else "utf-8")("surrogatepass")
        if self.reader.base + self.pos + count > self.reader.size:
            raise Refusal("truncated", f"an argument of {count} bytes ends after the file")
        tail = b""
        while count:
            piece = self.bytes_of(min(count, _PIECE))
            count -= len(piece)
            try:
                decoder.decode(piece, not count)
            except UnicodeDecodeError:
                raise Refusal("malformed", "text that isn't UTF-8") from None
            self.texts.append(tail + piece)
            self.flush()
            tail = piece[-_OVERLAP:]

    def raw(self, width: int) -> None:
        """Bytes after their length, of any size; what is large is passed over."""
        count = self.number(width)
        if count <= SEARCHED_BYTES:
            data = self.bytes_of(count)
            if b"_" in data[:8]:
                self.special_bytes(data)
            self.searched(data)
        else:
            self.pos = self.reader.skip(self.pos, count)
        self.stack.append(DATA)

    def special_bytes(self, data: bytes) -> None:
        """A scalar of NumPy's text type is text to Python, and lies here as UTF-32."""
        plain = data.replace(b"\0", b"")
        if _SPECIAL.fullmatch(plain):
            self.hit("special-name", f"the text {plain.decode(errors='replace')[:60]!r}, a name that Python looks up")

    def string_line(self) -> None:
        """STRING: quoted, with escapes.

        Raises:
            Refusal: if it isn't.
        """
        text = self.line()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            raise Refusal("malformed", "text of protocol 0 without quotes")
        try:
            value = codecs.escape_decode(text[1:-1])[0]
        except ValueError:
            raise Refusal("malformed", "text of protocol 0 with a broken escape") from None
        if not isinstance(value, bytes) or not value.isascii():
            raise Refusal("malformed", "bytes of Python 2 that Python 3 can't read")
        self.push_text(value)

    def unicode_line(self) -> None:
        """UNICODE: raw escapes.

        Raises:
            Refusal: if they are broken.
        """
        count = self.reader.line_length(self.pos)
        if count > MAX_LINE:
            self._long_line(count)
            return
        try:
            text = self.line().decode("raw_unicode_escape")
        except UnicodeDecodeError:
            raise Refusal("malformed", _BROKEN_ESCAPE) from None
        self.push_text(text.encode("utf-8", "surrogatepass"))

    def _long_line(self, count: int) -> None:
        """Decode a long line piece by piece; each is searched, and forgotten."""
        decoder = codecs.getincrementaldecoder("raw_unicode_escape")()
        tail = b""
        while count:
            piece = self.bytes_of(min(count, _PIECE))
            count -= len(piece)
            try:
                text = decoder.decode(piece, not count).encode("utf-8", "surrogatepass")
            except UnicodeDecodeError:
                raise Refusal("malformed", _BROKEN_ESCAPE) from None
            self.texts.append(tail + text)
            self.flush()
            tail = text[-_OVERLAP:]
        self.line()  # the newline
        self.stack.append(TEXT)

    def persistent_id(self) -> None:
        """BINPERSID."""
        self.stack.append(self.storage(self.stack.pop()))
