"""One namenode process: everything put together, from a configuration to a clean stop."""

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from cairnfs.common.channels import make_server
from cairnfs.common.errors import BadConfig
from cairnfs.common.logs import EventLogger
from cairnfs.namenode.admin_service import AdminService
from cairnfs.namenode.config import NamenodeConfig
from cairnfs.namenode.datanodes import DatanodeTable
from cairnfs.namenode.duties import LeaderDuties
from cairnfs.namenode.holds import HoldTable
from cairnfs.namenode.log_store import LogStore
from cairnfs.namenode.node import Node
from cairnfs.namenode.peers import GrpcPeers, PeerService
from cairnfs.namenode.registry_service import RegistryService
from cairnfs.namenode.session_service import SessionService
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.sessions import Outcome
from cairnfs.protos import admin_pb2_grpc, datanode_pb2_grpc, raft_pb2_grpc, session_pb2_grpc

CALLS_AT_ONCE = 64
STOP_GRACE_S = 1.0

_log = EventLogger("namenode")


class NamenodeServer:
    """A namenode that runs from start() to stop(); `ended` is set when it cannot go on, and to ask it to stop."""

    def __init__(self, config: NamenodeConfig) -> None:
        """Open log and state; BadConfig where the folder is another node's, or in use."""
        self._config = config
        self.ended = threading.Event()
        directory = Path(config.directory)
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = lock_directory(directory)
        log = LogStore(
            directory / "log",
            cluster_id=config.cluster_id,
            node_id=config.node_id,
            members=sorted(config.members),
            map_size_bytes=config.map_size_bytes,
        )
        remove_other_states(directory, log.state_directory)
        state = StateMachine.open(directory / log.state_directory, map_size_bytes=config.map_size_bytes)
        self.node = Node(
            config.node_id,
            log,
            state,
            config.timing,
            retained_entries=config.log_retained_entries,
            retained_bytes=config.log_retained_bytes,
        )
        self._holds = HoldTable()
        self._datanodes = DatanodeTable(config.timing.datanode_timeout_s)
        self._sessions = SessionService(
            self.node,
            self._holds,
            self._datanodes,
            cluster_id=config.cluster_id,
            members=config.members,
            lease_s=config.timing.session_lease_s,
            sessions_max=config.sessions_max,
        )
        self._duties = LeaderDuties(
            self.node,
            self._holds,
            self._sessions,
            self._datanodes,
            cluster_id=config.cluster_id,
            defaults=config.defaults,
            lease_s=config.timing.session_lease_s,
        )
        self._server = make_server(config.sessions_max + CALLS_AT_ONCE)
        session_pb2_grpc.add_SessionServicer_to_server(self._sessions, self._server)
        raft_pb2_grpc.add_PeerServicer_to_server(
            PeerService(config.cluster_id, config.node_id, directory, config.map_size_bytes, self.node), self._server
        )
        registry = RegistryService(self.node, self._datanodes, cluster_id=config.cluster_id, members=config.members)
        datanode_pb2_grpc.add_RegistryServicer_to_server(registry, self._server)
        admin = AdminService(self.node, self._datanodes, cluster_id=config.cluster_id, members=config.members)
        admin_pb2_grpc.add_AdminServicer_to_server(admin, self._server)

    def start(self) -> None:
        """Listen, and join the group; BadConfig where the address cannot be had."""
        config = self._config
        try:
            self._server.add_insecure_port(config.listen)
        except RuntimeError:
            raise BadConfig(f"cannot listen on {config.listen}: it is in use, or not an address of this host") from None
        self._server.start()
        self._peers = GrpcPeers(config.cluster_id, config.node_id, config.members, self.node)
        self.node.start(self._peers, self, self.ended.set)
        self._duties.start()
        _log.info("started", node=config.node_id, listen=config.listen, applied=self.node.applied_index)

    @property
    def has_failed(self) -> bool:
        """Whether it ended because it could not keep its promises."""
        return self.node.failure is not None

    def stop(self) -> None:
        """Stop cleanly: nothing that was acknowledged depends on it."""
        self._duties.stop()
        self._sessions.redirect_all()
        self._server.stop(STOP_GRACE_S).wait()
        self._peers.close()
        self.node.stop()
        self._lock.close()
        _log.info("stopped", node=self._config.node_id)

    # --- the node's listener ---------------------------------------------------------------------

    def on_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Operations have been applied while this node leads."""
        self._sessions.on_outcomes(outcomes)

    def on_leadership(self, state: StateMachine, is_serving: bool) -> None:
        """This node began or ceased to serve."""
        _log.info("serving" if is_serving else "not_serving", node=self._config.node_id, term=self.node.status.term)
        if not is_serving:
            self._sessions.redirect_all()
            return
        self._holds.begin_reign([session for session, _ in state.sessions()], time.monotonic())
        self._datanodes.begin_reign()
        self._datanodes.settings = state.cluster()
        if self._datanodes.settings is None:
            self._duties.set_up_cluster()


class DirectoryLock:
    """A folder that no other process may use meanwhile."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def close(self) -> None:
        """Let others have it."""
        os.close(self._handle)


def lock_directory(directory: Path) -> DirectoryLock:
    """Take a folder for this process; BadConfig where another has it. The lock goes with the process."""
    handle = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise BadConfig(f"{directory} is in use by another namenode process") from None
    return DirectoryLock(handle)


def remove_other_states(directory: Path, current: str) -> None:
    """Delete states that were never switched to, or have been replaced."""
    for folder in directory.glob("state-*"):
        if folder.name != current:
            shutil.rmtree(folder)
