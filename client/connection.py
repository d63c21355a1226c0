"""`connect`, and nothing that is slow to import before it is called."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem


def connect(
    address: str,
    *,
    uid: int | None = None,
    gid: int | None = None,
    groups: tuple[int, ...] | None = None,
    umask: int | None = None,
    connect_timeout_s: float = 10.0,
    operation_timeout_s: float = 30.0,
    datanode_timeout_s: float = 20.0,
    read_level: str = "session",
    max_staleness_s: float = 0.0,
    client_name: str = "",
) -> "FileSystem":
    """The file system of the cluster at `cairn://host:port,host:port[?cluster=ID]` (any of its namenodes will do).

    Operations run as `uid`, `gid` and `groups`, files are made with `umask`: those of this process if not told, as they
    are now. `connect_timeout_s` and `operation_timeout_s` bound how long a leader is looked for and an
    answer waited for (ClusterUnavailable), `datanode_timeout_s` how long datanodes are tried
    (NotEnoughDatanodes, ReplicaUnavailable). `read_level` is how fresh stat and listings are: "session"
    (own writes, never backwards), "linearizable", "bounded" (at most `max_staleness_s` old) or "eventual";
    the leader answers all of them for now, so the last two are as fresh as the first.
    BadConfig for an address or level that is none; WrongCluster, ProtocolError, ClusterUnavailable.
    """
    from cairnfs.client.block_access import TransferBlocks
    from cairnfs.client.caller import Caller
    from cairnfs.client.calls import Level
    from cairnfs.client.filesystem import FileSystem
    from cairnfs.client.services import Services
    from cairnfs.client.session import Session
    from cairnfs.common.address import ClusterAddress
    from cairnfs.common.errors import BadConfig
    from cairnfs.common.operations import Credentials

    levels = {level.name.lower(): level for level in Level}
    if read_level not in levels:
        raise BadConfig(f"read_level {read_level!r} is none of {', '.join(levels)}")
    credentials = Credentials(
        os.geteuid() if uid is None else uid,
        os.getegid() if gid is None else gid,
        tuple(os.getgroups()) if groups is None else groups,
    )
    session = Session(
        ClusterAddress.parse(address),
        connect_timeout_s=connect_timeout_s,
        operation_timeout_s=operation_timeout_s,
        client_name=client_name,
    ).open()
    caller = Caller(session, credentials, level=levels[read_level], max_staleness_ms=round(max_staleness_s * 1000))
    services = Services(caller, TransferBlocks(session.cluster_id), datanode_timeout_s=datanode_timeout_s)
    return FileSystem(services, umask=_process_umask() if umask is None else umask)


def _process_umask() -> int:
    """The umask, which can be read only by setting it: for a moment to what keeps everybody out."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
