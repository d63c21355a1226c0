"""A whole cluster on this machine, in one folder: the same programs as in production, as child processes.

Starting is repeatable: what runs is left, what does not is started. Knows the folder (local_layout.py), processes
(local_processes.py) and the namenodes' status (admin.py); knows nothing of what the programs do.
"""

import contextlib
import fcntl
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from cairnfs.client import local_layout, local_processes
from cairnfs.client.admin import Admin
from cairnfs.client.local_layout import Plan
from cairnfs.client.local_processes import Program
from cairnfs.common.address import split_host_port
from cairnfs.common.errors import BadConfig, CairnError, ClusterUnavailable

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
LOCK_TIMEOUT_S = 90.0
POLL_INTERVAL_S = 0.05


class LocalCluster:
    """The cluster in one folder. Processes that this object started are its children; others are found by name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def plan(self) -> Plan:
        """What the cluster is made of; BadConfig where there is none."""
        plan = local_layout.read_plan(self.directory)
        if plan is None:
            raise BadConfig(f"{self.directory} holds no cluster: make one with cairn up --dir {self.directory}")
        return plan

    @property
    def programs(self) -> list[Program]:
        """Every process as it ought to run, namenodes first."""
        return local_layout.programs(self.directory, self.plan)

    def running(self) -> dict[str, int]:
        """Name → pid of the processes that run: {"namenode-1": 4711, …}."""
        self._reap()
        return local_processes.find(self.programs)

    def start(self, *, namenodes: int | None = None, datanodes: int | None = None) -> list[str]:
        """Make the cluster if the folder is new (3 namenodes and 3 datanodes unless told otherwise), start what is
        down, and return the names of what was started. More datanodes than before are added.

        BadConfig for other counts than the cluster has.
        """
        with self._locked():
            local_layout.prepare(self.directory, namenodes=namenodes, datanodes=datanodes)
            running = self.running()
            down = [program for program in self.programs if program.name not in running]
            self._children += [local_processes.start(program) for program in down]
        return [program.name for program in down]

    def stop(self, *, timeout_s: float = STOP_TIMEOUT_S) -> list[str]:
        """Stop every process of the folder and return the names of those that ran: SIGTERM first, SIGKILL for those
        that have not ended in time. BadConfig where the folder holds no cluster.
        """
        programs = self.programs
        with self._locked():
            stopped = sorted(self.running())
            if local_processes.stop(programs, signal.SIGTERM, timeout_s=timeout_s):
                left = local_processes.stop(programs, signal.SIGKILL, timeout_s=timeout_s)
                if left:
                    raise CairnError(f"{', '.join(left)} did not end even when killed: see ps")
            self._reap()
        return stopped

    def wait_until_serving(self, *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait for a leader that serves, with every datanode registered and alive.

        ClusterUnavailable as soon as a process has ended, or when time is up; it quotes the log of the one at fault.
        """
        deadline = time.monotonic() + timeout_s
        with Admin() as admin, local_processes.open_pidfds(self.programs) as pidfds:
            for program in self.programs:
                if program not in pidfds.values():
                    raise ClusterUnavailable(_obituary(program))
            while missing := self._missing(admin):
                running = local_processes.wait_for_end(pidfds, timeout_s=POLL_INTERVAL_S, is_one_enough=True)
                for pidfd in pidfds.keys() - running:
                    raise ClusterUnavailable(_obituary(pidfds[pidfd]))
                if time.monotonic() > deadline:
                    raise ClusterUnavailable(f"the cluster does not serve after {timeout_s:g} s: {missing}")

    def _missing(self, admin: Admin) -> str:
        """What still keeps the cluster from serving; empty when it serves."""
        plan = self.plan
        leads = "no namenode leads"
        for address in plan.namenodes:
            try:
                status = admin.status(address)
            except ClusterUnavailable as error:
                leads = str(error)
                continue
            if status.cluster_id != plan.cluster_id:
                raise ClusterUnavailable(f"{address} belongs to another cluster: its port has been taken")
            if status.serving:
                alive = {datanode.address for datanode in status.datanodes if datanode.alive}
                return ", ".join(
                    f"{program.name} has not registered ({local_processes.last_log_line(program)})"
                    for program in self.programs
                    if program.name in plan.datanodes
                    and (plan.datanodes[program.name] not in alive or not _listens(plan.datanodes[program.name]))
                )
        return leads

    def deaths(self) -> Iterator[str]:
        """Waits for processes to end and tells each one's last words; ends when none runs any more."""
        alive = {program.name for program in self.programs}
        while alive:
            with local_processes.open_pidfds(self.programs) as pidfds:
                running = {program.name for program in pidfds.values()}
                yield from (_obituary(program) for program in self.programs if program.name in alive - running)
                alive = running
                local_processes.wait_for_end(pidfds, timeout_s=None, is_one_enough=True)

    def close(self) -> None:
        """Let go of the processes, which run on."""
        for child in self._children:
            child.returncode = 0  # Popen warns of a child it has not waited for
        self._children.clear()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others from starting or stopping processes of this folder meanwhile."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.directory / "lock").open("w")
        except OSError as error:
            raise BadConfig(f"{self.directory}: {error.strerror}") from None
        with lock:
            deadline = time.monotonic() + LOCK_TIMEOUT_S
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise BadConfig(f"{self.directory} is kept locked by another cairn up or down") from None
                    time.sleep(POLL_INTERVAL_S)
            yield

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]


def _listens(address: str) -> bool:
    """Whether somebody accepts connections there: one that was killed a moment ago still counts as alive."""
    try:
        socket.create_connection(split_host_port(address), timeout=1.0).close()
    except OSError:
        return False
    return True


def _obituary(program: Program) -> str:
    return f"{program.name} has ended; its last line in {program.log}: {local_processes.last_log_line(program)}"
