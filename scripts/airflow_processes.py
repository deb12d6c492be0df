"""Find and end every process of an Airflow stack, also when the program that started it was killed.

A process belongs to a stack when one of these holds:

* its environment carries the stack's marker (`MARKER`), which no user sets and every child inherits;
* it is in a session that the stack opened (Airflow marks task processes as non-dumpable, and then an ordinary user
  can't read their environment);
* it descends from such a process.

Run as a program, this module is the watch-over of a stack: it reads session ids from its standard input, one per line,
until that pipe closes, which happens in whatever way the starter ends; then it ends what is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import psutil

Sessions = Mapping[int, psutil.Process]
"""Sessions by their ids, each with its first process, whose id it bears: that id may be given away again later."""

MARKER = "AIRFLOW_MLSECOPS_STACK"
"""Environment variable whose value is the stack's home folder."""

_POLL_SECONDS = 0.1
_HEAD_START_SECONDS = 1.0


def find_processes(home: Path | None, sessions: Sessions) -> list[psutil.Process]:
    """Return the living processes of the stack in `home`, never the caller itself.

    Args:
        home: The stack's home folder, as its processes were told; None to go by the sessions alone.
        sessions: The sessions which the stack opened.
    """
    marker = None if home is None else str(home)
    parents: dict[int, int] = {}
    alive: dict[int, psutil.Process] = {}
    members: set[int] = set()
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            parents[process.pid] = process.ppid()
            alive[process.pid] = process
            if _is_member(process, marker, sessions):
                members.add(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError):
            continue
    members |= {pid for pid in alive if _descends(pid, parents, members)}
    members.discard(os.getpid())
    return [alive[pid] for pid in sorted(members)]


def _is_member(process: psutil.Process, marker: str | None, sessions: Sessions) -> bool:
    leader = sessions.get(os.getsid(process.pid))
    # A leader that is gone leaves its session to its children; one that is somebody else has a session of its own.
    if leader is not None and (leader.is_running() or not psutil.pid_exists(leader.pid)):
        return True
    try:
        return marker is not None and process.environ().get(MARKER) == marker
    except psutil.AccessDenied:
        return False


def _descends(pid: int, parents: dict[int, int], members: set[int]) -> bool:
    seen: set[int] = set()
    while pid in parents and pid not in seen:
        if pid in members:
            return True
        seen.add(pid)
        pid = parents[pid]
    return False


def end_processes(
    find: Callable[[], Iterable[psutil.Process]],
    leaders: Collection[int],
    *,
    grace: float,
    hurry: Callable[[], bool] = lambda: False,
) -> list[psutil.Process]:
    """Ask the processes to end, wait, and kill those that stay.

    Args:
        find: Called again and again, because a process may start another while it ends.
        leaders: Ids of those asked first: they end their children themselves. Whoever is left a moment later is asked,
            leaders once more, because a scheduler waits for its running tasks, however long they take, and a
            triggerer may overlook that its runner has ended; a second request makes both go.
        grace: Seconds between the first request and the kill.
        hurry: When it turns true, the waiting is over.

    Returns:
        What could not be ended within ten more seconds; empty when all went well.
    """
    asked: set[tuple[int, bool]] = set()
    begin = time.monotonic()
    while left := list(find()):
        passed = time.monotonic() - begin
        if hurry() or passed >= grace:
            break
        early = passed < _HEAD_START_SECONDS
        due = [one for one in left if (one.pid, early) not in asked and (one.pid in leaders or not early)]
        _send(signal.SIGTERM, due)
        asked |= {(process.pid, early) for process in due}
        psutil.wait_procs(left, timeout=_POLL_SECONDS)
    deadline = time.monotonic() + 10
    while (left := list(find())) and time.monotonic() < deadline:
        _send(signal.SIGKILL, left)
        psutil.wait_procs(left, timeout=_POLL_SECONDS)
    return left


def _send(signum: signal.Signals, processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        try:
            process.send_signal(signum)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def watch_over(home: Path) -> int:
    """Wait until standard input closes, then end what is left of the stack in `home`.

    Returns:
        The exit code: 0 when nothing is left.
    """
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    sessions: dict[int, psutil.Process] = {}
    for line in sys.stdin:
        with contextlib.suppress(psutil.NoSuchProcess):
            sessions[int(line)] = psutil.Process(int(line))
    return 1 if end_processes(lambda: find_processes(home, sessions), sessions, grace=5.0) else 0


if __name__ == "__main__":
    raise SystemExit(watch_over(Path(sys.argv[1])))
