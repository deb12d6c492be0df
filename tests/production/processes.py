"""The processes of the topology: started, watched over, ended, killed with all their children, started again."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

import psutil
from airflow_processes import end_processes, find_processes

from deploy.bin import probe

START_SECONDS = 240.0


class Processes:
    """By name. Each has a session of its own, and the log ``<home>/<name>.log``.

    Args:
        home: marks them all (see ``airflow_processes``).
        environment: of those that need nothing particular.
        announce: told each session, so that the watch-over ends it if this process is killed.
    """

    def __init__(self, home: Path, environment: Mapping[str, str], announce: IO[str] | None = None) -> None:
        self.home = home
        self.environment = dict(environment)
        self.announce = announce
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start one that goes on."""
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                command, env=dict(environment or self.environment), cwd=self.home, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.running[name] = process
        if self.announce is not None:
            with contextlib.suppress(BrokenPipeError):
                print(process.pid, file=self.announce, flush=True)

    def once(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Run one to its end.

        Raises:
            RuntimeError: if it doesn't succeed; with the end of its log.
        """
        self.spawn(name, command, environment)
        code = self.running.pop(name).wait(timeout=START_SECONDS)
        if code:
            raise RuntimeError(f"{name} ended with {code}\n{self.tail(name)}")

    def output(self, command: Sequence[str], more: Mapping[str, str] | None = None) -> str:
        """What a command says, whatever becomes of it."""
        environment = self.environment | dict(more or {})
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout + done.stderr

    def succeeds(self, command: Sequence[str]) -> bool:
        """Whether a command ends well."""
        done = subprocess.run(command, env=self.environment, capture_output=True, check=False, timeout=60)
        return done.returncode == 0

    def until(self, name: str, condition: Callable[[], object], seconds: float = START_SECONDS) -> None:
        """Wait for what one of them does.

        Raises:
            RuntimeError: if it ended, or the time is up; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            ended = name in self.running and self.running[name].poll() is not None
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"{name} {'ended' if ended else 'is not ready'}\n{self.tail(name)}")
            time.sleep(0.2)

    def answers(self, name: str, url: str, *expectations: str) -> None:
        """Wait until the health probe of the deployment is content."""
        self.until(name, lambda: not probe.complaint(url, list(expectations)))

    def stop(self, name: str, signum: signal.Signals = signal.SIGTERM, seconds: float = 60.0) -> None:
        """Ask one to end, and wait for it; what is left of its session is killed."""
        process = self.running.pop(name)
        tree = self._tree(process)
        process.send_signal(signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        _kill([*tree, *self._tree(process)])
        process.wait(timeout=10)

    def kill(self, name: str) -> None:
        """kill -9, with every child: what becomes of a container whose machine fails."""
        process = self.running.pop(name)
        tree = self._tree(process)
        process.kill()
        _kill([*tree, *self._tree(process)])
        process.wait(timeout=10)

    def freeze(self, name: str) -> None:
        """Let one hang: its connections stay open, and nothing comes through."""
        for process in [self.running[name].pid, *(one.pid for one in self._tree(self.running[name]))]:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(process).suspend()

    def thaw(self, name: str) -> None:
        """Let it go on."""
        for process in [self.running[name].pid, *(one.pid for one in self._tree(self.running[name]))]:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(process).resume()

    def owner(self, pid: int) -> str:
        """The name of the one among whose children a process is."""
        names = [name for name, one in self.running.items() if pid in {child.pid for child in self._tree(one)}]
        assert len(names) == 1, f"process {pid} belongs to {names}"
        return names[0]

    def end(self) -> None:
        """End all of them."""
        leaders = {p.pid: psutil.Process(p.pid) for p in self.running.values() if psutil.pid_exists(p.pid)}
        left = end_processes(lambda: find_processes(self.home, leaders), leaders, grace=8.0)
        for process in self.running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
        assert not left, f"these processes could not be ended: {left}"

    def log(self, name: str) -> Path:
        """Where its output goes."""
        return self.home / f"{name}.log"

    def tail(self, name: str) -> str:
        """The end of that."""
        text = self.log(name).read_text(errors="replace") if self.log(name).exists() else ""
        return "\n".join(text.splitlines()[-40:])

    def _tree(self, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
        if process.poll() is not None:
            return []
        return find_processes(None, {process.pid: psutil.Process(process.pid)})


class Restarts:
    """What ``restart: unless-stopped`` does in the compose file: who ends by itself is started again.

    Args:
        processes: all of them; who was stopped or killed by a test is none of them until it is started again.
        names: those that are watched.
        start: starts one.
    """

    def __init__(self, processes: Processes, names: Sequence[str], start: Callable[[str], None]) -> None:
        self._processes = processes
        self._names = names
        self._start = start
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="restarts", daemon=True)
        self.count: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(1.0):
            for name in self._names:
                process = self._processes.running.get(name)
                if process is not None and process.poll() is not None:
                    self.count[name] += 1
                    self._start(name)


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
