"""Processes of a local cluster: started in groups of their own, found again by their command lines.

The command line names the role and the configuration file, and the kernel knows which processes live: there is no pid
file that could be stale. A signal goes through a pidfd that was opened before the command line was compared, so that
it cannot reach another process that got the same pid (pidfd_open(2)).
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LOG_TAIL_BYTES = 4096


@dataclass(frozen=True)
class Program:
    """One process as it ought to run: `name` is namenode-1, `module` cairnfs.namenode."""

    name: str
    module: str
    config: Path

    @property
    def log(self) -> Path:
        """Where its standard output and error go."""
        return self.config.with_suffix(".log")

    @property
    def arguments(self) -> list[str]:
        """The command line after the interpreter, as `ps` shows it."""
        return ["-m", self.module, "--config", str(self.config)]


def start(program: Program) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that Ctrl-C at a terminal does not reach it, and return when find() sees it.

    The kernel lets the parent of a vfork() go on just before the child's new command line can be read. Whoever looked
    for the process in that moment would not find it, and start it a second time.
    """
    with program.log.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, *program.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=program.config.parent,
            start_new_session=True,
        )
    while not _is_program(child.pid, program) and child.poll() is None:
        time.sleep(0.001)
    return child


def find(programs: Iterable[Program]) -> dict[str, int]:
    """Name → pid of those that run now."""
    wanted = {tuple(map(os.fsencode, program.arguments)): program.name for program in programs}
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            name = wanted.get(_arguments(int(entry.name)))
            if name is not None:
                found[name] = int(entry.name)
    return found


def _arguments(pid: int) -> tuple[bytes, ...]:
    """The command line of a live process after its first word; empty where it has ended."""
    try:
        return tuple(Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")[1:])
    except OSError:
        return ()


def _is_program(pid: int, program: Program) -> bool:
    return _arguments(pid) == tuple(map(os.fsencode, program.arguments))


@contextmanager
def open_pidfds(programs: Iterable[Program]) -> Iterator[dict[int, Program]]:
    """pidfd → program of those that run now; a pidfd stays theirs even when they have ended."""
    by_name = {program.name: program for program in programs}
    with ExitStack() as stack:
        pidfds = {}
        for name, pid in find(by_name.values()).items():
            pidfd = _open_pidfd(by_name[name], pid)
            if pidfd is not None:
                stack.callback(os.close, pidfd)
                pidfds[pidfd] = by_name[name]
        yield pidfds


def _open_pidfd(program: Program, pid: int) -> int | None:
    """A pidfd of `pid`, if that process is `program`; None where it has ended or is another one."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if _is_program(pid, program):
        return pidfd
    os.close(pidfd)
    return None


def send(pidfds: Iterable[int], signal_number: int) -> None:
    """Send a signal to each; one that has ended meanwhile is past caring."""
    for pidfd in pidfds:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal_number)


def stop(programs: Iterable[Program], signal_number: int, *, timeout_s: float) -> list[str]:
    """Send a signal to those that run, and wait until they have ended; returns the names of those that have not."""
    with open_pidfds(programs) as pidfds:
        send(pidfds, signal_number)
        return sorted(pidfds[pidfd].name for pidfd in wait_for_end(pidfds, timeout_s=timeout_s))


def wait_for_end(pidfds: Iterable[int], *, timeout_s: float | None, is_one_enough: bool = False) -> set[int]:
    """Wait until all have ended (or one has), or time is up; returns those that still run."""
    running = set(pidfds)
    poll = select.poll()
    for pidfd in running:
        poll.register(pidfd, select.POLLIN)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while running:
        left_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ended = poll.poll(left_ms)
        for pidfd, _ in ended:
            poll.unregister(pidfd)
            running.discard(pidfd)
        if not ended or is_one_enough:
            break
    return running


def last_log_line(program: Program) -> str:
    """What the process wrote last, to explain why it does not serve."""
    try:
        with program.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            lines = file.read().decode("utf-8", "backslashreplace").split("\n")
    except FileNotFoundError:
        return "it has written no log"
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")
