"""What this datanode and its namenodes have told each other: node id, terms, orders, confirmations.

Owns the rules, and no connection: namenode_link.py carries requests and replies. The rules:

- Only the leader registers a datanode; whoever answers as leader may say that it must be done (again).
- Orders count only from a namenode that leads in the highest term that any namenode has named.
- A deletion is confirmed with every heartbeat until one has been answered by such a leader.
- A full report is owed at the start, when a leader asks, and when a volume has failed.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from cairnfs.common.channels import PROTOCOL_VERSION
from cairnfs.common.errors import BadConfig
from cairnfs.common.logs import EventLogger
from cairnfs.datanode.access import AccessGuard
from cairnfs.datanode.volumes import Volumes
from cairnfs.protos import datanode_pb2 as pb

_CONFIRMATIONS_PER_HEARTBEAT = 1000
_REPLICAS_PER_PART = 4096

log = EventLogger("registration")


class Registration:
    """Thread-safe; shared by the links to all namenodes."""

    def __init__(
        self, cluster_id: str, address: str, volumes: Volumes, guard: AccessGuard, count_transfers: Callable[[], int]
    ) -> None:
        self._cluster_id = cluster_id
        self._address = address
        self._volumes = volumes
        self._guard = guard
        self._count_transfers = count_transfers
        self._lock = threading.Lock()
        self._node_id = 0
        self._must_register = True
        self._highest_term = 0
        self._owes_report = True
        self._failed_volumes: frozenset[str] = frozenset()
        self._deleted: dict[tuple[int, int], None] = {}

    @property
    def must_register(self) -> bool:
        """Whether heartbeats make no sense before a (new) registration."""
        with self._lock:
            return self._must_register

    def register_request(self) -> pb.RegisterRequest:
        """Who this datanode is."""
        return pb.RegisterRequest(
            protocol_version=PROTOCOL_VERSION,
            cluster_id=self._cluster_id,
            uuid=self._volumes.datanode_uuid,
            address=self._address,
            volumes=self._usages(),
        )

    def take_register_reply(self, reply: pb.RegisterReply) -> None:
        """Note what a namenode answered. BadConfig where this datanode can never belong to it."""
        if reply.result in (pb.RegisterReply.WRONG_CLUSTER, pb.RegisterReply.WRONG_VERSION):
            raise BadConfig(f"the namenode refuses this datanode for good: {reply.message}")
        if reply.result != pb.RegisterReply.REGISTERED:
            return
        with self._lock:
            if reply.term < self._highest_term:
                return
            self._highest_term = reply.term
            self._node_id = reply.node_id
            self._must_register = False
        self._guard.set_token_key(reply.token_key)
        log.info("registered", node=reply.node_id, term=reply.term, leader=reply.leader)

    def heartbeat(self) -> pb.HeartbeatRequest:
        """The sign of life, with what there is to tell."""
        usages = self._usages()
        failed = frozenset(usage.uuid for usage in usages if usage.failed)
        with self._lock:
            self._owes_report |= failed != self._failed_volumes
            self._failed_volumes = failed
            confirmed = list(self._deleted)[:_CONFIRMATIONS_PER_HEARTBEAT]
            return pb.HeartbeatRequest(
                cluster_id=self._cluster_id,
                node_id=self._node_id,
                uuid=self._volumes.datanode_uuid,
                address=self._address,
                volumes=usages,
                transfers=self._count_transfers(),
                deleted=[pb.Deleted(block=block, generation=generation) for block, generation in confirmed],
            )

    def take_heartbeat_reply(self, request: pb.HeartbeatRequest, reply: pb.HeartbeatReply) -> bool:
        """Note what a namenode answered and carry out its orders; whether it is owed a full report."""
        with self._lock:
            is_deposed = reply.term < self._highest_term
            self._highest_term = max(self._highest_term, reply.term)
            if not reply.is_leader or is_deposed:
                return False
            if reply.register_first:
                self._must_register = True
                return False
            for deleted in request.deleted:
                self._deleted.pop((deleted.block, deleted.generation), None)
            owes_report, self._owes_report = self._owes_report or reply.report_blocks, False
        for order in reply.orders:
            if order.WhichOneof("kind") == "delete":
                self._delete(order.delete.block, order.delete.generation)
            else:
                log.warning("order_unknown", order=order)
        return owes_report

    def report(self) -> Iterator[pb.BlockReport]:
        """All replicas, in the order of blocks, in parts."""
        with self._lock:
            node_id = self._node_id
        part = pb.BlockReport(cluster_id=self._cluster_id, node_id=node_id)
        for block, replica in self._volumes.replicas():
            part.held.append(pb.Held(block=block, generation=replica.generation, length=replica.length))
            if len(part.held) == _REPLICAS_PER_PART:
                yield part
                part = pb.BlockReport()
        yield part

    def take_report_reply(self, reply: pb.ReportReply | None) -> None:
        """Note whether the report was taken in; None where it did not get there."""
        if reply is None or not reply.accepted:
            log.warning("report_not_accepted", message=reply.message if reply else "the namenode did not answer")
            with self._lock:
                self._owes_report = True

    def _delete(self, block: int, generation: int) -> None:
        def confirm(done: Future[bool]) -> None:
            error = done.exception()
            if error is not None:
                log.warning("deletion_failed", block=block, error=error)  # the leader will order it again
                return
            if done.result():
                log.info("replica_deleted", block=block, generation=generation)
            with self._lock:
                self._deleted[block, generation] = None

        self._volumes.delete(block, generation).add_done_callback(confirm)

    def _usages(self) -> list[pb.Volume]:
        return [
            pb.Volume(
                uuid=usage.uuid,
                capacity_bytes=usage.capacity_bytes,
                free_bytes=usage.free_bytes,
                blocks=usage.blocks,
                failed=usage.is_failed,
            )
            for usage in self._volumes.usages()
        ]
