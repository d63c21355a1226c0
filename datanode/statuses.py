"""Errors as statuses of the transfer protocol."""

from cairnfs.common.errors import CorruptData, NoSpace, ProtocolError, WrongCluster
from cairnfs.datanode.errors import BadRange, ReplicaMissing, StaleGeneration
from cairnfs.protos import transfer_pb2 as pb

_STATUSES: tuple[tuple[type[Exception], pb.Status], ...] = (
    (StaleGeneration, pb.STALE_GENERATION),
    (ReplicaMissing, pb.NOT_FOUND),
    (BadRange, pb.BAD_REQUEST),
    (ProtocolError, pb.BAD_REQUEST),
    (NoSpace, pb.NO_SPACE),
    (CorruptData, pb.CORRUPT),
    (WrongCluster, pb.WRONG_CLUSTER),
    (OSError, pb.IO_ERROR),
)


class RequestRefused(Exception):
    """A request that is answered with a status."""

    def __init__(self, status: pb.Status, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: Exception) -> pb.Status:
    """The status that tells of `error`."""
    if isinstance(error, RequestRefused):
        return error.status
    return next(status for kind, status in _STATUSES if isinstance(error, kind))
