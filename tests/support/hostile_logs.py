"""Writes the folder of hostile logs: ``python -m tests.support.hostile_logs``. Each run writes the same bytes.

``tests/core/log/hostile/sound`` is a small store with its log. Every other folder is a case: what an intruder removed
stands in its ``case.json``, with what has to be said of it; what the intruder wrote lies beside that, under ``files``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.log import Checkpoint, Entry, LogTrust
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT
from airflow_mlsecops.core.log.head import HEAD, Head
from airflow_mlsecops.core.log.merkle import leaf_hash
from airflow_mlsecops.core.log.note import sign_note
from airflow_mlsecops.core.log.tiles import encode_entries
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from tests.support.evidence import NOW, RUN, artifact
from tests.support.logs import MemoryLogBackend, made_log, write_files

FOLDER = Path(__file__).resolve().parents[1] / "core" / "log" / "hostile"
ORIGIN = "example.com/evidence"
SIZE = 5
Objects = dict[str, bytes]
CASES: dict[str, tuple[Callable[[Objects], object], dict[str, Any]]] = {}


def key(name: str) -> FileKeySigner:
    """A key that is the same for ever. It protects nothing."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    plain = serialization.NoEncryption()
    return FileKeySigner(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


TRUST = LogTrust(ORIGIN, (key("log").public_key,))


def evidence(number: int) -> Bundle:
    """The bundle of an entry."""
    statement = signature.build(artifact(f"model {number}"), signed_at=NOW, evidence=[], run=RUN)
    return key("signer").sign(statement)


def entry(number: int) -> bytes:
    """An entry."""
    return Entry.of(evidence(number)).encode()


def store(entries: list[bytes], *, base: int | None = None, name: str = "log", origin: str = ORIGIN) -> Objects:
    """A log of these entries, sound in itself, and the usual bundles."""
    objects = made_log(entries)[0].objects
    root = Checkpoint.parse(objects[CHECKPOINT], _usual()).root
    checkpoint = Checkpoint.sign(len(entries), root, origin, key(name))
    base = len(entries) - 1 if base is None else base
    objects |= {CHECKPOINT: checkpoint.raw, HEAD: Head(base, tuple(entries[base:]), checkpoint).encode()}
    for number in range(SIZE):
        objects |= dict.fromkeys(Entry.of(evidence(number)).keys, evidence(number).raw)
    return objects


def _usual() -> LogTrust:
    from tests.support.logs import log_trust

    return log_trust()


def sound() -> Objects:
    """The store that the cases begin with."""
    return store([entry(number) for number in range(SIZE)])


def case(name: str, *, faults: list[list[Any]] | None = None, **expected: Any) -> Callable[[Any], Any]:
    """Register a case.

    Args:
        name: its folder.
        faults: code, where and entry of each.
        expected: ``missing`` (places), ``unlogged`` (which) and ``since`` (whether a checkpoint was kept).
    """

    def register(spoil: Callable[[Objects], object]) -> Callable[[Objects], object]:
        CASES[name] = (spoil, {"faults": faults or [], "missing": [], "unlogged": [], "since": False, **expected})
        return spoil

    return register


ENTRIES, TILE = "log/tile/entries/000.p/5", "log/tile/0/000.p/5"
ALL = [entry(number) for number in range(SIZE)]


@case("entry-rewritten", faults=[["entry-wrong", "tile/entries/000.p/5", 2]], missing=[2])
def _(objects: Objects) -> None:
    objects[ENTRIES] = encode_entries([*ALL[:2], entry(7), *ALL[3:]])


@case("entries-reordered", faults=[["entry-wrong", "tile/entries/000.p/5", at] for at in (1, 3)])
def _(objects: Objects) -> None:
    objects[ENTRIES] = encode_entries([ALL[0], ALL[3], ALL[2], ALL[1], ALL[4]])


@case("entry-removed", faults=[["entry-wrong", "tile/entries/000.p/5", 0]])
def _(objects: Objects) -> None:
    objects[ENTRIES] = encode_entries(ALL[:4])


@case("entries-cut-short", faults=[["entry-wrong", "tile/entries/000.p/5", 0]])
def _(objects: Objects) -> None:
    objects[ENTRIES] = objects[ENTRIES][:-7]


@case("entries-missing", faults=[["entries-missing", "tile/entries/000.p/5", 0]])
def _(objects: Objects) -> None:
    del objects[ENTRIES]


@case("tile-missing", faults=[["tile-missing", "tile/0/000.p/5", 0]])
def _(objects: Objects) -> None:
    del objects[TILE]


@case("tile-cut-short", faults=[["tile-wrong", "tile/0/000.p/5", 0]])
def _(objects: Objects) -> None:
    objects[TILE] = objects[TILE][:-1]


@case("tile-hash-changed", faults=[["tile-wrong", "tile/0/000.p/5", 3]])
def _(objects: Objects) -> None:
    objects[TILE] = objects[TILE][:96] + bytes(32) + objects[TILE][128:]


@case("tile-is-the-entries", faults=[["tile-wrong", "tile/0/000.p/5", 0]])
def _(objects: Objects) -> None:
    objects[TILE] = objects[ENTRIES][:200]


@case("tiles-and-entries-rewritten", faults=[["root", "checkpoint", None]], missing=[2], unlogged="third")
def _(objects: Objects) -> None:
    other = [*ALL[:2], entry(7), *ALL[3:]]
    objects[ENTRIES], objects[TILE] = encode_entries(other), b"".join(map(leaf_hash, other))


@case("checkpoint-by-another-key", faults=[["log-signature", "checkpoint", None]])
def _(objects: Objects) -> None:
    objects |= store(ALL, name="stranger")


@case("checkpoint-of-another-log", faults=[["log-signature", "checkpoint", None]])
def _(objects: Objects) -> None:
    objects |= store(ALL, origin="other.example/log")


@case("checkpoint-text-changed", faults=[["log-signature", "checkpoint", None]])
def _(objects: Objects) -> None:
    objects[CHECKPOINT] = objects[CHECKPOINT].replace(b"\n5\n", b"\n4\n")


@case("checkpoint-unsigned", faults=[["log-signature", "checkpoint", None]])
def _(objects: Objects) -> None:
    objects[CHECKPOINT] = objects[CHECKPOINT].partition(b"\n\n")[0] + b"\n\n"


@case("checkpoint-signed-twice-once-wrongly", faults=[["log-signature", "checkpoint", None]])
def _(objects: Objects) -> None:
    objects[CHECKPOINT] += sign_note("another text\n", ORIGIN, key("log")).partition(b"\n\n")[2]


@case("checkpoint-oversized", faults=[["log-signature", "checkpoint", None]])
def _(objects: Objects) -> None:
    objects[CHECKPOINT] += b"\n" * 66_000


@case("checkpoint-missing", faults=[["log-gone", "checkpoint", None]])
def _(objects: Objects) -> None:
    del objects[CHECKPOINT]


@case("log-removed", since=True, faults=[["log-gone", "checkpoint", None]], unlogged="all")
def _(objects: Objects) -> None:
    for name in [name for name in objects if name.startswith("log/")]:
        del objects[name]


@case("rolled-back", since=True, faults=[["rollback", "checkpoint", 4]], unlogged="last")
def _(objects: Objects) -> None:
    objects.pop(TILE), objects.pop(ENTRIES)
    objects |= store(ALL[:4])


@case("forked", since=True, faults=[["fork", "checkpoint", None]], missing=[4], unlogged="last")
def _(objects: Objects) -> None:
    objects |= store([*ALL[:4], entry(7)])


@case("history-rewritten", since=True, faults=[["fork", "checkpoint", None]], missing=[0], unlogged="first")
def _(objects: Objects) -> None:
    objects.pop(TILE), objects.pop(ENTRIES)
    objects |= store([entry(7), *ALL[1:], entry(8)])
    objects |= dict.fromkeys(Entry.of(evidence(8)).keys, evidence(8).raw)


@case("head-missing", faults=[["head", "head", None]])
def _(objects: Objects) -> None:
    del objects[HEAD]


@case("head-put-back", faults=[["rollback", "head", None]])
def _(objects: Objects) -> None:
    objects[HEAD] = store(ALL[:4])[HEAD]


@case("head-of-a-fork", faults=[["fork", "head", None]])
def _(objects: Objects) -> None:
    objects[HEAD] = store([*ALL[:4], entry(7)])[HEAD]


@case("head-with-other-entries", faults=[["head", "head", 4]])
def _(objects: Objects) -> None:
    checkpoint = Checkpoint.parse(objects[CHECKPOINT], TRUST)
    objects[HEAD] = Head(4, (entry(7),), checkpoint).encode()


@case("head-truncated", faults=[["head", "head", None]])
def _(objects: Objects) -> None:
    objects[HEAD] = objects[HEAD][:-20]


@case("head-with-a-duplicate-key", faults=[["head", "head", None]])
def _(objects: Objects) -> None:
    objects[HEAD] = b'{"base":0,' + objects[HEAD][1:]


@case("entry-logged-twice", since=True, faults=[["entry-twice", "tile/entries/000", 5]])
def _(objects: Objects) -> None:
    objects |= store([*ALL, ALL[2]])


@case("entry-that-is-none", since=True, faults=[["entry-malformed", "tile/entries/000", 5]])
def _(objects: Objects) -> None:
    objects |= store([*ALL, b'{"bundle":"../../etc/passwd"}'])


@case("bundle-withheld", missing=[3])
def _(objects: Objects) -> None:
    del objects[Entry.of(evidence(3)).keys[0]]


@case("bundle-slipped-in", unlogged="extra")
def _(objects: Objects) -> None:
    objects |= dict.fromkeys(Entry.of(evidence(7)).keys, evidence(7).raw)


def main() -> None:
    """Write everything anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    before = sound()
    write_files(FOLDER / "sound" / "files", before)
    for name, (spoil, expected) in CASES.items():
        objects = dict(before)
        spoil(objects)
        changed = {path: data for path, data in objects.items() if before.get(path) != data}
        write_files(FOLDER / name / "files", changed)
        document = {"remove": sorted(set(before) - set(objects)), **expected, "unlogged": _unlogged(expected)}
        (FOLDER / name).mkdir(exist_ok=True)
        (FOLDER / name / "case.json").write_text(json.dumps(document, indent=2) + "\n")


def _unlogged(expected: dict[str, Any]) -> list[str]:
    numbers = {"all": range(SIZE), "last": [4], "first": [0], "third": [2], "extra": [7]}.get(
        expected["unlogged"] or "", []
    )
    return sorted(path for number in numbers for path in Entry.of(evidence(number)).keys)


def load(name: str) -> tuple[MemoryLogBackend, dict[str, Any]]:
    """A case's store, and what has to be said of it."""
    objects = _files("sound")
    if name == "sound":
        return MemoryLogBackend(objects), {}
    expected: dict[str, Any] = json.loads((FOLDER / name / "case.json").read_text())
    for path in expected["remove"]:
        del objects[path]
    return MemoryLogBackend(objects | _files(name)), expected


def _files(name: str) -> Objects:
    root = FOLDER / name / "files"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


if __name__ == "__main__":
    main()
