"""The configuration of one namenode process."""

from pathlib import Path

import msgspec

from cairnfs.common.address import split_host_port
from cairnfs.common.errors import BadConfig

MEMBERS_MAX = 7
LOG_LEVELS = ("debug", "info", "warning", "error")


class Defaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a new cluster starts with; a cluster that exists keeps what it was made with."""

    replication: int = 3
    min_replicas: int = 2
    inline_max_bytes: int = 32 * 1024

    def __post_init__(self) -> None:
        if not 1 <= self.replication <= 15:
            raise ValueError("replication must be from 1 to 15")
        if not 1 <= self.min_replicas <= self.replication:
            raise ValueError("min_replicas must be from 1 to replication")
        if not 0 <= self.inline_max_bytes <= 256 * 1024:
            raise ValueError("inline_max_bytes must be from 0 to 262144")


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds. An election starts after one to two election timeouts without a leader."""

    tick_s: float = 0.05
    heartbeat_s: float = 0.1
    election_timeout_s: float = 1.0
    session_lease_s: float = 60.0
    datanode_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0.001 <= self.tick_s <= self.heartbeat_s:
            raise ValueError("tick_s must be at least 0.001 and at most heartbeat_s")
        if self.election_timeout_s < 4 * self.heartbeat_s:
            raise ValueError("election_timeout_s must be at least four times heartbeat_s")
        if self.session_lease_s < 2 * self.election_timeout_s:
            raise ValueError("session_lease_s must be at least twice election_timeout_s")
        if self.datanode_timeout_s < 2:
            raise ValueError("datanode_timeout_s must be at least 2: datanodes send a heartbeat each second")


class NamenodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`members` maps each node id to the host:port where the others, clients and datanodes reach it."""

    cluster_id: str
    node_id: int
    directory: str
    listen: str
    members: dict[int, str]
    map_size_bytes: int = 1 << 40
    log_retained_entries: int = 10_000
    log_retained_bytes: int = 64 << 20
    sessions_max: int = 200
    log_level: str = "info"
    defaults: Defaults = msgspec.field(default_factory=Defaults)
    timing: Timing = msgspec.field(default_factory=Timing)

    def __post_init__(self) -> None:
        if not self.cluster_id:
            raise ValueError("cluster_id must not be empty")
        if self.node_id not in self.members:
            raise ValueError(f"members must name this node's own id, {self.node_id}")
        if not 1 <= len(self.members) <= MEMBERS_MAX or min(self.members) < 1:
            raise ValueError(f"members must be 1 to {MEMBERS_MAX} nodes with ids from 1")
        if len(set(self.members.values())) != len(self.members):
            raise ValueError("two members have the same address")
        for address in (self.listen, *self.members.values()):
            try:
                split_host_port(address)
            except BadConfig as error:
                raise ValueError(str(error)) from None
        if not Path(self.directory).is_absolute():
            raise ValueError("directory must be an absolute path")
        if self.map_size_bytes < 1 << 26:
            raise ValueError("map_size_bytes must be at least 64 MiB")
        if self.log_retained_entries < 100 or self.log_retained_bytes < 1 << 20:
            raise ValueError("log_retained_entries must be at least 100, log_retained_bytes at least 1 MiB")
        if self.log_level not in LOG_LEVELS:
            raise ValueError(f"log_level must be one of {', '.join(LOG_LEVELS)}")
