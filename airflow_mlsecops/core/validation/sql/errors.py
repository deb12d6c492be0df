"""What can go wrong with a database. No message quotes a cell: a server's message may, so only some are passed on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_mlsecops.core.errors import ConfigurationError, DataError, MlsecopsError

_ABOUT_NAMES = {
    "3D000": "no such database",
    "3F000": "no such schema",
    "42501": "not allowed",
    "42601": "not valid SQL",
    "42703": "no such column",
    "42883": "no such function",
    "42P01": "no such table",
}
"""SQLSTATEs whose messages quote names and the query, never a cell (PostgreSQL 15, appendix A)."""
_NOT_FOR_NOW = ("08", "53", "57")
"""Classes of SQLSTATEs that a later try may not meet: connection, resources, operator intervention."""


class DatabaseError(ConfigurationError):
    """A database doesn't do what is asked: wrong table, a query that writes, no right to read."""

    code = "database"


class DatabaseUnavailableError(MlsecopsError):
    """A database can't be reached, or broke off; trying again later can help."""

    code = "database-unavailable"
    transient = True


@contextmanager
def told_safely(what: str) -> Iterator[None]:
    """Turn a driver's errors into ours, without their text where it may hold values, and without their traceback.

    Args:
        what: what was being done, e.g. ``reading table 'orders'``.

    Raises:
        DatabaseUnavailableError: if the database is away.
        DatabaseError: if it refuses what is asked.
        DataError: if a value can't be read.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise _ours(what, error, getattr(error, "orig", None) or error) from None


def refused(what: str, state: str, message: str) -> DatabaseError:
    """A refusal by SQLSTATE; the server's words only where they can't quote a cell."""
    known = _ABOUT_NAMES.get(state)
    said = f"{known}: {message.splitlines()[0][:300]}" if known and message else f"SQLSTATE {state or 'unknown'}"
    return DatabaseError(
        f"{what}: the database says NO ({said})", "check the names, the query, and the rights of the connection's user"
    )


def _ours(what: str, error: Exception, orig: BaseException) -> MlsecopsError:
    from sqlalchemy.exc import DataError as SqlDataError
    from sqlalchemy.exc import InterfaceError, OperationalError

    state = str(getattr(orig, "sqlstate", None) or "")
    message = str(orig)
    away = (isinstance(error, (OperationalError, InterfaceError)) and not state) or state.startswith(_NOT_FOR_NOW)
    if type(orig).__module__ == "sqlite3":
        return _sqlites(what, str(getattr(orig, "sqlite_errorname", "")), message)
    if away:
        return DatabaseUnavailableError(
            f"{what}: the database can't be reached, or broke off ({type(orig).__name__})",
            "check host, port and password of the connection, and that the server is up",
        )
    if isinstance(error, SqlDataError) or state.startswith("22"):
        return DataError(f"{what}: a value can't be read (SQLSTATE {state or 'unknown'})", "mend it, or leave it out")
    return refused(what, state, message)


def _sqlites(what: str, name: str, message: str) -> MlsecopsError:
    """Source: https://sqlite.org/rescode.html."""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
        return DatabaseUnavailableError(
            f"{what}: the file can't be read for now ({name})", "check the path; is somebody writing?"
        )
    if name in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
        return DataError(f"{what}: the file is no whole SQLite database ({name})", "restore it")
    if name == "SQLITE_AUTH":
        return DatabaseError(f"{what}: only reading is allowed", "ask one SELECT")
    if message.startswith("Could not decode to UTF-8"):
        return DataError(f"{what}: a text is not UTF-8", "write texts in UTF-8, or cast them to BLOB in a query")
    said = message.splitlines()[0][:300] if name == "SQLITE_ERROR" and message else name or "unknown"
    return DatabaseError(f"{what}: the database says NO ({said})", "check the names and the query")
