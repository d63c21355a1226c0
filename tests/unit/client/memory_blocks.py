"""Datanodes that live in memory, and fail when they are told to; they pass the contract of the real ones."""

import threading
from collections.abc import Callable, Iterator

from cairnfs.client.block_reader import ReplicaFailed
from cairnfs.client.block_writer import PipelineFailed
from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.operations import LocatedBlock, Replica
from cairnfs.common.transfer import Bytes
from cairnfs.protos import transfer_pb2 as pb


class MemoryNode:
    """One datanode: its copies, and what is wrong with it."""

    def __init__(self) -> None:
        self.copies: dict[int, tuple[int, bytearray]] = {}
        self.is_dead = False
        self.is_full = False
        self.pieces_left: int | None = None  # after so many more pieces it dies
        self.corrupt: set[int] = set()
        self.reads = 0

    def status(self) -> pb.Status:
        """What it answers to the next piece."""
        if self.pieces_left == 0:
            self.is_dead = True
        if self.is_dead:
            return pb.DOWNSTREAM_FAILED
        return pb.NO_SPACE if self.is_full else pb.OK


class MemoryBlocks:
    """The nodes 1 to `count`. A writer acknowledges all but its last `lag` pieces, and those when it is flushed."""

    def __init__(self, count: int = 3, *, lag: int = 2) -> None:
        self.nodes = {number: MemoryNode() for number in range(1, count + 1)}
        self.lag = lag
        self.lock = threading.Lock()
        self.writers: list[MemoryWriter] = []

    def revive(self) -> None:
        """All nodes are up again, with what they had synced."""
        for node in self.nodes.values():
            node.is_dead = False
            node.pieces_left = None

    def open_writer(self, located: LocatedBlock, offset: int, on_acked: Callable[[Bytes], None]) -> "MemoryWriter":
        """See block_access.Blocks."""
        writer = MemoryWriter(self, located, offset, on_acked)
        self.writers.append(writer)
        return writer

    def read_into(self, located: LocatedBlock, replica: Replica, offset: int, into: memoryview) -> None:
        """See block_access.Blocks."""
        node = self.nodes[replica.node]
        with self.lock:
            node.reads += 1
            if node.is_dead:
                raise ReplicaFailed("dead", replica.node, pb.IO_ERROR)
            if located.block not in node.copies:
                raise ReplicaFailed("not here", replica.node, pb.NOT_FOUND)
            if located.block in node.corrupt:
                raise ReplicaFailed("rotten", replica.node, pb.CORRUPT)
            data = node.copies[located.block][1][offset : offset + len(into)]
            if len(data) < len(into):
                raise ReplicaFailed("too short", replica.node, pb.BAD_REQUEST)
            into[:] = data

    def stream(self, located: LocatedBlock, replica: Replica, offset: int, length: int) -> Iterator[memoryview]:
        """See block_access.Blocks."""
        for at in range(offset, offset + length, PIECE_BYTES_MAX):
            piece = memoryview(bytearray(min(PIECE_BYTES_MAX, offset + length - at)))
            self.read_into(located, replica, at, piece)
            yield piece

    def close(self) -> None:
        """See block_access.Blocks."""


class MemoryWriter:
    """A chain of memory nodes."""

    def __init__(
        self, blocks: MemoryBlocks, located: LocatedBlock, offset: int, on_acked: Callable[[Bytes], None]
    ) -> None:
        self.located = located
        self.is_closed = False
        self._blocks = blocks
        self._on_acked = on_acked
        self._pending: list[tuple[int, Bytes]] = []
        self._sent = offset
        self._acked = offset
        with blocks.lock:
            self._check()
            for node in self._members():
                generation, data = node.copies.get(located.block, (0, bytearray()))
                assert generation <= located.generation
                assert len(data) >= offset
                del data[offset:]
                node.copies[located.block] = (located.generation, data)

    @property
    def acked_offset(self) -> int:
        """See block_access.Writer."""
        return self._acked

    def send(self, piece: Bytes) -> None:
        """See block_access.Writer."""
        assert not self.is_closed
        assert 0 < len(piece) <= PIECE_BYTES_MAX
        with self._blocks.lock:
            self._pending.append((self._sent, piece))
            self._sent += len(piece)
            self._check()
            for node in self._members():
                if node.pieces_left is not None:
                    node.pieces_left -= 1
            self._acknowledge(self._blocks.lag)

    def unacked(self) -> list[tuple[int, Bytes]]:
        """See block_access.Writer."""
        return list(self._pending)

    def flush(self, timeout_s: float | None = None) -> int:
        """See block_access.Writer."""
        with self._blocks.lock:
            if self._pending:
                self._check()
            self._acknowledge(0)
        return self._acked

    def close(self) -> None:
        """See block_access.Writer."""
        self.is_closed = True

    def _members(self) -> list[MemoryNode]:
        return [self._blocks.nodes[replica.node] for replica in self.located.replicas]

    def _check(self) -> None:
        found = [(replica.node, self._blocks.nodes[replica.node].status()) for replica in self.located.replicas]
        failed = [(node, status) for node, status in found if status != pb.OK]
        if failed:
            raise PipelineFailed("a test wants it", tuple(node for node, _ in failed), tuple(s for _, s in failed))

    def _acknowledge(self, lag: int) -> None:
        while len(self._pending) > lag:
            offset, piece = self._pending.pop(0)
            for node in self._members():
                _, data = node.copies[self.located.block]
                assert len(data) == offset, "pieces lie end to end"
                data += piece
            self._acked = offset + len(piece)
            self._on_acked(piece)
