"""What is read from a database: a table or one query, and where its snapshot is to lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError

_KEYS = {"conn_id", "table", "query", "snapshot_uri", "order_by"}


@dataclass(frozen=True)
class DatabaseSource:
    """A table or a query.

    Attributes:
        conn_id: the connection.
        snapshot_uri: where the Parquet file with the rows is written; what is judged and signed are its bytes.
        table: its name, or ``schema.name``; a part that holds a dot stands in double quotes.
        query: one SELECT.
        order_by: columns by which the rows are ordered in the file; of a table without any, its primary key.
    """

    conn_id: str
    snapshot_uri: str
    table: str = ""
    query: str = ""
    order_by: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> DatabaseSource:
        """From an operator's argument.

        Raises:
            ConfigurationError: for unknown or missing keys, both or neither of table and query.
        """
        unknown = sorted(set(value) - _KEYS)
        if unknown:
            raise ConfigurationError(
                f"source has {', '.join(map(repr, unknown))}", f"known keys: {', '.join(sorted(_KEYS))}"
            )
        order = value.get("order_by") or ()
        if isinstance(order, str) or not all(isinstance(name, str) and name for name in order):
            raise ConfigurationError("source: order_by is no list of column names", 'write ["id"]')
        texts = {key: str(value.get(key) or "").strip() for key in _KEYS - {"order_by"}}
        for key, text in texts.items():
            if "\0" in text or (not text.isascii() and text.encode(errors="ignore").decode() != text):
                raise ConfigurationError(f"source: {key} holds what is no text", "write it in Unicode, without NUL")
        for key in ("conn_id", "snapshot_uri"):
            if not texts[key]:
                raise ConfigurationError(f"source: {key} is empty", "check it, and the template that fills it")
        if bool(texts["table"]) == bool(texts["query"]):
            raise ConfigurationError("source names both or neither of table and query", "name one of them")
        if not texts["snapshot_uri"].lower().endswith((".parquet", ".pq")):
            raise ConfigurationError("source: snapshot_uri doesn't end in .parquet", "it is written as Parquet")
        return cls(**texts, order_by=tuple(order))

    @property
    def statement(self) -> str:
        """The query as it was written, without a semicolon at its end; of a table all of it."""
        return self.query.rstrip().rstrip(";") if self.query else f"SELECT * FROM {self.relation}"

    @property
    def relation(self) -> str:
        """What stands after ``FROM``; the name of a table quoted, a query in brackets."""
        if self.query:
            # The line break ends a comment in the query's last line.
            return f"(\n{self.statement}\n) AS pinned"
        return ".".join(quoted(part) for part in self.parts)

    @property
    def parts(self) -> tuple[str, ...]:
        """The table's name, after its schema if one is named.

        Raises:
            ConfigurationError: if it isn't one or two names.
        """
        parts = _split(self.table)
        if not 1 <= len(parts) <= 2 or not all(parts):
            raise ConfigurationError(
                f"source: table {self.table[:100]!r} isn't a name or schema.name", 'write "a.b" for a name with a dot'
            )
        return tuple(parts)

    def __str__(self) -> str:
        what = f"table {self.table}" if self.table else f"a query (sha256:{sha256_bytes(self.query.encode())[:12]}…)"
        return f"{what} of connection {self.conn_id}"

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the statement: which connection by its id, never where it leads or who logs in."""
        told: dict[str, Any] = {"conn_id": self.conn_id}
        if self.query:
            told["query_sha256"] = sha256_bytes(self.query.encode())
        else:
            told["table"] = self.table
        return told


def quoted(name: str) -> str:
    """An SQL identifier, in PostgreSQL and SQLite."""
    return '"' + name.replace('"', '""') + '"'


def _split(text: str) -> list[str]:
    """``a."b.c"`` -> ``["a", "b.c"]``."""
    parts, current, inside, at = [], "", False, 0
    while at < len(text):
        character = text[at]
        if character == '"':
            if inside and text[at + 1 : at + 2] == '"':
                current += '"'
                at += 1
            else:
                inside = not inside
        elif character == "." and not inside:
            parts.append(current)
            current = ""
        else:
            current += character
        at += 1
    return [] if inside else [*parts, current]
