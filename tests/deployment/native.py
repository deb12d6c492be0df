"""What docker-compose.yml starts in containers, as commands for this machine: only places and ports are changed."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.deployment import compose_file


def free_ports(count: int) -> list[int]:
    """Different TCP ports on which nobody listens now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def store_command(port: int, data: Path, identities: Path) -> list[str]:
    """The arguments of `weed` in the service `s3`."""
    written: list[str] = compose_file.load()["services"]["s3"]["command"]
    changed = {
        "-dir=/data": f"-dir={data}",
        "-s3.config=/run/secrets/s3_identities": f"-s3.config={identities}",
        "-s3.port=8334": f"-s3.port={port}",
    }
    assert changed.keys() <= set(written)
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    more = [f"-{name}={free}" for name, free in zip((*names, "s3.port.grpc"), free_ports(7), strict=True)]
    return [changed.get(word, word) for word in written] + more + [f"-s3.localSocket={data}/s3.sock"]
