"""A namenode's registry service, as datanodes see it, with a role that tests set."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from cairnfs.protos import datanode_pb2 as pb
from cairnfs.protos import datanode_pb2_grpc


class FakeRegistry(datanode_pb2_grpc.RegistryServicer):
    """Serves on a free port until closed; `wait` waits for what the datanode does."""

    def __init__(self, key: bytes, *, port: int = 0, cluster_id: str = "registry") -> None:
        self._key = key
        self._cluster_id = cluster_id
        self._condition = threading.Condition()
        self.is_leader = False
        self.term = 1
        self.knows_node = True
        self.wants_report = False
        self.orders: list[pb.Order] = []
        self.registrations: list[pb.RegisterRequest] = []
        self.heartbeats: list[pb.HeartbeatRequest] = []
        self.reports: list[list[pb.BlockReport]] = []
        self._server = grpc.server(ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
        datanode_pb2_grpc.add_RegistryServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{self.port}"
        self._server.start()

    def close(self) -> None:
        self._server.stop(None).wait()

    def become(self, *, is_leader: bool, term: int) -> None:
        with self._condition:
            self.is_leader, self.term = is_leader, term

    def order(self, block: int, generation: int) -> None:
        with self._condition:
            self.orders.append(pb.Order(delete=pb.DeleteReplica(block=block, generation=generation)))

    def wait(self, is_reached: Callable[["FakeRegistry"], object], timeout_s: float = 10.0) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: is_reached(self), timeout_s)

    def wait_for_heartbeats(self, count: int) -> None:
        """Wait for this many heartbeats from now on."""
        goal = len(self.heartbeats) + count
        self.wait(lambda registry: len(registry.heartbeats) >= goal)

    def confirmed(self) -> list[tuple[int, int]]:
        return [(one.block, one.generation) for beat in self.heartbeats for one in beat.deleted]

    def Register(self, request: pb.RegisterRequest, _context: grpc.ServicerContext) -> pb.RegisterReply:
        with self._condition:
            self.registrations.append(request)
            self._condition.notify_all()
            if request.cluster_id != self._cluster_id:
                message = f"this namenode belongs to cluster {self._cluster_id}"
                return pb.RegisterReply(result=pb.RegisterReply.WRONG_CLUSTER, message=message)
            if not self.is_leader:
                return pb.RegisterReply(result=pb.RegisterReply.NOT_LEADER)
            self.knows_node = True
            return pb.RegisterReply(node_id=7, token_key=self._key, term=self.term, leader=self.address)

    def Heartbeat(self, request: pb.HeartbeatRequest, _context: grpc.ServicerContext) -> pb.HeartbeatReply:
        with self._condition:
            self.heartbeats.append(request)
            self._condition.notify_all()
            reply = pb.HeartbeatReply(is_leader=self.is_leader, term=self.term, register_first=not self.knows_node)
            if self.knows_node:
                reply.report_blocks = self.wants_report
                reply.orders.extend(self.orders)
                self.orders.clear()
            return reply

    def ReportBlocks(
        self, request_iterator: Iterator[pb.BlockReport], _context: grpc.ServicerContext
    ) -> pb.ReportReply:
        parts = list(request_iterator)
        with self._condition:
            self.wants_report = False
            self.reports.append(parts)
            self._condition.notify_all()
        return pb.ReportReply(accepted=True)
