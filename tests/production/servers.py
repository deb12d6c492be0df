"""What the deployment stands on, on this machine: PostgreSQL, Redis, SeaweedFS and HAProxy, by docker-compose.yml."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.deployment import compose_file
from tests.deployment.native import store_command
from tests.production.processes import Processes

DEBIAN = {"redis-server": "redis-server", "haproxy": "haproxy", "initdb": "postgresql"}
"""Programs and the Debian packages that have them; scripts/test-production installs those."""


def program(name: str) -> str:
    """Where a program lies; PostgreSQL's aren't on the PATH."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        raise RuntimeError(f"there is no program {name}; scripts/test-production installs it")
    return found


@dataclass(frozen=True)
class Postgres:
    """A server on a TCP port, made with the options of the compose file."""

    folder: Path
    port: int
    processes: Processes

    def create(self, password: Path) -> None:
        """Make the cluster and the database; the password is that of the secret."""
        environment = compose_file.load()["services"]["postgres"]["environment"]
        name = environment["POSTGRES_USER"]
        if self._owner:
            shutil.chown(self.folder, "postgres")
        copy = self.folder / "password"
        copy.write_text(password.read_text())
        if self._owner:
            shutil.chown(copy, "postgres")
        options = environment["POSTGRES_INITDB_ARGS"].split()
        made = [program("initdb"), f"--pgdata={self.folder / 'data'}", f"--username={name}", f"--pwfile={copy}"]
        self.processes.once("initdb", [*self._owner, *made, "--auth-local=trust", "--no-sync", *options])
        copy.unlink()
        self.start()
        create = [program("createdb"), f"--host={self.folder}", f"--port={self.port}", f"--username={name}"]
        self.processes.once("createdb", [*self._owner, *create, environment["POSTGRES_DB"]])

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*self._owner, program("postgres"), "-D", str(self.folder / "data"), *options, "-c", "fsync=off"]
        self.processes.spawn("postgres", command)
        ready = [program("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        self.processes.until("postgres", lambda: self.processes.succeeds(ready))

    @property
    def _owner(self) -> list[str]:
        """It refuses to run as root."""
        return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


@dataclass(frozen=True)
class Redis:
    """A server by the command of the compose file; its password comes on standard input, as there."""

    folder: Path
    port: int
    secrets: Path
    processes: Processes

    def start(self) -> None:
        """Start it and wait until it answers with the password."""
        shell, flag, script = compose_file.interpolated(compose_file.load()["services"]["redis"]["command"], {})
        changes = {
            "/run/secrets/": f"{self.secrets}/",
            "redis-server - --dir /data": f"redis-server - --bind 127.0.0.1 --port {self.port} --dir {self.folder}",
        }
        self.processes.spawn("redis", [shell, flag, changed(script, changes)])
        asks = [program("redis-cli"), "-h", "127.0.0.1", "-p", str(self.port), "ping"]
        password = {"REDISCLI_AUTH": (self.secrets / "redis_password").read_text()}
        self.processes.until("redis", lambda: "PONG" in self.processes.output(asks, password))


@dataclass(frozen=True)
class Store:
    """SeaweedFS by the command of the compose file, and the door before it.

    Attributes:
        port: of the S3 protocol, behind the door.
        door: of HAProxy.
    """

    folder: Path
    port: int
    door: int
    secrets: Path
    weed: Path
    processes: Processes
    command: list[str]

    @classmethod
    def of(cls, folder: Path, port: int, door: int, secrets: Path, weed: Path, processes: Processes) -> Store:
        """One with ports of its own, which it keeps when it is started again."""
        command = [str(weed), *store_command(port, folder, secrets / "s3_identities")]
        return cls(folder, port, door, secrets, weed, processes, command)

    def start(self) -> None:
        """Start the store and wait until it answers."""
        self.processes.spawn("s3", self.command)
        self.processes.answers("s3", f"http://127.0.0.1:{self.port}/healthz")

    def open_door(self) -> None:
        """Start HAProxy with the deployment's configuration and wait until requests come through."""
        text = (compose_file.ROOT / "deploy" / "haproxy.cfg").read_text(encoding="utf-8")
        written = changed(text, {"bind :8333": f"bind 127.0.0.1:{self.door}", ":8334": f":{self.port}"})
        target = self.folder.parent / "haproxy.cfg"
        target.write_text(written)
        command = compose_file.load()["services"]["s3-gateway"]["command"]
        places = {"/usr/local/etc/haproxy/haproxy.cfg": str(target), "haproxy": program("haproxy")}
        self.processes.spawn("s3-gateway", [places.get(word, word) for word in command])
        self.processes.answers("s3-gateway", f"http://127.0.0.1:{self.door}/healthz")


def changed(text: str, changes: Mapping[str, str]) -> str:
    """A text with parts of it replaced; each of them has to be there, or the deployment has moved on."""
    for old in changes:
        assert old in text, f"{old!r} is not in {text!r}"
    return re.sub("|".join(map(re.escape, changes)), lambda match: changes[match[0]], text)
