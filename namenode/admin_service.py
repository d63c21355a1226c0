"""The admin service: what operators and tests ask one namenode."""

import threading
import time
from concurrent.futures import Future

import grpc

from cairnfs.namenode.datanodes import DatanodeTable
from cairnfs.namenode.node import Node
from cairnfs.namenode.state.moment import Moment
from cairnfs.protos import admin_pb2, admin_pb2_grpc

TRANSFER_TIMEOUT_S = 5.0


class AdminService(admin_pb2_grpc.AdminServicer):
    """One instance a process."""

    def __init__(
        self,
        node: Node,
        datanodes: DatanodeTable,
        *,
        cluster_id: str,
        members: dict[int, str],
    ) -> None:
        self._node = node
        self._datanodes = datanodes
        self._cluster_id = cluster_id
        self._members = members

    def Status(self, request: admin_pb2.StatusRequest, context: grpc.ServicerContext) -> admin_pb2.StatusReply:
        """This namenode's view of itself, its group and the datanodes."""
        status = self._node.status
        first, last = self._node.log_range
        statistics, datanodes, settings = self._node.inspect(
            lambda state: (state.statistics(), state.datanodes(), state.cluster())
        )
        return admin_pb2.StatusReply(
            cluster_id=self._cluster_id,
            node_id=status.node_id,
            role=status.role.value,
            term=status.term,
            leader_id=status.leader_id,
            leader=self._members.get(status.leader_id, ""),
            commit_index=status.commit,
            applied_index=self._node.applied_index,
            first_log_index=first,
            last_log_index=last,
            inodes=statistics.inodes,
            blocks=statistics.blocks,
            sessions=statistics.sessions,
            serving=self._node.is_serving and settings is not None,
            datanodes=self._datanode_statuses(datanodes),
            members=self._member_statuses(),
        )

    def _datanode_statuses(self, datanodes: list[tuple[int, str, str]]) -> list[admin_pb2.DatanodeStatus]:
        now_s = time.monotonic()
        healths = self._datanodes.snapshot()
        statuses = []
        for node, uuid, address in datanodes:
            health = healths.get(node)
            status = admin_pb2.DatanodeStatus(node_id=node, uuid=uuid, address=address)
            if health is not None:
                status.alive = self._datanodes.is_alive(health)
                status.capacity_bytes = health.capacity_bytes
                status.free_bytes = health.free_bytes
                status.blocks = health.blocks
                status.heartbeat_age_ms = int((now_s - health.heard_at_s) * 1000)
            statuses.append(status)
        return statuses

    def _member_statuses(self) -> list[admin_pb2.MemberStatus]:
        peers = self._node.status.peers
        statuses = []
        for node, address in sorted(self._members.items()):
            peer = peers.get(node)
            statuses.append(
                admin_pb2.MemberStatus(
                    node_id=node,
                    address=address,
                    match_index=peer.match if peer else 0,
                    is_active=peer.is_active if peer else node == self._node.node_id,
                )
            )
        return statuses

    def Digest(self, request: admin_pb2.DigestRequest, context: grpc.ServicerContext) -> admin_pb2.DigestReply:
        """The digest of the state machine, once it has applied `at_index`."""
        moments: Future[Moment] = Future()
        self._node.read(lambda state: moments.set_result(state.moment()), index=request.at_index)
        try:
            with moments.result(request.timeout_ms / 1000) as moment:
                return admin_pb2.DigestReply(applied_index=moment.index, digest=moment.digest())
        except TimeoutError:
            moments.add_done_callback(lambda late: late.result().close())
            context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"index {request.at_index} is not applied, only {self._node.applied_index}",
            )

    def TransferLeadership(
        self, request: admin_pb2.TransferRequest, context: grpc.ServicerContext
    ) -> admin_pb2.TransferReply:
        """Hand the lead to another member."""
        answered = threading.Event()
        answers: list[str] = ["the namenode did not answer in time"]

        def on_answer(error: str) -> None:
            answers[0] = error
            answered.set()

        self._node.transfer_leadership(request.to, on_answer)
        answered.wait(TRANSFER_TIMEOUT_S)
        return admin_pb2.TransferReply(error=answers[0])
