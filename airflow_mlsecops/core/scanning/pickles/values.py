"""What stands on the stack of the verifier: not objects, but all that has to be known about them.

Text is kept as its UTF-8 bytes, whole numbers as ``int``, small tuples as tuples; everything else is one of the values
below. A value that has just been made is *fresh*; what comes back from the memo is its ``old`` form. Picklers fill and
build objects before anything else can refer to them, so that only a fresh value may be changed: then nobody can change
an object behind the verifier's back.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_mlsecops.core.scanning.allow_list import Allowed

MAX_ITEMS = 128
"""How many keys and values of a dictionary are kept; of a larger one nothing is known."""


class Opaque:
    """Something of which only the kind is known."""

    __slots__ = ("name", "old")

    def __init__(self, name: str, old: Opaque | None = None) -> None:
        self.name = name
        self.old: Opaque = old or self

    def __repr__(self) -> str:
        return self.name


DATA = Opaque("data")
NONE = Opaque("none")
TEXT = Opaque("text")
TUPLE = Opaque("tuple")
OLD_LIST = Opaque("old list")
OLD_DICT = Opaque("old dict")
OLD_SET = Opaque("old set")
OLD_MARKER = Opaque("unset")
LIST = Opaque("list", OLD_LIST)
SET = Opaque("set", OLD_SET)
DENIED = Opaque("denied")


_PLAIN: frozenset[type] = frozenset({bytes, int, tuple, Opaque})
_NONE_YET: list[object] = []


class Dict:
    """A fresh dictionary and, while it is small, its keys and values in turn."""

    __slots__ = ("items", "known")
    old = OLD_DICT

    def __init__(self) -> None:
        self.items: list[object] = _NONE_YET
        self.known = True

    def add(self, items: list[object]) -> None:
        """Take keys and values, in turn; of what could change or hold others, only its kind."""
        if not self.known:
            return
        if len(self.items) + len(items) > MAX_ITEMS:
            self.known, self.items = False, []
            return
        if not _PLAIN.issuperset(map(type, items)):
            items = [item if item.__class__ in _PLAIN else getattr(item, "old", DATA) for item in items]
        self.items = self.items + items if self.items else items

    def get(self, key: bytes) -> object | None:
        """The value that the key has at last, or None."""
        found = None
        for index in range(0, len(self.items), 2):
            if self.items[index] == key:
                found = self.items[index + 1]
        return found


class Global:
    """An allowed name."""

    __slots__ = ("allowed", "instance", "old")

    def __init__(self, allowed: Allowed) -> None:
        self.allowed = allowed
        self.old = self
        self.instance = Instance(allowed)

    def __repr__(self) -> str:
        return f"global {self.allowed}"


class Instance:
    """An object that is finished: nothing may change it any more."""

    __slots__ = ("allowed", "old")

    def __init__(self, allowed: Allowed) -> None:
        self.allowed = allowed
        self.old = self

    def __repr__(self) -> str:
        return f"instance of {self.allowed}"


class Made:
    """A fresh object of an allowed class."""

    __slots__ = ("of",)

    def __init__(self, of: Global) -> None:
        self.of = of

    @property
    def old(self) -> Instance:
        """What the memo keeps."""
        return self.of.instance

    def __repr__(self) -> str:
        return f"fresh {self.of.allowed}"


@dataclass(frozen=True)
class DType:
    """A NumPy dtype.

    Attributes:
        code: as pickles have it: ``f8``, ``U12``, ``V64``.
        itemsize: in bytes.
        has_object: whether its items are Python objects.
        fresh: whether its state may still be set.
    """

    code: bytes
    itemsize: int
    has_object: bool
    fresh: bool = False

    @property
    def old(self) -> DType:
        """Without the right to be changed."""
        return DType(self.code, self.itemsize, self.has_object) if self.fresh else self


@dataclass(frozen=True)
class Storage:
    """A tensor's storage, which lies elsewhere in the file: how many elements it has, and of which size."""

    key: bytes
    numel: int
    itemsize: int

    @property
    def old(self) -> Storage:
        """Itself."""
        return self
