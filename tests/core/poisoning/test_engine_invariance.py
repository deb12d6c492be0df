"""The same rows give the same digest: in any order, threads, chunks, instruction set, engine or file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.poisoning.engine import FILTERS, ArraySource, Chunk, ParquetSource, find_issues
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


def test_memory_mapped_and_parquet_rows_are_read_a_chunk_at_a_time(
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
