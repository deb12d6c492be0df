"""A file that is written, replaced or removed while it is pinned is noticed, never pinned as a mixture."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_mlsecops.core.digest import CHUNK_BYTES, HashingSink
from airflow_mlsecops.core.errors import ArtifactChangedError, ArtifactRefusedError
from airflow_mlsecops.core.pinning import Access, pin
from airflow_mlsecops.core.pinning.local import LocalSource
from airflow_mlsecops.core.pinning.sources import SourceFile

SIZE = 3 * CHUNK_BYTES


class _InterruptedSink(HashingSink):
    """Does something to the file after its first chunk was read."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self._action = action

    def write(self, data: bytes | memoryview) -> int:
        if not self.size:
            self._action()
        return super().write(data)


def _listed(path: Path) -> tuple[LocalSource, SourceFile]:
    source = LocalSource(path)
    return source, source.list().files[0]


def _append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def _overwrite_tail(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"X")


def _truncate(path: Path) -> None:
    os.truncate(path, 10)


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"y" * SIZE)
    other.replace(path)


def _overwrite_and_restore_mtime(path: Path) -> None:
    before = path.stat()
    _overwrite_tail(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "action", [_append, _overwrite_tail, _truncate, _replace, _overwrite_and_restore_mtime, Path.unlink]
)
def test_a_change_while_the_file_is_read(tmp_path: Path, action: Callable[[Path], object]) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"x" * SIZE)
    time.sleep(0.05)  # file times have coarse ticks: a write in the same tick as the last one leaves them as they are
    source, file = _listed(path)

    with pytest.raises(ArtifactChangedError):
        source.read(file, _InterruptedSink(lambda: action(path)))


@pytest.mark.parametrize("action", [_append, _truncate, Path.unlink])
def test_a_change_between_listing_and_reading(tmp_path: Path, action: Callable[[Path], object]) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"x" * SIZE)
    source, file = _listed(path)

    action(path)

    with pytest.raises(ArtifactChangedError):
        source.read(file, HashingSink())


def test_a_file_that_becomes_a_link_after_listing_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"x")
    source, file = _listed(path)
    path.unlink()
    (tmp_path / "secret").write_bytes(b"s")
    path.symlink_to(tmp_path / "secret")
    sink = HashingSink()

    with pytest.raises(ArtifactRefusedError):
        source.read(file, sink)
    assert sink.size == 0


def test_a_file_that_becomes_a_pipe_after_listing_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"x")
    source, file = _listed(path)
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(ArtifactRefusedError):
        source.read(file, HashingSink())


_PEAK = """
import sys, tracemalloc
from airflow_mlsecops.core.pinning import Access, pin
from pathlib import Path
folder = Path(sys.argv[1])
tracemalloc.start()
artifact = pin(str(folder), access=Access(workers=4)).artifact
# Not ru_maxrss, which a new process inherits from the one that started it.
(resident,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
print(artifact.digest, artifact.size, tracemalloc.get_traced_memory()[1], resident)
"""


def test_memory_does_not_grow_with_the_artifact(tmp_path: Path) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    for name in ("a", "b"):
        with (folder / name).open("wb") as stream:
            stream.truncate(300 * 1024 * 1024)  # sparse: it takes no room on the disk

    done = subprocess.run(
        [sys.executable, "-c", _PEAK, folder],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    digest, size, traced, resident_kib = done.stdout.split()
    assert int(size) == 600 * 1024 * 1024
    assert int(traced) < 16 * 1024 * 1024
    assert int(resident_kib) < 200 * 1024
    assert len(digest) == 64


def test_the_number_of_workers_does_not_change_the_digest(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"f{number}").write_bytes(bytes([number]) * (number * 1000))

    pins = [pin(str(tmp_path), access=Access(workers=workers)) for workers in (1, 2, 7)]

    assert pins[0] == pins[1] == pins[2]
