"""Mutates pickles, and compares the verifier with CPython's own unpicklers, in a process that can do little.

    python tests/support/pickle_fuzz.py MUTANTS SEED

``find_class`` is a stub: it notes the name, and hands out a class that does nothing. A divergence is a mutant that the
verifier passes, and for which an unpickler asks for other names, reads another number of bytes, or ends in an error
other than an unhashable key. What the verifier refuses needs no comparison. Prints a JSON object.
"""

from __future__ import annotations

import collections
import datetime
import io
import itertools
import json
import pickle
import random
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

from airflow_mlsecops.core.scanning.allow_list import AllowList, packaged
from airflow_mlsecops.core.scanning.limits import Limits
from airflow_mlsecops.core.scanning.pickles.machine import Machine
from airflow_mlsecops.core.scanning.pickles.reader import Reader
from tests.support import pickle_assembler as p

KEPT_DIVERGENCES = 20


class Stub:
    """Stands for every class and every object of it."""

    def __new__(cls, *_: Any, **__: Any) -> Stub:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def ignore(self, *_: Any, **__: Any) -> None:
        """Take anything."""

    __setstate__ = append = extend = add = __setitem__ = update = ignore


def unpickler(base: Any) -> Any:
    """An unpickler of this kind whose names are all stubs."""

    class Stubbed(base):
        def __init__(self, stream: io.BytesIO) -> None:
            super().__init__(stream)
            self.names: set[str] = set()

        def find_class(self, module: str, name: str) -> type[Stub]:
            self.names.add(f"{module}.{name}"[:200])
            return Stub

    return Stubbed


KINDS: tuple[Any, ...] = (unpickler(pickle.Unpickler), unpickler(pickle._Unpickler))


def seeds() -> list[bytes]:
    """Small pickles of each kind, by each protocol, and some that are assembled."""
    shared = ["a", 1]
    loop: list[Any] = [shared]
    loop.append(loop)
    values: list[Any] = [
        {"a": [1, 2.5, None, True, b"x", bytearray(b"y")], "b": (1, (2, 3), {4, 5}, frozenset("ab"))},
        [shared, shared, {"k": shared}, "text" * 80, 2**80, -5, 300, 70000],
        collections.OrderedDict(a=1, b=collections.Counter("ab")),
        [datetime.datetime(2020, 1, 1), complex(1, 2)],
        loop,
        [float(index) for index in range(20)],
        collections.deque([1, 2]),
        collections.defaultdict(list, {1: [2]}),
    ]
    found = [pickle.dumps(value, protocol) for value in values for protocol in range(6)]
    estimator = p.stacked("sklearn.linear_model._base", "LinearRegression") + p.EMPTY_TUPLE + p.NEWOBJ + p.MEMOIZE
    state = p.EMPTY_DICT + p.MEMOIZE + p.MARK + p.text("coef_") + p.array("f8", (1,), bytes(8)) + p.SETITEMS + p.BUILD
    body = estimator + state + p.STOP
    return [*found, p.proto(4) + body, p.proto(4) + p.frame(body), p.proto(2) + p.array("f8", (2,), bytes(16)) + p.STOP]


PIECES = [
    bytes([code])
    for code in b"(.012abcdegijhlopqrstu})]"
    b"\x80\x81\x82\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x95NKMJXTUBCIFLSVPQR"
]
PIECES += [
    p.text("os"),
    p.text("system"),
    p.text("numpy"),
    p.text("ndarray"),
    p.text("__setstate__"),
    p.number(0),
    p.get(0),
    p.get(1),
    p.put(0),
    p.named("os", "system"),
    p.named("numpy", "ndarray"),
    p.named("builtins", "set"),
    p.stacked("os", "system"),
    p.proto(2),
    p.proto(5),
    p.EMPTY_TUPLE + p.REDUCE,
    p.EMPTY_TUPLE + p.NEWOBJ,
    p.EMPTY_DICT + p.BUILD,
    p.MARK + p.TUPLE,
    b"\x8a\x01\x05",
    b"r\x00\x00\x00\x00",
    b"I01\n",
    b"I5\n",
    b"L5L\n",
    b"F1.5\n",
    b"S'a'\n",
    b"Va\n",
    b"g0\n",
    b"p0\n",
    b"\x95" + bytes(8),
    b"\x95\x05" + bytes(7),
]


def mutant(chance: random.Random, corpus: list[bytes]) -> bytes:
    """One seed with a few changes."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        at, how = chance.randrange(len(data) + 1), chance.randrange(6)
        if how == 0 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif how == 1 and data:
            data[at % len(data)] = chance.randrange(256)
        elif how == 2:
            data[at:at] = chance.choice(PIECES)
        elif how == 3:
            del data[at : at + chance.choice((1, 1, 2, 4, 9))]
        elif how == 4:
            other = chance.choice(corpus)
            begin = chance.randrange(len(other))
            data[at:at] = other[begin : begin + chance.randrange(1, 30)]
        else:
            piece = chance.choice(PIECES)
            data[at : at + len(piece)] = piece
    return bytes(data)


def verdict(data: bytes, allow_list: AllowList, limits: Limits) -> tuple[bool, set[str], int]:
    """Whether the verifier passes the first pickle, the names that it saw, and where the pickle ends."""
    reading = Machine(Reader(io.BytesIO(data), len(data)), allow_list, limits, joblib=False).read()
    return reading.complete and not reading.hits, set(reading.globals), reading.end


def difference(data: bytes, names: set[str], end: int, kind: Any) -> str:
    """How an unpickler differs from what the verifier said; empty if it doesn't."""
    stream = io.BytesIO(data[:end])  # a clean end is all that it may have read up to
    made = kind(stream)
    try:
        made.load()
    except TypeError as error:
        return "" if "unhashable" in str(error) else f"TypeError: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if made.names != names:
        return f"names {sorted(made.names)}, and the verifier saw {sorted(names)}"
    return "" if stream.tell() == end else f"read {stream.tell()} bytes of {end}"


def run(count: int, seed: int, say: Callable[[dict[str, Any]], None]) -> None:
    """Compare, and say what came out."""
    chance, corpus, allow_list, limits = random.Random(seed), seeds(), packaged(), Limits()
    passed, divergences = 0, []
    for data in itertools.chain(corpus, (mutant(chance, corpus) for _ in range(count))):
        ok, names, end = verdict(data, allow_list, limits)
        if not ok:
            continue
        passed += 1
        for kind in KINDS:
            told = difference(data, names, end, kind)
            if told:
                divergences.append(
                    {"pickle": data.hex(), "unpickler": kind.__mro__[1].__name__, "difference": told[:300]}
                )
    say(
        {
            "mutants": count,
            "seeds": len(corpus),
            "passed": passed,
            "divergences": len(divergences),
            "first": divergences[:KEPT_DIVERGENCES],
        }
    )


def say(told: dict[str, Any]) -> None:
    """Print what came out."""
    sys.stdout.write(json.dumps(told) + "\n")


def main() -> None:
    """Give up what isn't needed, then compare."""

    def refused(*_: Any, **__: Any) -> None:
        raise OSError("no network here")

    socket.socket = refused  # type: ignore[assignment, misc]
    for limit, value in (
        (resource.RLIMIT_AS, 2 << 30),
        (resource.RLIMIT_FSIZE, 1 << 20),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    run(int(sys.argv[1]), int(sys.argv[2]), say)


if __name__ == "__main__":
    main()
