"""What every benchmark here shares: its options, its rows, its table.

A row compares one figure of ours with that of a named peer from the same run. ``ratio`` is ours / peer; ``holds`` says
whether the goal is met. ``--json FILE`` keeps the rows; ``--quick`` takes under a minute.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        case: what was measured, with its unit.
        ours: our figure.
        peer: the peer's figure, or None where the goal is absolute.
        ratio: ours / peer, or None.
        goal: in words.
        holds: whether it is met.
    """

    case: str
    ours: float
    peer: float | None
    ratio: float | None
    goal: str
    holds: bool


def options(description: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read ``--quick`` and ``--json``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    return parser.parse_args(argv)


def publish(name: str, rows: Sequence[Row], to: Path | None) -> int:
    """Print the rows as a Markdown table, write them as JSON if asked; exit code 1 if a goal is missed."""
    print(f"| {name} | ours | peer | ratio | goal | holds |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        peer = "-" if row.peer is None else f"{row.peer:.3g}"
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        print(f"| {row.case} | {row.ours:.3g} | {peer} | {ratio} | {row.goal} | {'yes' if row.holds else 'NO'} |")
    if to is not None:
        to.write_text(json.dumps({"name": name, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    return 0 if all(row.holds for row in rows) else 1
