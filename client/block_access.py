"""The seam between the library and the datanodes: writing one block, reading one replica.

`TransferBlocks` is the real one, over TCP; tests hand in blocks that live in memory.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from cairnfs.client.block_reader import BlockReader
from cairnfs.client.block_writer import BlockWriter
from cairnfs.common.operations import LocatedBlock, Replica
from cairnfs.common.transfer import Bytes

WRITE_TIMEOUT_S = 20.0
READ_TIMEOUT_S = 10.0
READ_BUFFERS = 2


class Writer(Protocol):
    """A block being appended to; block_writer.BlockWriter documents it."""

    @property
    def acked_offset(self) -> int:
        """Everything below this is synced on every replica."""

    def send(self, piece: Bytes) -> None:
        """Append a piece, which must not change until it is acknowledged; PipelineFailed."""

    def unacked(self) -> list[tuple[int, Bytes]]:
        """(offset, piece) of what was sent and is not acknowledged."""

    def flush(self, timeout_s: float | None = None) -> int:
        """Wait until all that was sent is acknowledged; PipelineFailed, TimeoutError."""

    def close(self) -> None:
        """End the stream."""


class Blocks(Protocol):
    """Where blocks are written to and read from. Safe for many threads."""

    def open_writer(self, located: LocatedBlock, offset: int, on_acked: Callable[[Bytes], None]) -> Writer:
        """Begin to append at `offset` on all replicas; PipelineFailed."""

    def read_into(self, located: LocatedBlock, replica: Replica, offset: int, into: memoryview) -> None:
        """Fill `into` from one replica; ReplicaFailed."""

    def stream(self, located: LocatedBlock, replica: Replica, offset: int, length: int) -> Iterator[memoryview]:
        """The bytes of a range, piece by piece, each valid until the next is asked for; ReplicaFailed."""

    def close(self) -> None:
        """Close what is idle."""


class TransferBlocks:
    """Blocks on the datanodes of one cluster."""

    def __init__(self, cluster_id: str) -> None:
        self._cluster_id = cluster_id
        self._reader = BlockReader(cluster_id, timeout_s=READ_TIMEOUT_S)

    def open_writer(self, located: LocatedBlock, offset: int, on_acked: Callable[[Bytes], None]) -> Writer:
        """See Blocks."""
        return BlockWriter(located, self._cluster_id, offset=offset, timeout_s=WRITE_TIMEOUT_S, on_acked=on_acked)

    def read_into(self, located: LocatedBlock, replica: Replica, offset: int, into: memoryview) -> None:
        """See Blocks."""
        self._reader.read_into(located, replica, offset, into)

    def stream(self, located: LocatedBlock, replica: Replica, offset: int, length: int) -> Iterator[memoryview]:
        """See Blocks."""
        return self._reader.stream(located, replica, offset, length, buffers=READ_BUFFERS)

    def close(self) -> None:
        """See Blocks."""
        self._reader.close()
