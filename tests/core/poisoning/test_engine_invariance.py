"""The same rows give the same digest: in any order, threads, chunks, instruction set, engine or file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.poisoning.engine import FILTERS, ArraySource, ArrowSource, Chunk, ParquetSource, find_issues
from airflow_mlsecops.core.poisoning.engine import find_issues_in as run
from airflow_mlsecops.core.poisoning.engine import sources as source_module
from tests.support.confident import classifier, draw

ROOT = Path(__file__).resolve().parents[3]


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), shuffle=st.integers(0, 2**32 - 1), threads=st.integers(1, 7), data=st.data())
def test_order_threads_and_engine_change_nothing(seed: int, shuffle: int, threads: int, data: st.DataObject) -> None:
    labels, p = draw(seed)
    order = np.random.default_rng(shuffle).permutation(len(labels))
    engine: Any = data.draw(st.sampled_from(["numba", "numpy"]))
    there = find_issues(labels, p, filters=FILTERS)
    shuffled = find_issues(labels[order], p[order], keys=order, filters=FILTERS, engine=engine, threads=threads)
    assert shuffled.digest == there.digest
    assert shuffled.flags.tolist() == there.flags[order].tolist()
    assert shuffled.plan.thresholds.tolist() == there.plan.thresholds.tolist()


def _rounded(seed: int, kind: str) -> tuple[Any, Any]:
    """Rows as they come out of arithmetic: a little below 0, above 1, off the sum, or no probabilities at all."""
    labels, p = draw(seed)
    rng = np.random.default_rng(seed)
    some = rng.random(p.shape) < 0.2
    if kind == "minus zero":
        p[some & (p == 0)] = -0.0
    elif kind == "below zero":
        p[some & (p < 1e-3)] -= 5e-7
    elif kind == "above one":
        p[some] += rng.choice([1e-7, 5e-7, 2e-6])
    elif kind == "off the sum":
        p *= 1 + rng.uniform(-9e-5, 9e-5, (len(p), 1))
    elif kind == "last bit":
        p[:, 1] = p[:, 0] = p[:, :2].mean(axis=1)
        p[::2, 1] = np.nextafter(p[::2, 1], 1)
        p[1::2, 0] = np.nextafter(p[1::2, 0], 1)
        return labels, p
    elif kind == "none":
        p[rng.integers(len(p)), rng.integers(p.shape[1])] = rng.choice([np.nan, np.inf, -np.inf, -1e-5, 1.1, -2.0])
    return labels, p.astype(np.float32) if seed % 2 else p


@pytest.mark.parametrize("kind", ["minus zero", "below zero", "above one", "off the sum", "last bit", "none"])
def test_what_rounding_leaves_is_the_same_for_both_engines(kind: str) -> None:
    """The compiled engine compares numbers by their bits, and sends such rows another way."""
    told, refused = 0, 0
    for seed in range(60):
        labels, p = _rounded(seed, kind)
        said = []
        for engine in ("numba", "numpy"):
            try:
                found = find_issues(labels, p, filters=FILTERS, engine=cast("Any", engine))
            except DataError as error:
                said.append((str(error), b""))
            else:
                said.append((found.digest, found.flags.tobytes()))
        assert said[0] == said[1], seed
        told, refused = told + bool(said[0][1]), refused + (not said[0][1])
    assert (refused == 60) if kind == "none" else told > 30


def test_the_digest_knows_one_row_from_another() -> None:
    labels, p = classifier(500, 3)
    changed = labels.copy()
    changed[7] = (labels[7] + 1) % 3
    digests = {find_issues(y, p, filters=f).digest for y in (labels, changed) for f in (FILTERS, FILTERS[:1])}
    assert len(digests) == 4


class Shards:
    """Rows in chunks of any size, not of one layout in memory."""

    def __init__(self, labels: Any, p: Any, size: int) -> None:
        self.whole, self.size = ArraySource(labels, p), size
        self.rows, self.classes, self.keyed = self.whole.rows, self.whole.classes, False

    def chunks(self, begin: int = 0, end: int | None = None) -> Any:
        stop = self.rows if end is None else end
        for first in range(begin, stop, self.size):
            for chunk in self.whole.chunks(first, min(first + self.size, stop)):
                yield Chunk(np.asfortranarray(chunk.probabilities), chunk.labels, None)


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_shards_change_nothing(engine: Any, size: int) -> None:
    for seed in range(12):
        labels, p = draw(seed)
        assert (
            run(Shards(labels, p, size), filters=FILTERS, engine=engine).digest
            == find_issues(labels, p, filters=FILTERS).digest
        )


def test_memory_mapped_arrow_and_parquet_rows_are_read_a_chunk_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "CHUNK_CELLS", 2_000)
    labels, p = classifier(9_000, 6)
    expected = find_issues(labels, p, filters=FILTERS).digest
    np.save(tmp_path / "p.npy", p)
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    assert find_issues(labels, mapped, filters=FILTERS, threads=3).digest == expected
    names = [f"p{k}" for k in range(6)]
    keys, paths = np.arange(9_000), [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, rows in zip(paths, (slice(0, 3_500), slice(3_500, None)), strict=True):
        columns = {"id": keys[rows], "y": labels[rows], **{n: p[rows, k] for k, n in enumerate(names)}}
        pq.write_table(pa.table(columns), path, row_group_size=1_000)
    source = ParquetSource(paths, label_column="y", probability_columns=names)
    assert max(len(chunk.labels) for chunk in source.chunks()) <= 334
    assert run(source, filters=FILTERS, threads=4).digest == expected
    keyed = ParquetSource(paths[::-1], label_column="y", probability_columns=names, key_column="id")
    assert run(keyed, filters=FILTERS, threads=4).digest == expected
    parts = [pq.read_table(path) for path in paths]
    with pa.OSFile(str(tmp_path / "rows.arrow"), "wb") as file, pa.ipc.new_file(file, parts[0].schema) as writer:
        for part in parts:
            writer.write_table(part, max_chunksize=1_000)
    named: dict[str, Any] = {"label_column": "y", "probability_columns": names}
    for table in (tmp_path / "rows.arrow", pa.concat_tables(parts)):
        arrow = ArrowSource(table, **named)
        assert max(len(chunk.labels) for chunk in arrow.chunks()) <= 334
        assert run(arrow, filters=FILTERS, threads=4).digest == expected
        shuffled = ArrowSource(pa.concat_tables(parts[::-1]), key_column="id", **named)
        assert run(shuffled, filters=FILTERS).digest == expected


_DIGEST = """
from tests.support.confident import classifier, draw
from airflow_mlsecops.core.poisoning.engine import FILTERS, find_issues
data = [*(draw(seed) for seed in range(12)), classifier(20_000, 10)]
print(*(find_issues(y, p, filters=FILTERS, engine=e).digest for y, p in data for e in ("numba", "numpy")))
"""


def digests(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _DIGEST],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_an_older_processor_says_the_same(tmp_path: Path) -> None:
    """LLVM for the plainest x86-64, NumPy without its newer instructions, against whatever this processor has."""
    plain = digests(
        NUMBA_CPU_NAME="generic",
        NUMBA_CPU_FEATURES="",
        NUMBA_CACHE_DIR=str(tmp_path),
        NPY_DISABLE_CPU_FEATURES="AVX512F,AVX512_SKX,AVX2,FMA3"
        if "AVX512_SKX" in np.show_config(mode="dicts")["SIMD Extensions"]["found"]
        else "",
    )
    assert plain == digests()
    assert len(set(plain.split())) == 13


def test_where_no_folder_can_hold_compiled_code_it_is_compiled_anew(tmp_path: Path) -> None:
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "from airflow_mlsecops.core.poisoning.engine import find_issues\n"
        "print(find_issues([0, 1, 0, 1], [[.9, .1], [.1, .9], [.2, .8], [.3, .7]]).engine)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == "numba"
