"""The evidence log: appends by many processes, verifying a million entries, one proof, and one look-up.

Everything lies in a folder on this machine's disk. Peers, in the same run:

- appends: eight processes that each put the same bundles into a store *without* a log, two files per bundle and each
  flushed to disk. What the log adds is what stands between the two.
- verifying: reading the same entry bundles and hashing them to the RFC 6962 root with hashlib, which finds that
  something is wrong, and not what.

The log of a million entries is written at once by the code that commits, without flushing. Its bundles aren't there:
comparing log and store is a matter of listing the folder, which is the file system's work.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from report import Row, options, publish

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.log import Checkpoint, Entry, EvidenceLog, LogReader, LogTrust, verify_log
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.head import HEAD, Head
from airflow_mlsecops.core.log.merkle import leaf_hash, tree_root
from airflow_mlsecops.core.log.tiles import ENTRIES, WIDTH, Tile, decode_entries, encode_entries
from airflow_mlsecops.core.log.tree import index_key
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.core.signing import KeySigner, generate_key
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.store.local import LocalBackend

WRITERS = 8
ORIGIN = "benchmark.example/evidence"
APPENDS_PER_SECOND = 200
PROOF_MS = 10
MEMORY_MB = 200
VERIFY_RATIO = 10
FIND_RATIO = 1.5


def signer(folder: Path) -> KeySigner:
    """The key of everything here."""
    return FileKeySigner.from_file(folder / "key.pem")


def trust(folder: Path) -> LogTrust:
    """Trust in the log of that key."""
    return LogTrust(ORIGIN, (signer(folder).public_key,))


def in_child(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run ``work`` in a new process and hand back what it returned, so that memory and caches are its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_answer, args=(theirs, work, arguments))
    child.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        child.join()


def _answer(pipe: Connection, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
    pipe.send(work(*arguments))


def peak_memory_mb() -> float:
    """The most that this process ever held."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(match[1]) / 1024 if match else 0.0


# --- appends ----------------------------------------------------------------------------------------------------------


def write(folder: Path, name: int, count: int, logged: bool, start: Callable[[], object]) -> None:
    """One of the writers: sign first, then put bundles one by one, as that many tasks would."""
    key, backend = signer(folder), LocalBackend(folder / ("logged" if logged else "plain"))
    bundles = []
    for number in range(count):
        artifact = _artifact(f"{name} {number}")
        bundles.append(key.sign(signature.build(artifact, signed_at=utcnow(), evidence=[], run={})))
    store = EvidenceStore(backend, EvidenceLog(backend, trust(folder), key) if logged else None)
    start()
    for bundle in bundles:
        store.put(bundle)


def _artifact(name: str) -> Artifact:
    return Artifact(name, f"file:///{name}", Kind.MODEL, Form.FILE, sha256_bytes(name.encode()), 1, 1)


def puts_per_second(folder: Path, count: int, *, logged: bool) -> float:
    """Bundles per second, from the moment when all writers are ready until the last one is done."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WRITERS + 1)
    writers = [
        context.Process(target=write, args=(folder, name, count, logged, barrier.wait)) for name in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    barrier.wait()
    began = time.perf_counter()
    for writer in writers:
        writer.join()
    if any(writer.exitcode for writer in writers):
        raise SystemExit("a writer failed")
    return WRITERS * count / (time.perf_counter() - began)


def measure_appends(folder: Path, count: int) -> Row:
    """With the log and without; and whether everything is in it afterwards."""
    plain = puts_per_second(folder, count, logged=False)
    ours = puts_per_second(folder, count, logged=True)
    found = verify_log(LocalBackend(folder / "logged"), trust(folder))
    whole = bool(found) and found.checkpoint is not None and found.checkpoint.size == WRITERS * count
    lost = "nothing lost" if whole else "LOST"
    goal = f"at least {APPENDS_PER_SECOND}/s, nothing lost"
    holds = whole and ours >= APPENDS_PER_SECOND
    return Row(f"puts/s, logged, {WRITERS} processes, {lost}", ours, plain, ours / plain, goal, holds)


# --- a large log ------------------------------------------------------------------------------------------------------


def entry(number: int) -> bytes:
    """One of many entries, of bundles that needn't exist."""
    return Entry(f"{number:064x}", "test-result", (f"{number + (1 << 200):064x}",)).encode()


def make_log(folder: Path, size: int) -> None:
    """A log of this size, tile by tile."""
    root, key = folder / "large", signer(folder)
    frontier = Frontier()
    numbers, last = iter(range(size)), [b""]
    while batch := [entry(number) for number in islice(numbers, WIDTH * 64)]:
        start = frontier.size
        leaves = [leaf_hash(data) for data in batch]
        frontier, tiles = frontier.grow(leaves)
        for tile, data in tiles.items():
            if tile.width == WIDTH:
                _place(root / tile.key, data)
        for at in range(0, len(batch), WIDTH):
            part = batch[at : at + WIDTH]
            _place(root / Tile(ENTRIES, (start + at) // WIDTH, len(part)).key, encode_entries(part))
            _note(root, (start + at) // WIDTH, leaves[at : at + WIDTH])
        last = batch[-1:]
    for level, hashes in enumerate(frontier.edge):
        if hashes:
            _place(root / Tile(level, size >> 8 * (level + 1), len(hashes)).key, b"".join(hashes))
    checkpoint = Checkpoint.sign(frontier.size, frontier.root, ORIGIN, key)
    _place(root / CHECKPOINT, checkpoint.raw)
    _place(root / HEAD, Head(size - 1, tuple(last), checkpoint).encode())


def _place(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _note(root: Path, tile: int, leaves: Sequence[bytes]) -> None:
    """The index, as the store writes it: one file with many names."""
    first, *rest = [root / index_key(leaf) for leaf in leaves]
    _place(first, b"%d" % tile)
    for path in rest:
        os.link(first, path)


def verify_large(folder: Path) -> tuple[float, float, float]:
    """CPU-s, seconds, and peak memory in MB."""
    began, cpu = time.perf_counter(), time.process_time()
    found = verify_log(LocalBackend(folder / "large"), trust(folder), bundles=False)
    if not found:
        raise SystemExit(f"the log doesn't verify: {found.faults[:3]}")
    return time.process_time() - cpu, time.perf_counter() - began, peak_memory_mb()


def hash_large(folder: Path, size: int) -> float:
    """The peer: CPU-s of reading all entries and hashing them to a root."""
    cpu, leaves = time.process_time(), []
    for index in range(-(-size // WIDTH)):
        tile = Tile(ENTRIES, index, min(WIDTH, size - index * WIDTH))
        leaves += [leaf_hash(data) for data in decode_entries((folder / "large" / tile.key).read_bytes())]
    root, took = tree_root(leaves), time.process_time() - cpu
    checkpoint = LogReader(LocalBackend(folder / "large"), trust(folder)).checkpoint()
    if checkpoint is None or checkpoint.root != root:
        raise SystemExit("the peer comes to another root")
    return took


def prove_many(folder: Path, size: int) -> float:
    """The median of many proofs in milliseconds; nothing is kept between two of them."""
    reader = LogReader(LocalBackend(folder / "large"), trust(folder))
    chance, took = random.Random(1), []  # noqa: S311 - which ones are proved is no secret
    for number in (chance.randrange(size) for _ in range(200)):
        began = time.perf_counter()
        checkpoint = reader.checkpoint()
        if checkpoint is None:
            raise SystemExit("no checkpoint")
        proof = reader.prove(entry(number), checkpoint)
        took.append(time.perf_counter() - began)
        if proof.index != number:
            raise SystemExit("a proof of another entry")
    return statistics.median(took) * 1000


def measure_large(folder: Path, size: int) -> Iterator[Row]:
    """Verify a large log, and prove entries of it."""
    in_child(make_log, folder, size)
    cpu, seconds, memory = in_child(verify_large, folder)
    naive = in_child(hash_large, folder, size)
    name = f"{size:,} entries"
    yield Row(
        f"verify {name}, CPU-s",
        cpu,
        naive,
        cpu / naive,
        f"within {VERIFY_RATIO}x of hashing alone",
        cpu <= VERIFY_RATIO * naive,
    )
    yield Row(f"verify {name}, s", seconds, None, None, "under a minute", seconds < 60)
    yield Row(f"verify {name}, peak MB", memory, None, None, f"under {MEMORY_MB}", memory < MEMORY_MB)
    proof = in_child(prove_many, folder, size)
    yield Row(f"inclusion proof at {name}, ms", proof, None, None, f"under {PROOF_MS}", proof < PROOF_MS)


# --- one look-up ------------------------------------------------------------------------------------------------------


def find_ms(folder: Path, subjects: int) -> float:
    """The median time of a look-up in a store that knows this many artifacts."""
    root, key = folder / f"store {subjects}", signer(folder)
    wanted = []
    for number in range(subjects):
        artifact = _artifact(str(number))
        raw = b"{}"
        if number % max(subjects // 50, 1) == 0:
            raw = key.sign(signature.build(artifact, signed_at=utcnow(), evidence=[], run={})).raw
            wanted.append(artifact.digest)
        _place(root / "bundles" / artifact.digest / "signature" / f"{sha256_bytes(raw)}.sigstore.json", raw)
    store, took = EvidenceStore(LocalBackend(root)), []
    for digest in wanted * 4:
        began = time.perf_counter()
        (found,) = store.find(digest)
        took.append(time.perf_counter() - began)
        if found.bundle is None:
            raise SystemExit(f"not found: {found.broken}")
    return statistics.median(took) * 1000


def measure_find(folder: Path, few: int, many: int) -> Row:
    """Look up artifacts in a large store and in a small one."""
    large, small = in_child(find_ms, folder, many), in_child(find_ms, folder, few)
    name = f"find one of {many:,} artifacts, ms (peer: one of {few:,})"
    return Row(name, large, small, large / small, f"within {FIND_RATIO}x", large <= FIND_RATIO * small)


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for everything, and its key; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="evidence-log-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "key.pem").write_bytes(generate_key()[0])
        for place in ("logged", "plain", "large"):
            (folder / place).mkdir()
        yield folder
        for path in folder.iterdir():  # a million names are removed faster folder by folder
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


def main() -> int:
    """Measure and print."""
    args = options(__doc__ or "")
    with workplace() as folder:
        rows = [measure_appends(folder, 30 if args.quick else 250)]
        rows += measure_large(folder, 20_000 if args.quick else 1_000_000)
        rows.append(measure_find(folder, *((200, 5_000) if args.quick else (1_000, 100_000))))
    return publish("evidence log", rows, args.json)


if __name__ == "__main__":
    sys.exit(main())
