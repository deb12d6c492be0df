"""Rewrite a CSV file record by record: an untouched record keeps its bytes, also line ends and quotes.

Blank lines, which are no records, are left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping


def rewritten_csv(data: bytes, changes: Mapping[int, str | None], column: str = "") -> bytes:
    """The file with some records left out, or with another value in one column.

    Args:
        data: UTF-8.
        changes: number of a record, from 0 -> its new value in ``column``, or ``None`` to leave it out.
        column: needed if there are new values.
    """
    # Line ends as CSV means them: str.splitlines would also split at characters that stand within a cell.
    lines = list(io.StringIO(data.decode("utf-8"), newline=""))
    # The csv module counts lines as it reads them, so each record's own lines are known.
    reader = csv.reader(iter(lines))
    header = next(reader)
    place, end = header.index(column) if column else 0, reader.line_num
    kept, number = ["".join(lines[:end])], 0
    for record in reader:
        begin, end = end, reader.line_num
        if not record:
            continue
        text = "".join(lines[begin:end])
        if number in changes:
            value = changes[number]
            text = "" if value is None else _with_value(record, place, value, text)
        kept.append(text)
        number += 1
    return "".join(kept).encode("utf-8")


def _with_value(record: list[str], place: int, value: str, text: str) -> str:
    record[place] = value
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n" if text.endswith("\r\n") else "\n").writerow(record)
    return line.getvalue() if text.endswith("\n") else line.getvalue().rstrip("\r\n")
