#!/usr/bin/env python3
"""Write the demo's data: real handwritten digits, and a copy in which a share of one class has a wrong label.

    python scripts/make_demo_data.py OUT_DIR

writes ``OUT_DIR/digits_clean.csv``, the digits that ship with scikit-learn (1,797 images of 8 x 8 pixels, values 0 to
16; from the UCI "Optical Recognition of Handwritten Digits" data set), and ``OUT_DIR/digits_poisoned.csv``, the same
rows with some threes called eights. Each row names who labelled it, one of twenty; in the copy, all wrong labels come
from one of them. Types, ranges and sets of values stay what they were, so that a validation of each cell sees nothing.
The same arguments give the same bytes, on every machine.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLEAN_NAME = "digits_clean.csv"
POISONED_NAME = "digits_poisoned.csv"
SIDE = 8
ID_COLUMN = "row_id"
LABEL_COLUMN = "label"
SOURCE_COLUMN = "source"
FEATURE_COLUMNS = tuple(f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE))
COLUMNS = (ID_COLUMN, *FEATURE_COLUMNS, SOURCE_COLUMN, LABEL_COLUMN)

POISONED_SHARE = 0.4
FROM_LABEL, TO_LABEL = 3, 8
SEED = 20
SOURCES = tuple(f"labeller-{number:02d}" for number in range(1, 21))
GUILTY = SOURCES[6]


@dataclass(frozen=True)
class Poisoned:
    """What was done to the copy.

    Attributes:
        path: where it lies.
        flipped: ids of the rows whose label is wrong, ascending.
        of_class: how many rows the class had before.
        rows: how many rows there are.
    """

    path: Path
    flipped: tuple[int, ...]
    of_class: int
    rows: int


def write_clean(path: Path) -> Path:
    """Write the digits as they are, one row per image."""
    return _write(path, _clean_rows())


def write_poisoned(
    path: Path,
    *,
    share: float = POISONED_SHARE,
    from_label: int = FROM_LABEL,
    to_label: int = TO_LABEL,
    seed: int = SEED,
) -> Poisoned:
    """Write the digits with a share of one class called another.

    Args:
        path: where to.
        share: of the rows of ``from_label``, above 0 and up to 1; rounded to whole rows.
        from_label: what the rows are, 0 to 9.
        to_label: what they are called, 0 to 9, not ``from_label``.
        seed: chooses which rows.

    Raises:
        ValueError: if the arguments would change nothing or make labels that the data doesn't have.
    """
    if not 0 < share <= 1:
        raise ValueError(f"the poisoned share is {share}, expected above 0 and up to 1")
    for label in (from_label, to_label):
        if label not in range(10):
            raise ValueError(f"{label} is not a digit, expected 0 to 9")
    if from_label == to_label:
        raise ValueError(f"from and to are both {from_label}, so nothing would change")
    rows = _clean_rows()
    of_class = [row[0] for row in rows if row[-1] == from_label]
    # Ranked by hash, not drawn by a random generator: its stream may change from one release to the next.
    ranked = sorted(of_class, key=lambda row_id: hashlib.sha256(f"{seed}:{row_id}".encode()).digest())
    flipped = set(ranked[: round(share * len(of_class))])
    if not flipped:
        raise ValueError(f"a share of {share} of {len(of_class)} rows is not one row")
    poisoned = [[*row[:-2], GUILTY, to_label] if row[0] in flipped else row for row in rows]
    return Poisoned(_write(path, poisoned), tuple(sorted(flipped)), len(of_class), len(rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both files and tell what was done; 0, or 2 for wrong arguments."""
    parser = argparse.ArgumentParser(description="Write the demo's clean and poisoned digits as CSV.")
    parser.add_argument("out_dir", type=Path, help="made if it isn't there")
    parser.add_argument("--poisoned-share", type=float, default=POISONED_SHARE, help="of the class (%(default)s)")
    parser.add_argument("--from", type=int, default=FROM_LABEL, dest="from_label", help="digit (%(default)s)")
    parser.add_argument("--to", type=int, default=TO_LABEL, dest="to_label", help="its wrong label (%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="chooses the rows (%(default)s)")
    given = parser.parse_args(arguments)
    given.out_dir.mkdir(parents=True, exist_ok=True)
    try:
        poisoned = write_poisoned(
            given.out_dir / POISONED_NAME,
            share=given.poisoned_share,
            from_label=given.from_label,
            to_label=given.to_label,
            seed=given.seed,
        )
    except ValueError as error:
        parser.error(str(error))
    clean = write_clean(given.out_dir / CLEAN_NAME)
    print(f"{clean}: {poisoned.rows} digits, labels as they are, sha256:{_sha256(clean)}")
    print(
        f"{poisoned.path}: the same, but {len(poisoned.flipped)} of {poisoned.of_class} rows of digit "
        f"{given.from_label} are labelled {given.to_label} ({len(poisoned.flipped) / poisoned.rows:.1%} of all rows), "
        f"sha256:{_sha256(poisoned.path)}"
    )
    return 0


def _clean_rows() -> list[list[Any]]:
    """(1797, 67): id, pixels row by row, source, label."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = digits.data.astype(int)
    if (pixels != digits.data).any() or pixels.shape[1] != len(FEATURE_COLUMNS):
        raise ValueError("scikit-learn's digits are not 8 x 8 whole numbers any more")
    return [
        [row_id, *row, SOURCES[row_id % len(SOURCES)], label]
        for row_id, (row, label) in enumerate(zip(pixels.tolist(), digits.target.tolist(), strict=True))
    ]


def write_trojaned(path: Path, model: Path) -> Path:
    """Write a copy of a pickled model that also runs a (harmless) shell command when it is loaded, and still works.

    The call stands before the model's own opcodes. Its length is a multiple of 16, so that the arrays keep joblib's
    alignment.
    """
    data = model.read_bytes()
    header, rest = data[:2], data[2:]
    command = b"true # anything could stand here"
    call = b"cos\nsystem\n" + b"X%b%b\x85R0"
    padding = -(len(call) - 4 + 4 + len(command)) % 16
    command += b" " * padding
    path.write_bytes(header + call % (len(command).to_bytes(4, "little"), command) + rest)
    return path


def _write(path: Path, rows: list[list[Any]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode())
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
