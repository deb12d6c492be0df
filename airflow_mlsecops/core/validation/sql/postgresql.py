"""PostgreSQL: one exported snapshot, into which every connection of the engine is put before its first statement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airflow_mlsecops.core.errors import DataError, MissingExtraError
from airflow_mlsecops.core.validation.sql.errors import DatabaseError, refused, told_safely
from airflow_mlsecops.core.validation.sql.snapshot import Snapshot, SqlColumn, check_columns, primary_key
from airflow_mlsecops.core.validation.sql.source import DatabaseSource, quoted

_NUMERIC = 1700
_SETTINGS = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "repeatable\\ read",
    # The order of rows without ORDER BY, and the text of times, shall depend on the data alone.
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
}


@dataclass(frozen=True)
class PostgresDatabase:
    """How to reach a PostgreSQL server.

    Attributes:
        host: name, address, or folder of its socket.
        database: its name.
        user: who logs in; should be allowed to SELECT, and nothing else.
        password: never shown.
        port: its port.
        ssl: ``sslmode``, ``sslrootcert``, ``sslcert``, ``sslkey``.
    """

    host: str
    database: str
    user: str = ""
    password: str = field(default="", repr=False)
    port: int | None = None
    ssl: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def snapshot(self, source: DatabaseSource) -> Iterator[Snapshot]:
        """Open a snapshot.

        1. Open a transaction that reads only, repeatably; export its snapshot.
        2. Let the server parse the query by itself: one statement, without the brackets it is put into later.
        3. Put every further transaction of the engine into the snapshot.

        Raises:
            MissingExtraError: without the driver.
            DatabaseUnavailableError: if the server is away.
            DatabaseError: for a wrong table or query.
        """
        engine = self._engine()
        try:
            with told_safely(f"opening {source}"):
                holder = engine.connect()
            try:
                # 1.
                with told_safely(f"opening {source}"):
                    version = holder.exec_driver_sql("SHOW server_version").scalar_one()
                    exported = holder.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
                # 2.
                columns = _described(holder, source)
                with told_safely(f"reading the primary key of {source}"):
                    order = source.order_by or primary_key(holder, source)
                check_columns([column.name for column in columns], order, str(source))
                # 3.
                _put_into(engine, exported)
                yield Snapshot(source, ("postgresql", str(version).split()[0]), engine, columns, order)
            finally:
                holder.close()
        finally:
            engine.dispose()

    def _engine(self) -> Any:
        import sqlalchemy as sa

        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("PostgreSQL needs psycopg 3", "install airflow-mlsecops[sql]") from error
        url = sa.URL.create(
            "postgresql+psycopg", self.user or None, self.password or None, self.host, self.port, self.database
        )
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        arguments = {"options": options, "connect_timeout": 10, "application_name": "airflow-mlsecops", **self.ssl}
        # The parameters of a failed statement may be values from the data.
        return sa.create_engine(url, connect_args=arguments, hide_parameters=True, echo=False)


def _put_into(engine: Any, exported: str) -> None:
    """Source: https://www.postgresql.org/docs/15/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION."""
    import sqlalchemy as sa

    if not re.fullmatch(r"[0-9A-Fa-f-]+", exported):
        raise DatabaseError("the server exported a snapshot under an odd name", "is it PostgreSQL?")

    @sa.event.listens_for(engine, "begin")
    def _enter(connection: Any) -> None:
        # The driver's own cursor: the connection may be one that makes a server-side cursor of every statement.
        with connection.connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(f"SET TRANSACTION SNAPSHOT '{exported}'")


def _described(connection: Any, source: DatabaseSource) -> tuple[SqlColumn, ...]:
    """Names and types of the result, by the extended protocol, which takes one statement and runs nothing.

    Source: https://www.postgresql.org/docs/15/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY.
    """
    from psycopg.pq import DiagnosticField, ExecStatus

    protocol = connection.connection.dbapi_connection.pgconn
    prepared = protocol.prepare(b"", source.statement.encode())
    if prepared.status != ExecStatus.COMMAND_OK:
        state = (prepared.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        message = (prepared.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace")
        raise refused(f"preparing {source}", state, message)
    described = protocol.describe_prepared(b"")
    if described.nparams:
        raise DatabaseError(f"{source} has a parameter, $1", "write the value into it; dollar signs stand in quotes")
    columns = []
    for index in range(described.nfields):
        name = (described.fname(index) or b"").decode()
        columns.append(_column(name, described.ftype(index), described.fmod(index)))
    return tuple(columns)


def _column(name: str, oid: int, modifier: int) -> SqlColumn:
    import pyarrow as pa

    known = {
        16: pa.bool_(),
        17: pa.binary(),
        19: pa.string(),
        20: pa.int64(),
        21: pa.int16(),
        23: pa.int32(),
        25: pa.string(),
        700: pa.float32(),
        701: pa.float64(),
        1042: pa.string(),
        1043: pa.string(),
        1082: pa.date32(),
        1114: pa.timestamp("us"),
        1184: pa.timestamp("us", "UTC"),
    }
    if oid in known:
        return SqlColumn(name, known[oid], quoted(name))
    if oid == _NUMERIC:
        return SqlColumn(name, _decimal(name, modifier), quoted(name))
    return SqlColumn(name, pa.string(), f"CAST({quoted(name)} AS text)")


def _decimal(name: str, modifier: int) -> Any:
    """Source: ``numeric_typmod_precision`` and ``numeric_typmod_scale`` in PostgreSQL 15's numeric.c."""
    import pyarrow as pa

    precision, scale = ((modifier - 4) >> 16) & 0xFFFF, (((modifier - 4) & 0x7FF) ^ 1024) - 1024
    if modifier < 4 or not 0 <= scale <= precision <= 38:
        raise DataError(
            f"column {name!r} is numeric without a precision, or with more than 38 digits: Parquet can't hold it",
            "ask a query that casts it, e.g. to numeric(38, 9) or double precision",
        )
    return pa.decimal128(precision, scale)
