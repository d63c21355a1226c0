"""The registry service: datanodes register, send heartbeats and report what they hold; they get orders back."""

import threading
import time
from collections.abc import Iterable, Iterator

import grpc

from cairnfs.common.address import split_host_port
from cairnfs.common.channels import PROTOCOL_VERSION
from cairnfs.common.errors import BadConfig
from cairnfs.common.logs import EventLogger
from cairnfs.namenode.block_reports import Held, Known, ReportDifference, Unsettled, compare_report
from cairnfs.namenode.datanodes import DatanodeTable, Health
from cairnfs.namenode.node import Node
from cairnfs.namenode.proposals import Proposal
from cairnfs.namenode.state.commands import (
    AnyInternal,
    ConfirmDeletions,
    RegisterDatanode,
    UpdateReplicas,
    decode_node_registered,
    internal_item,
)
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.sessions import Outcome
from cairnfs.protos import datanode_pb2, datanode_pb2_grpc

PROPOSAL_TIMEOUT_S = 10.0
ORDERS_PER_HEARTBEAT = 256
ORDER_REPEAT_S = 15.0
CHANGES_PER_COMMAND = 2_000
REPLICAS_PAGE = 4_096

_log = EventLogger("registry")


class RegistryService(datanode_pb2_grpc.RegistryServicer):
    """One instance a process."""

    def __init__(self, node: Node, datanodes: DatanodeTable, *, cluster_id: str, members: dict[int, str]) -> None:
        self._node = node
        self._datanodes = datanodes
        self._cluster_id = cluster_id
        self._members = members

    # --- registration ----------------------------------------------------------------------------

    def Register(
        self, request: datanode_pb2.RegisterRequest, context: grpc.ServicerContext
    ) -> datanode_pb2.RegisterReply:
        """Give the datanode its number and the key of the block tokens."""
        reply = datanode_pb2.RegisterReply
        if request.protocol_version != PROTOCOL_VERSION:
            return reply(
                result=reply.WRONG_VERSION,
                message=f"the datanode speaks protocol {request.protocol_version}, this namenode {PROTOCOL_VERSION}",
            )
        if request.cluster_id != self._cluster_id:
            return reply(
                result=reply.WRONG_CLUSTER,
                message=f"this namenode belongs to cluster {self._cluster_id}, the datanode to {request.cluster_id}",
            )
        if not self._node.is_serving:
            return reply(result=reply.NOT_LEADER, leader=self._leader())
        try:
            split_host_port(request.address)
        except BadConfig as error:
            return reply(result=reply.UNAVAILABLE, message=f"the advertised address is unusable: {error}")
        outcome = self._commit(RegisterDatanode(request.uuid, request.address))
        settings = self._datanodes.settings
        if outcome is None or settings is None:
            return reply(result=reply.UNAVAILABLE, message="the leadership is changing", leader=self._leader())
        if outcome.errno:
            return reply(result=reply.UNAVAILABLE, message=outcome.message)
        node = decode_node_registered(outcome.body).node
        self._datanodes.hear(node, _health(request.uuid, request.address, request.volumes, 0))
        self._datanodes.want_report(node)
        _log.info("datanode_registered", node=node, uuid=request.uuid, address=request.address)
        return reply(
            result=reply.REGISTERED,
            node_id=node,
            token_key=settings.token_key,
            term=self._node.status.term,
            leader=self._leader(),
        )

    # --- heartbeats ------------------------------------------------------------------------------

    def Heartbeat(
        self, request: datanode_pb2.HeartbeatRequest, context: grpc.ServicerContext
    ) -> datanode_pb2.HeartbeatReply:
        """Note that the datanode is alive; the leader answers with orders."""
        is_leader = self._node.is_serving
        reply = datanode_pb2.HeartbeatReply(is_leader=is_leader, term=self._node.status.term, leader=self._leader())
        record = self._node.inspect(lambda state: state.datanode(request.node_id))
        if (
            request.cluster_id != self._cluster_id
            or record is None
            or (record.uuid, record.address) != (request.uuid, request.address)
        ):
            reply.register_first = True
            return reply
        health = _health(request.uuid, request.address, request.volumes, request.transfers)
        self._datanodes.hear(request.node_id, health)
        if is_leader:
            self._give_orders(request, reply)
        return reply

    def _give_orders(self, request: datanode_pb2.HeartbeatRequest, reply: datanode_pb2.HeartbeatReply) -> None:
        node = request.node_id
        if request.deleted:
            self._propose(ConfirmDeletions(node, [(one.block, one.generation) for one in request.deleted]))
        if self._datanodes.is_report_due(node):
            self._datanodes.note_asked(node, self._node.inspect(_unsettled))  # before it begins to look
            reply.report_blocks = True
        deletions = self._node.inspect(lambda state: state.deletions(node, ORDERS_PER_HEARTBEAT))
        for block, generation in self._datanodes.select_orders(node, deletions, repeat_after_s=ORDER_REPEAT_S):
            order = datanode_pb2.DeleteReplica(block=block, generation=generation)
            reply.orders.append(datanode_pb2.Order(delete=order))

    # --- block reports ---------------------------------------------------------------------------

    def ReportBlocks(
        self, request_iterator: Iterator[datanode_pb2.BlockReport], context: grpc.ServicerContext
    ) -> datanode_pb2.ReportReply:
        """Reconcile the block map with all that a datanode holds."""
        reply = datanode_pb2.ReportReply
        first = next(request_iterator, None)
        if first is None or first.cluster_id != self._cluster_id:
            return reply(accepted=False, message="a report begins with the cluster id")
        if not self._node.is_serving:
            return reply(accepted=False, message="this namenode does not lead")
        node = first.node_id
        unsettled = self._datanodes.asked(node)
        if unsettled is None:
            self._datanodes.want_report(node)
            return reply(accepted=False, message="the report was not asked for: it will be with the next heartbeat")
        parts = _chain(first, request_iterator)
        held = [Held(one.block, one.generation, one.length) for part in parts for one in part.held]
        known, blocks, next_block = self._node.inspect(lambda state: _look_up(state, node, held))
        strange = [one.block for one in held if one.block >= next_block]
        if strange:
            _log.error("report_of_unknown_blocks", node=node, blocks=len(strange), first=strange[0])
            return reply(accepted=False, message=f"block {strange[0]} has never been allocated in this cluster")
        difference = compare_report(known, held, blocks, unsettled)
        if not self._settle(node, difference):
            return reply(accepted=False, message="the leadership is changing")
        self._datanodes.note_report(node)
        _log.info(
            "blocks_reported",
            node=node,
            held=len(held),
            added=len(difference.added),
            removed=len(difference.removed),
            garbage=len(difference.garbage),
        )
        return reply(accepted=True)

    def _settle(self, node: int, difference: ReportDifference) -> bool:
        # A copy that the block map has no use for is named like one it has: the state orders its deletion.
        added = [(held.block, held.generation, held.length) for held in difference.added + difference.garbage]
        for start in range(0, max(len(added), len(difference.removed)), CHANGES_PER_COMMAND):
            part = slice(start, start + CHANGES_PER_COMMAND)
            if self._commit(UpdateReplicas(node, added[part], difference.removed[part])) is None:
                return False
        return True

    # --- common ----------------------------------------------------------------------------------

    def _leader(self) -> str:
        return self._members.get(self._node.status.leader_id, "")

    def _propose(self, command: AnyInternal) -> None:
        self._node.propose([Proposal(internal_item(command))])

    def _commit(self, command: AnyInternal) -> Outcome | None:
        """The outcome of a command; None where it is not known, for the leadership changed."""
        done = threading.Event()
        outcomes: list[Outcome | None] = [None]

        def on_outcome(outcome: Outcome | None) -> None:
            outcomes[0] = outcome
            done.set()

        self._node.propose([Proposal(internal_item(command), on_outcome)])
        done.wait(PROPOSAL_TIMEOUT_S)
        return outcomes[0]


def _unsettled(state: StateMachine) -> Unsettled:
    return Unsettled(state.open_blocks(), state.next_block())


def _look_up(state: StateMachine, node: int, held: list[Held]) -> tuple[list[Known], dict[int, tuple[int, int]], int]:
    """What the block map has of a node, of the blocks that it reports, and the number of the next block."""
    known: list[Known] = []
    after = 0
    while page := state.replicas_on(node, after, REPLICAS_PAGE):
        known.extend(Known(*row) for row in page)
        after = page[-1][0]
    records = ((one.block, state.block(one.block)) for one in held)
    blocks = {block: (record.generation, record.length) for block, record in records if record is not None}
    return known, blocks, state.next_block()


def _chain(
    first: datanode_pb2.BlockReport, rest: Iterator[datanode_pb2.BlockReport]
) -> Iterator[datanode_pb2.BlockReport]:
    yield first
    yield from rest


def _health(uuid: str, address: str, volumes: Iterable[datanode_pb2.Volume], transfers: int) -> Health:
    working = [volume for volume in volumes if not volume.failed]
    return Health(
        uuid=uuid,
        address=address,
        capacity_bytes=sum(volume.capacity_bytes for volume in working),
        free_bytes=sum(volume.free_bytes for volume in working),
        blocks=sum(volume.blocks for volume in working),
        transfers=transfers,
        heard_at_s=time.monotonic(),
    )
