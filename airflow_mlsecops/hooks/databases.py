"""Databases from Airflow connections. Named fields and named extras only; nothing else of a connection is passed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.hooks.snapshots import publish

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.validation.evaluation import Evaluation
    from airflow_mlsecops.core.validation.gx_spark import SparkSettings
    from airflow_mlsecops.core.validation.sql.snapshot import Database, Snapshot
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

_SSL = ("sslmode", "sslrootcert", "sslcert", "sslkey")


def database(conn_id: str) -> Database:
    """The database of a connection of type ``postgres`` or ``sqlite``.

    Of PostgreSQL count host, port, login, password, schema (the database's name) and of the extra ``sslmode``,
    ``sslrootcert``, ``sslcert``, ``sslkey``; of SQLite the host, which is the file's path.

    Raises:
        ConfigurationError: if there is no such connection, or it is of another type or incomplete.
    """
    connection = _connection(conn_id)
    if connection.conn_type in ("postgres", "postgresql"):
        from airflow_mlsecops.core.validation.sql.postgresql import PostgresDatabase

        extra = connection.extra_dejson
        if not connection.host or not connection.schema:
            raise ConfigurationError(f"connection {conn_id} names no host or no database", "fill in host and schema")
        return PostgresDatabase(
            host=connection.host,
            database=connection.schema,
            user=connection.login or "",
            password=connection.password or "",
            port=connection.port,
            ssl={name: str(extra[name]) for name in _SSL if extra.get(name)},
        )
    if connection.conn_type == "sqlite":
        from airflow_mlsecops.core.validation.sql.sqlite import SqliteDatabase

        if not connection.host:
            raise ConfigurationError(f"connection {conn_id} names no file", "write the database's path as host")
        return SqliteDatabase(Path(connection.host))
    raise ConfigurationError(
        f"connection {conn_id} is of type {connection.conn_type!r}", "tables are read from postgres and sqlite"
    )


@dataclass(frozen=True)
class ReadSource:
    """A table or query that was read: its rows lie in a pinned file, and its snapshot is still open.

    Attributes:
        snapshot: in the database.
        artifact: the file with its rows.
        path: a private copy of that.
        rows: how many.
    """

    snapshot: Snapshot
    artifact: Artifact
    path: Path
    rows: int

    @property
    def told(self) -> dict[str, Any]:
        """As it stands in the statement."""
        kind, version = self.snapshot.database
        return {
            **self.snapshot.source.to_dict(),
            "database": kind,
            "database_version": version,
            "ordered_by": list(self.snapshot.order),
        }

    def judge(self, document: Mapping[str, Any], why: str, allow_empty: bool) -> Evaluation:
        """Let GX's SQL engine evaluate a suite in the snapshot."""
        from airflow_mlsecops.core.validation.gx_sql import evaluate_in_database

        return evaluate_in_database(
            self.snapshot, document, rows=self.rows, digest=self.artifact.digest, why=why, allow_empty=allow_empty
        )


@contextmanager
def read_source(
    source: Mapping[str, Any], hook: MlsecopsHook, *, name: str = "", scratch: str = ""
) -> Iterator[ReadSource]:
    """Read a table or query in one snapshot, write its rows to their place, and pin them there.

    Args:
        source: as :meth:`~airflow_mlsecops.core.validation.sql.source.DatabaseSource.of` takes it.
        hook: of the evidence.
        name: the artifact's name; by default that of its file.
        scratch: a folder for the private copy; by default the system's.

    Raises:
        ConfigurationError: if it names no database that can be read, or something else lies at ``snapshot_uri``.
        DataError: if its values can't be written exactly.
        DatabaseUnavailableError: if the database is away.
    """
    from airflow_mlsecops.core.validation.sql.export import export
    from airflow_mlsecops.core.validation.sql.source import DatabaseSource

    read = DatabaseSource.of(source)
    opened = database(read.conn_id).snapshot(read)
    with opened as snapshot, TemporaryDirectory(prefix="mlsecops-", dir=scratch or None) as folder:
        path = Path(folder) / "snapshot.parquet"
        rows, digest = export(snapshot, path)
        yield ReadSource(snapshot, publish(path, digest, read.snapshot_uri, hook, name=name), path, rows)


def spark_settings(value: Any) -> SparkSettings:
    """Spark from an operator's argument: ``{"master" or "conn_id", "scratch", "config"}``.

    Of a connection count host (the master's URL, or ``yarn``) and port.

    Raises:
        ConfigurationError: for unknown keys, and a connection that names no master.
    """
    from airflow_mlsecops.core.validation.gx_spark import SparkSettings

    given = dict(value or {})
    unknown = sorted(given.keys() - {"master", "conn_id", "scratch", "config"})
    if unknown or {"master", "conn_id"} <= given.keys():
        wrong = f"has {', '.join(map(repr, unknown))}" if unknown else "names both master and conn_id"
        raise ConfigurationError(f"spark {wrong}", "known keys: master or conn_id, scratch, config")
    conn_id = given.pop("conn_id", None)
    if conn_id:
        connection = _connection(conn_id)
        port = f":{connection.port}" if connection.port else ""
        given["master"] = f"{connection.host or ''}{port}"
    config = {str(name): str(setting) for name, setting in (given.pop("config", None) or {}).items()}
    return SparkSettings(**{name: str(item) for name, item in given.items()}, config=config)


def _connection(conn_id: str) -> Any:
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise ConfigurationError(f"there is no connection {conn_id!r}", "create it, or correct its id") from error
