"""Reading many files at once: every result in its place, progress in the log, and an end when something goes wrong."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.errors import ArtifactChangedError, ArtifactRefusedError
from airflow_mlsecops.core.pinning import Access, pin, pool
from airflow_mlsecops.core.pinning.pool import Meter, StoppedError, read_all
from airflow_mlsecops.core.pinning.sources import SourceFile

MIB = 1024 * 1024


def _files(sizes: list[int]) -> list[SourceFile]:
    return [SourceFile(f"f{number}", size, "") for number, size in enumerate(sizes)]


@given(st.lists(st.sampled_from([0, 1, 1000, 3 * MIB, 4 * MIB, 9 * MIB]), max_size=400), st.integers(0, 8))
def test_each_file_is_read_once_and_its_result_is_in_its_place(sizes: list[int], workers: int) -> None:
    files, seen = _files(sizes), list[str]()

    def read(file: SourceFile, meter: Meter) -> str:
        seen.append(file.name)
        meter(file.size)
        return file.name

    assert read_all(files, read, workers=workers, what="x") == [file.name for file in files]
    assert sorted(seen) == sorted(file.name for file in files)


def test_the_largest_files_are_begun_first() -> None:
    order = list[int]()

    def read(file: SourceFile, meter: Meter) -> None:
        order.append(file.size)

    read_all(_files([5 * MIB, 1, 9 * MIB, 2, 7 * MIB]), read, workers=1, what="x")

    assert order == [9 * MIB, 7 * MIB, 5 * MIB, 1, 2]


def _threads_of_small_files(seconds: float) -> int:
    threads = set[int]()

    def read(file: SourceFile, meter: Meter) -> str:
        threads.add(threading.get_ident())
        time.sleep(seconds)
        return file.name

    files = _files([1] * 600)
    assert read_all(files, read, workers=4, what="x", maybe_near=True) == [file.name for file in files]
    return len(threads)


def test_small_files_that_lie_near_are_read_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_FAR_SECONDS", 3600.0)  # whatever else the machine is doing
    assert _threads_of_small_files(0) == 1


def test_small_files_for_which_one_waits_are_read_by_all_threads() -> None:
    assert _threads_of_small_files(0.002) == 4


class _Endless:
    """Reads files that never end but for the meter; remembers how it came out."""

    def __init__(self, started: int) -> None:
        self.all_started = threading.Barrier(started + 1, timeout=300)
        self.stopped = list[str]()

    def __call__(self, file: SourceFile, meter: Meter) -> None:
        self.all_started.wait()
        try:
            while True:
                meter(1)
        except StoppedError:
            self.stopped.append(file.name)  # a list: counting is not atomic
            raise


def test_the_first_error_stops_the_others_and_is_the_one_raised() -> None:
    endless, begun = _Endless(3), list[str]()

    def read(file: SourceFile, meter: Meter) -> None:
        begun.append(file.name)
        if file.size == 5 * MIB:
            endless.all_started.wait()
            raise ArtifactRefusedError("a link")
        endless(file, meter)

    with pytest.raises(ArtifactRefusedError, match="a link"):
        read_all(_files([5 * MIB, 9 * MIB, 9 * MIB, 9 * MIB, *[4 * MIB] * 50]), read, workers=4, what="x")
    assert len(endless.stopped) == 3
    assert len(begun) == 4  # what was waiting in line was not begun


def test_control_c_stops_all_threads() -> None:
    endless = _Endless(2)

    def interrupt() -> None:
        endless.all_started.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        read_all(_files([9 * MIB] * 20), endless, workers=2, what="x")
    thread.join()
    # The signal can come while the executor starts a thread, which it then doesn't know and can't wait for.
    for worker in threading.enumerate():
        if worker.name.startswith("mlsecops-pin"):
            worker.join(60)
    assert len(endless.stopped) == 2


_PIN = """
import sys
from airflow_mlsecops.core.pinning import pin
print("begun", flush=True)
pin(sys.argv[1])
"""


def test_a_process_that_pins_much_ends_soon_after_a_signal(tmp_path: Path) -> None:
    for number in range(4):
        with (tmp_path / f"big{number}").open("wb") as stream:
            stream.truncate(1 << 40)  # sparse: 1 TB each, which takes many minutes to hash
    process = subprocess.Popen(
        [sys.executable, "-c", _PIN, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(0.3)  # let it get into the files
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=300)
    finally:
        process.kill()
        process.communicate()
    assert b"KeyboardInterrupt" in error
    assert process.returncode


def _slow(seconds: float) -> Callable[[SourceFile, Meter], int]:
    def read(file: SourceFile, meter: Meter) -> int:
        meter(file.size // 2)
        time.sleep(seconds)
        meter(file.size - file.size // 2)
        return file.size

    return read


def test_progress_is_logged_while_it_takes_long(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_LOG_EVERY", 0.02)

    with caplog.at_level(logging.INFO):
        read_all(_files([20_000_000]), _slow(0.3), workers=2, what="s3://models/m")

    assert caplog.messages
    assert set(caplog.messages) == {"s3://models/m: hashed 10.0 of 20.0 MB (50 %)"}
    assert {record.name for record in caplog.records} == {"airflow_mlsecops.core.pinning.pool"}


def test_what_is_quick_logs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"x")

    with caplog.at_level(logging.DEBUG):
        pin(str(tmp_path))

    assert not caplog.records


@pytest.mark.parametrize("workers", [1, 3])
def test_a_pin_counts_all_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    meter = Meter()
    monkeypatch.setattr(pool, "Meter", lambda: meter)
    for number in range(30):
        (tmp_path / f"f{number}").write_bytes(b"x" * number * 100_000)

    artifact = pin(str(tmp_path), access=Access(workers=workers)).artifact

    assert meter.done == artifact.size > 0


def test_a_file_that_lies_about_its_size_is_refused() -> None:
    assert Path("/proc/self/stat").stat().st_size == 0
    with pytest.raises(ArtifactChangedError):
        pin("/proc/self/stat")
