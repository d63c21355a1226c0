"""What operators and tests ask a namenode, whatever its role: status and digest (protos/admin.proto)."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc

from cairnfs.common.channels import open_channel
from cairnfs.common.errors import ClusterUnavailable
from cairnfs.protos import admin_pb2, admin_pb2_grpc

if TYPE_CHECKING:
    from cairnfs.protos.admin_pb2 import DigestReply, StatusReply

STATUS_TIMEOUT_S = 2.0


class Admin:
    """Connections to namenodes, by `host:port`, kept until close()."""

    def __init__(self) -> None:
        self._channels: dict[str, grpc.Channel] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    def status(self, address: str, *, timeout_s: float = STATUS_TIMEOUT_S) -> "StatusReply":
        """What the namenode at `address` knows of itself; ClusterUnavailable where it does not answer."""
        try:
            reply: StatusReply = self._stub(address).Status(admin_pb2.StatusRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            raise _unavailable(address, error) from None
        return reply

    def digest(self, address: str, *, at_index: int = 0, timeout_s: float = 30.0) -> "DigestReply":
        """The digest of the namenode's state once it has applied `at_index`; ClusterUnavailable as in status()."""
        request = admin_pb2.DigestRequest(at_index=at_index, timeout_ms=int(timeout_s * 1000))
        try:
            reply: DigestReply = self._stub(address).Digest(request, timeout=timeout_s + STATUS_TIMEOUT_S)
        except grpc.RpcError as error:
            raise _unavailable(address, error) from None
        return reply

    def _stub(self, address: str) -> admin_pb2_grpc.AdminStub:
        if address not in self._channels:
            self._channels[address] = open_channel(address)
        return admin_pb2_grpc.AdminStub(self._channels[address])


def _unavailable(address: str, error: grpc.RpcError) -> ClusterUnavailable:
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return ClusterUnavailable(f"the namenode at {address} does not answer: is it running?")
    return ClusterUnavailable(f"the namenode at {address} does not answer: {error.details()}")
