"""A namenode group inside the test's process: real servers, real sockets on loopback, short timeouts."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cairnfs.namenode.config import Defaults, NamenodeConfig, Timing
from cairnfs.namenode.server import NamenodeServer

CLUSTER_ID = "test-cluster"
TIMING = Timing(tick_s=0.02, heartbeat_s=0.04, election_timeout_s=0.3, session_lease_s=3.0, datanode_timeout_s=60.0)
PATIENCE_S = 20.0


def free_ports(count: int) -> list[int]:
    """Ports of loopback that are free now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Return once the condition holds; fail where it does not within the time."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        pause.wait(0.01)


class NamenodeGroup:
    """Servers by node id; any of them can be stopped and started again on its folder."""

    def __init__(self, folder: Path, size: int = 3, *, log_retained_entries: int = 10_000) -> None:
        self.folder = folder
        self.members = {node: f"127.0.0.1:{port}" for node, port in enumerate(free_ports(size), 1)}
        self._log_retained_entries = log_retained_entries
        self.servers: dict[int, NamenodeServer] = {}
        for node in self.members:
            self.start(node)

    @property
    def addresses(self) -> list[str]:
        """host:port of every member."""
        return list(self.members.values())

    def start(self, node: int) -> None:
        """Start one member on its folder."""
        config = NamenodeConfig(
            cluster_id=CLUSTER_ID,
            node_id=node,
            directory=str(self.folder / f"namenode-{node}"),
            listen=self.members[node],
            members=self.members,
            map_size_bytes=1 << 30,
            timing=TIMING,
            defaults=Defaults(replication=3, min_replicas=2),
            log_retained_entries=self._log_retained_entries,
        )
        server = NamenodeServer(config)
        server.start()
        self.servers[node] = server

    def stop(self, node: int) -> None:
        """Stop one member."""
        self.servers.pop(node).stop()

    def leader(self) -> int:
        """The member that serves, once there is one with a cluster set up."""
        found: list[int] = []

        def is_there() -> bool:
            found[:] = [
                node
                for node, server in self.servers.items()
                if server.node.is_serving and server.node.inspect(lambda state: state.cluster()) is not None
            ]
            return bool(found)

        wait_until(is_there, "a namenode serves")
        return found[0]

    def move_leadership(self) -> int:
        """Have another member lead; returns which."""
        old = self.leader()
        target = next(node for node in sorted(self.servers) if node != old)
        self.servers[old].node.transfer_leadership(target, lambda _: None)
        wait_until(lambda: self.servers[target].node.is_serving, f"namenode {target} leads")
        return target

    def settle(self) -> int:
        """Wait until every running member has applied what the leader has; returns the index."""
        leader = self.servers[self.leader()].node
        index = leader.applied_index
        wait_until(
            lambda: all(server.node.applied_index >= index for server in self.servers.values()),
            f"index {index} is applied everywhere",
        )
        return index

    def assert_equal_digests(self) -> None:
        """Every member that has applied the same index has the same state, to the byte."""

        def agree() -> bool:
            self.settle()
            return len({server.node.inspect(lambda state: state.digest()) for server in self.servers.values()}) == 1

        wait_until(agree, "all members have one digest at one index")

    def close(self) -> None:
        """Stop all."""
        for node in list(self.servers):
            self.stop(node)
