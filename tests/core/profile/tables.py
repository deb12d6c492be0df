"""Small tables, profiles and baselines for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.profile.baseline import Baseline
from airflow_mlsecops.core.profile.compute import profile_table


def parquet(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


def baseline(path: Path, **kwargs: Any) -> Baseline:
    """As if its signature had been verified."""
    evidence = sha256_bytes(b"evidence")
    return Baseline(profile_table(path, **kwargs), "0" * 64, "dataset", evidence, "2" * 64, ("pipeline",))


def sample(rows: int, seed: int, *, scale: float = 1.0, flipped: float = 0.0, nulls: float = 0.0) -> pa.Table:
    """Numbers, texts and labels of five classes; a share of the labels is called class 0."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, rows)
    labels[: int(flipped * rows)] = 0
    hidden = rng.random(rows) < nulls
    return pa.table(
        {
            "x": pa.array(rng.lognormal(size=rows) * scale, mask=hidden),
            "t": ["a" * int(length) for length in rng.integers(1, 9, rows)],
            "label": pa.array(labels, mask=hidden),
            "name": [f"class {label}" for label in labels],
            "ok": labels > 2,
        }
    )
