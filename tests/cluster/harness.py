"""A real cluster for tests and the demo: member names, kill -9, restarts, digests."""

import contextlib
import signal
import time
from pathlib import Path
from typing import Self

from cairnfs.client import local_processes
from cairnfs.client.admin import Admin
from cairnfs.client.local_cluster import LocalCluster
from cairnfs.client.local_processes import Program
from cairnfs.common.errors import ClusterUnavailable

WAIT_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.02


class Cluster(LocalCluster):
    """A LocalCluster whose members can be asked, paused and compared. Members are called namenode-1, datanode-2, …"""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.admin = Admin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.admin.close()
        if (self.directory / "cluster.json").exists():
            self.resume()
            self.stop()

    @property
    def address(self) -> str:
        """What clients connect to."""
        return self.plan.address

    def namenode_address(self, name: str) -> str:
        """host:port of one namenode."""
        return self.plan.namenodes[int(name.rpartition("-")[2]) - 1]

    def up(self, *, namenodes: int | None = None, datanodes: int | None = None) -> list[str]:
        """Start what is down, and wait until the cluster serves with all datanodes; returns what was started."""
        started = self.start(namenodes=namenodes, datanodes=datanodes)
        self.wait_until_serving()
        return started

    def leader(self, *, timeout_s: float = WAIT_TIMEOUT_S) -> str:
        """The name of the namenode that leads and serves, waited for."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for name in sorted(name for name in self.running() if name.startswith("namenode")):
                try:
                    if self.admin.status(self.namenode_address(name), timeout_s=1.0).serving:
                        return name
                except ClusterUnavailable:
                    continue
            time.sleep(POLL_INTERVAL_S)
        raise TimeoutError(f"no namenode leads after {timeout_s:g} s")

    def kill(self, *names: str) -> None:
        """kill -9 members, all of them without names, at once as a power cut would; and wait until they have ended."""
        with local_processes.open_pidfds(self._programs(names)) as pidfds:
            local_processes.send(pidfds, signal.SIGKILL)
            assert not local_processes.wait_for_end(pidfds, timeout_s=WAIT_TIMEOUT_S)

    def pause(self, *names: str) -> None:
        """Stop members in their tracks (SIGSTOP)."""
        with local_processes.open_pidfds(self._programs(names)) as pidfds:
            local_processes.send(pidfds, signal.SIGSTOP)

    def resume(self, *names: str) -> None:
        """Let paused members go on (SIGCONT)."""
        with local_processes.open_pidfds(self._programs(names)) as pidfds:
            local_processes.send(pidfds, signal.SIGCONT)

    def _programs(self, names: tuple[str, ...]) -> list[Program]:
        by_name = {program.name: program for program in self.programs}
        return [by_name[name] for name in names or by_name]

    def digests(self, *, timeout_s: float = WAIT_TIMEOUT_S) -> dict[str, bytes]:
        """Name → digest of the state of every running namenode, all at one index."""
        deadline = time.monotonic() + timeout_s
        addresses = {name: self.namenode_address(name) for name in self.running() if name.startswith("namenode")}
        while True:
            with contextlib.suppress(ClusterUnavailable):  # one that has just been started may not listen yet
                newest = max(self.admin.status(address).commit_index for address in addresses.values())
                replies = {
                    name: self.admin.digest(address, at_index=newest, timeout_s=timeout_s)
                    for name, address in addresses.items()
                }
                if len({reply.applied_index for reply in replies.values()}) == 1:
                    return {name: reply.digest for name, reply in replies.items()}
            if time.monotonic() > deadline:
                raise TimeoutError(f"the namenodes do not stand still at one index for {timeout_s:g} s")
            time.sleep(POLL_INTERVAL_S)

    def assert_digests_agree(self) -> None:
        """All running namenodes have the same state at one index."""
        digests = self.digests()
        assert digests
        assert len(set(digests.values())) == 1, {name: digest.hex() for name, digest in digests.items()}

    def log_tails(self, lines: int = 15) -> str:
        """The end of every member's log, for the report of a test that failed."""
        tails = []
        for program in self.programs:
            text = program.log.read_text(errors="backslashreplace") if program.log.exists() else "(none)\n"
            tails.append(f"--- {program.name}\n" + "\n".join(text.splitlines()[-lines:]))
        return "\n".join(tails)
