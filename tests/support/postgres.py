"""A PostgreSQL server of its own in a temporary folder, from Debian's package; gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

READER, PASSWORD = "reader", "s3cret-of-the-reader"


@dataclass(frozen=True)
class Postgres:
    """A server that listens on a socket alone.

    Attributes:
        socket: the folder of the socket, which stands where a host would.
        binaries: where the programs lie.
    """

    socket: Path
    binaries: Path

    def run(self, *statements: str) -> None:
        """As the owner, each in a transaction of its own."""
        import psycopg

        with psycopg.connect(host=str(self.socket), user="postgres", dbname="postgres", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def connection(self, **changed: Any) -> dict[str, Any]:
        """The fields of an Airflow connection that may read only."""
        fields = {"conn_type": "postgres", "host": str(self.socket), "schema": "postgres"}
        return {**fields, "login": READER, "password": PASSWORD, **changed}


def binaries() -> Path:
    """Where Debian puts the programs, which aren't on the PATH; skips where they aren't."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server: scripts/system-packages installs it (apt-get install postgresql)")
    return found[-1].parent


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Start a server; as root under the account that its package made, because it refuses to run as root."""
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="mlsecops-pg-"))
    owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if owner:
        shutil.chown(folder, "postgres")
    folder.chmod(0o755)  # the socket is reached by other users
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": "/"}
    try:
        # The owner comes in by the socket without a password; everybody else needs one.
        init = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run([*owner, *init], check=True, **quiet)  # type: ignore[call-overload]
        rules = "local all postgres trust\nlocal all all scram-sha-256\n"
        (data / "pg_hba.conf").write_text(rules)
        settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = subprocess.Popen([*owner, str(programs / "postgres"), "-D", str(data), *options], **quiet)  # type: ignore[call-overload]
        try:
            _wait(programs, folder, server)
            made = Postgres(folder, programs)
            made.run(f"CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}'")
            yield made
        finally:
            pid = int((data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGINT)  # "fast": open sessions are broken off
            server.communicate()
    finally:
        shutil.rmtree(folder)


def _wait(programs: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    ready = [str(programs / "pg_isready"), "-q", "-h", str(folder)]
    while subprocess.run(ready, check=False).returncode:
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL didn't start: {(server.stderr.read() if server.stderr else b'').decode()}")
        time.sleep(0.05)
