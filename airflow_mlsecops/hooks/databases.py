"""Databases from Airflow connections. Named fields and named extras only; nothing else of a connection is passed on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_mlsecops.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_mlsecops.core.validation.gx_spark import SparkSettings
    from airflow_mlsecops.core.validation.sql.snapshot import Database

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
