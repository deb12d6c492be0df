"""Tables of text, and the few ways in which evidence is shown everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_mlsecops.cli.output import Line, Style, Styled, clean

MAX_CELL = 60
NOT_VERIFIED = "NOT VERIFIED"


def table(head: Sequence[str], rows: Sequence[Sequence[str | Styled]]) -> list[Line]:
    """Columns as wide as their widest cell; long cells are cut, except in the last column (digests, reasons).

    Cells are cleaned before they are measured, so that an escaped character can't shift the columns.
    """
    texts = [[_cell(cell, last=index == len(row) - 1) for index, cell in enumerate(row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    lines: list[Line] = [Styled(_joined(head, widths), Style.HEAD)]
    for row, cells in zip(rows, texts, strict=True):
        line: list[str | Styled] = []
        for index, (cell, text) in enumerate(zip(row, cells, strict=True)):
            padded = text if index == len(cells) - 1 else text.ljust(widths[index]) + "  "
            line.append(Styled(padded, cell.style) if isinstance(cell, Styled) else padded)
        lines.append(line)
    return lines


def seconds(time: str) -> str:
    """A time of ours without its fraction of a second, for people."""
    return time.split(".")[0] + "Z" if "." in time else time


def unverified_warning() -> list[Line]:
    """Said above everything that no signature was checked of."""
    return [
        Styled(f"{NOT_VERIFIED}: without --trust no signature was checked.", Style.LOUD),
        Styled("Whoever can write to the store could have written all of this.", Style.LOUD),
        "",
    ]


def _cell(cell: str | Styled, *, last: bool) -> str:
    text = clean(cell.text if isinstance(cell, Styled) else cell)
    return text if last or len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
