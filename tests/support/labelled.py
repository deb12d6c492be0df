"""Labelled tables for the controls that learn from them: real data, written as a control meets it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.digest import sha256_bytes


def dataset(path: Path) -> Artifact:
    """The artifact of one file."""
    data = path.read_bytes()
    return Artifact(path.stem, path.as_uri(), Kind.DATASET, Form.FILE, sha256_bytes(data), len(data), 1)


def frame_of(features: NDArray[Any], labels: Sequence[Any] | NDArray[Any]) -> pd.DataFrame:
    """A table of ``row_id``, ``f0`` …, ``label``."""
    frame = pd.DataFrame(features, columns=[f"f{number}" for number in range(features.shape[1])])
    frame.insert(0, "row_id", [f"r{number:05d}" for number in range(len(frame))])
    frame["label"] = list(labels)
    return frame


def write(frame: pd.DataFrame, path: Path) -> Path:
    """As CSV or Parquet, by the name's ending."""
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path


def two_clouds(rows: int = 60, *, distance: float = 6.0, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Features (rows, 3) and labels 0/1 of two clouds, ``distance`` standard deviations apart on each axis."""
    labels = np.arange(rows) % 2
    return np.random.default_rng(seed).normal(size=(rows, 3)) + distance * labels[:, None], labels


def flip(labels: NDArray[Any], share: float, *, old: int, new: int, seed: int = 0) -> tuple[NDArray[Any], set[int]]:
    """A copy with a share of class ``old`` called ``new``, and the numbers of the flipped rows."""
    rows = np.flatnonzero(labels == old)
    chosen = np.random.default_rng(seed).permutation(rows)[: round(share * len(rows))]
    copy = labels.copy()
    copy[chosen] = new
    return copy, set(chosen.tolist())
