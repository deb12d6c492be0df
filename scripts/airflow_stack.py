"""Start and stop a real, self-contained Airflow on this machine: SQLite, LocalExecutor, all of it in one folder.

    with AirflowStack(Path("home"), Path("dags"), users={"admin": "admin", "bob": "user"}) as stack:
        print(stack.base_url, stack.passwords["admin"])

The demo and the end-to-end tests share it. The commands come from `deploy/components.toml`, which the compose file
follows too. Nothing of the user's own Airflow is read, and however this program ends, its processes end with it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import airflow_settings
import psutil
from airflow_api import AirflowApi, AirflowApiError
from airflow_guard import StackError, Terminated, locked, patient, signals_raise, watched
from airflow_processes import end_processes, find_processes
from airflow_settings import SERVICES

__all__ = ["SERVICES", "AirflowStack", "StackError", "Terminated"]

_TAIL_LINES = 25
_POLL_SECONDS = 0.25


class AirflowStack:
    """One running Airflow. Two of them don't collide as long as their homes differ.

    Args:
        home: Folder for database, logs, passwords, secrets and configuration; made when missing, and usable again.
        dags_folder: One folder of Dags, or several.
        users: Name -> role of Airflow's simple auth manager (`admin`, `op`, `user`, `viewer`).
        passwords: Name -> password; the others get random ones. Either way they stand in `.passwords`.
        bin_folder: Where the `airflow` program lies; by default beside the running Python.
        extra_env: Set for all components, e.g. `AIRFLOW__SECTION__OPTION`, which wins over the settings made here.
        port: Of the api-server; by default a free one.
        paused: Whether new Dags wait for somebody to switch them on.
        boot_timeout: Seconds until a start that has not come to an end counts as failed.
        say: Told, in a few words, what is going on.

    Raises:
        StackError: When a folder of Dags does not exist, or the home lies inside one.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path | Sequence[Path],
        *,
        users: Mapping[str, str],
        passwords: Mapping[str, str] | None = None,
        bin_folder: Path | None = None,
        extra_env: Mapping[str, str] | None = None,
        port: int | None = None,
        paused: bool = False,
        boot_timeout: float = 300.0,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.home = home.absolute()
        folders = [dags_folder] if isinstance(dags_folder, Path) else dags_folder
        self.dags_folders = [airflow_settings.checked_dags_folder(folder.absolute(), self.home) for folder in folders]
        self.users = dict(users)
        self.passwords: dict[str, str] = {}
        self._given_passwords = dict(passwords or {})
        self.bin_folder = (bin_folder or Path(sys.executable).parent).absolute()
        self.env = airflow_settings.environment(self.home, self.bin_folder, extra_env or {})
        self._port = port
        self._paused = paused
        self._boot_timeout = boot_timeout
        self._say = say
        self._commands = airflow_settings.load_commands()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: dict[int, psutil.Process] = {}
        self._cleanup = contextlib.ExitStack()
        self._watch: IO[str] | None = None
        self._owner = 0
        self.base_url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Boot everything and return when Airflow calls itself healthy.

        Raises:
            StackError: When another stack runs in this home, a component ends early or the time is up. Whatever
                was started has been stopped by then, as it has on Ctrl-C.
        """
        if self._owner:
            raise StackError("this stack is running already")
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process of this stack and wait until they are gone. Harmless when there are none.

        Raises:
            StackError: When a process could not even be killed.
        """
        # A forked copy of the owner must not end what the owner still uses.
        if self._owner != os.getpid():
            return
        with patient() as hurry, self._cleanup:
            self._owner = 0
            # The api-server goes last: until then, tasks that are cut off can report it.
            api_servers = [process.pid for name, process in self._running.items() if name == "api-server"]
            others = {pid: leader for pid, leader in self._sessions.items() if pid not in api_servers}
            end_processes(lambda: find_processes(None, others), others, grace=5.0, hurry=hurry)
            # It closes its doors in a moment; after that, its Python only tidies up, for seconds.
            left = end_processes(self._find, self._sessions, grace=1.5, hurry=hurry)
            for process in self._running.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1)
        if left:
            raise StackError(f"these processes could not be ended: {[process.pid for process in left]}")

    def crash(self, *components: str) -> None:
        """Kill components with all that they started, start them again, and return when Airflow is healthy again.

        Raises:
            StackError: When one doesn't come up again.
        """
        gone = {self._running[name].pid: self._sessions[self._running[name].pid] for name in components}
        end_processes(lambda: find_processes(None, gone), gone, grace=0.0)
        begin = datetime.now(UTC)
        for name in components:
            self._running[name].wait()
            self._spawn(name, mode="ab")
        self._wait_until_healthy(begin)

    def process(self, component: str) -> psutil.Process:
        """Return the first process of a component; what it started are its children."""
        return self._sessions[self._running[component].pid]

    def check(self) -> None:
        """Do nothing when all components run.

        Raises:
            StackError: When one has ended.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                raise StackError(f"{name} ended with exit code {process.returncode}.\n{self.tail(name)}")

    def api(self, user: str) -> AirflowApi:
        """Return a client of the REST API that acts as `user`."""
        return AirflowApi(self.base_url, user, self.passwords[user])

    def run(self, *command: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a command, say `("airflow", "dags", "list")`, in this Airflow's environment and return its outcome."""
        return subprocess.run(
            self._resolve(command), env=self.env, cwd=self.home, timeout=timeout, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def log_path(self, component: str) -> Path:
        """Return where the output of a component goes."""
        return self.home / "logs" / "components" / f"{component}.log"

    def tail(self, component: str) -> str:
        """Return the last lines of a component's output, under a heading."""
        path = self.log_path(component)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        return "\n".join([f"--- the end of {path} ---", *lines[-_TAIL_LINES:]])

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        self._cleanup = contextlib.ExitStack()
        lock = self._cleanup.enter_context(locked(self.home / "stack.lock"))
        # From here on, what carries this home's marker is ours to end.
        self._owner = os.getpid()
        self._running, self._sessions = {}, {}
        self._cleanup.enter_context(signals_raise())
        atexit.register(self.stop)
        self._cleanup.callback(atexit.unregister, self.stop)
        self._watch = self._cleanup.enter_context(watched(self.home, lock))
        end_processes(self._find, (), grace=5.0)
        self._configure()
        self._migrate()
        begin = datetime.now(UTC)
        for name in SERVICES:
            self._spawn(name)
        self._say(f"waiting for {', '.join(SERVICES)}")
        self._wait_until_healthy(begin)

    def _configure(self) -> None:
        ports = airflow_settings.free_ports(3)
        if self._port is not None:
            if not airflow_settings.is_free(self._port):
                raise StackError(f"api-server can't start: port {self._port} is taken")
            ports[0] = self._port
        self.base_url = f"http://127.0.0.1:{ports[0]}"
        self.passwords = airflow_settings.keep_passwords(
            self.home / "passwords.json", list(self.users), self._given_passwords
        )
        sections = airflow_settings.settings(self.home, self.dags_folders, self.users, ports=ports, paused=self._paused)
        airflow_settings.write_private(self.home / "airflow.cfg", airflow_settings.render(sections))

    def _migrate(self) -> None:
        self._say("preparing the database")
        process = self._spawn("migrate")
        try:
            process.wait(timeout=self._boot_timeout)
        except subprocess.TimeoutExpired:
            raise StackError(f"migrate took more than {self._boot_timeout:.0f} s.\n{self.tail('migrate')}") from None
        del self._running["migrate"]
        if process.returncode:
            raise StackError(f"migrate ended with exit code {process.returncode}.\n{self.tail('migrate')}")

    def _spawn(self, name: str, mode: Literal["wb", "ab"] = "wb") -> subprocess.Popen[bytes]:
        path = self.log_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode) as log:
            process = subprocess.Popen(
                self._resolve(self._commands[name]), env=self.env, cwd=self.home, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._running[name] = process
        self._sessions[process.pid] = psutil.Process(process.pid)
        if self._watch is not None:
            with contextlib.suppress(BrokenPipeError):
                print(process.pid, file=self._watch, flush=True)
        return process

    def _wait_until_healthy(self, begin: datetime) -> None:
        deadline = time.monotonic() + self._boot_timeout
        with AirflowApi(self.base_url, timeout=5.0) as api:
            while True:
                self.check()
                try:
                    waiting = api.unhealthy(since=begin)
                except AirflowApiError:
                    waiting = ["api-server"]
                if not waiting:
                    return
                if time.monotonic() > deadline:
                    tails = "\n".join(self.tail(name) for name in waiting if name in SERVICES)
                    raise StackError(f"not healthy after {self._boot_timeout:.0f} s: {', '.join(waiting)}\n{tails}")
                time.sleep(_POLL_SECONDS)

    def _resolve(self, command: Sequence[str]) -> list[str]:
        program = self.bin_folder / command[0]
        return [str(program) if program.exists() else command[0], *command[1:]]

    def _find(self) -> list[psutil.Process]:
        return find_processes(self.home, self._sessions)
