"""Reading blocks: verified bytes of one replica, straight into the caller's memory.

Owns the connections to datanodes (kept and used again) and the check of every byte's checksum.
Knows nothing of the namenode, and does not choose the replica: ReplicaFailed tells that another must be tried.
"""

import threading
import time
from collections import deque
from collections.abc import Generator

from cairnfs.common.blocks import CHECKSUM_RUN_BYTES, PIECE_BYTES_MAX
from cairnfs.common.errors import CairnError
from cairnfs.common.operations import LocatedBlock, Replica
from cairnfs.common.transfer import PROTOCOL_VERSION, Wire, checksums, checksums_bytes
from cairnfs.protos import transfer_pb2 as pb

_IDLE_PER_ADDRESS = 8
_IDLE_S = 60.0


class ReplicaFailed(CairnError):
    """One replica cannot be read; `is_corrupt` where its bytes fail their checksum (nothing of them was handed out)."""

    def __init__(self, message: str, node: int, status: pb.Status) -> None:
        super().__init__(message)
        self.node = node
        self.status = status

    @property
    def is_corrupt(self) -> bool:
        """Whether the replica is there, but its bytes are not what was written."""
        return self.status == pb.CORRUPT


class BlockReader:
    """Reads replicas, over connections that are kept for the next read. May be used from any number of threads."""

    def __init__(self, cluster_id: str, *, timeout_s: float = 30.0) -> None:
        """`timeout_s` is how long a datanode may keep silent within a read."""
        self._cluster_id = cluster_id
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._idle: dict[str, deque[tuple[float, Wire]]] = {}
        self._is_closed = False

    def read_into(self, located: LocatedBlock, replica: Replica, offset: int, into: memoryview) -> None:
        """Fill `into` with the block's bytes from `offset` on, as `replica` has them. ReplicaFailed.

        Nothing that is in `into` counts unless this returns.
        """
        with _Read(self, located, replica, offset, len(into)) as read:
            scratch: bytearray | None = None
            while read.has_more():
                start, length = read.next_packet()
                at = start - offset
                if at >= 0 and at + length <= len(into):
                    read.receive_into(into[at : at + length])
                    continue
                scratch = scratch or bytearray(PIECE_BYTES_MAX)
                body = memoryview(scratch)[:length]
                read.receive_into(body)
                first, last = max(at, 0), min(at + length, len(into))
                into[first:last] = body[first - at : last - at]

    def stream(
        self, located: LocatedBlock, replica: Replica, offset: int, length: int, *, buffers: int = 2
    ) -> Generator[memoryview, None, None]:
        """The block's bytes from `offset` on, piece by piece, verified. ReplicaFailed.

        A piece is valid until `buffers` - 1 more have been asked for. Close the iterator if it is not used up.
        """
        ring = [bytearray(PIECE_BYTES_MAX) for _ in range(buffers)]
        with _Read(self, located, replica, offset, length) as read:
            turn = 0
            while read.has_more():
                start, packet_length = read.next_packet()
                body = memoryview(ring[turn % buffers])[:packet_length]
                turn += 1
                read.receive_into(body)
                yield body[max(offset - start, 0) : min(offset + length - start, packet_length)]

    def close(self) -> None:
        """Close the idle connections; a read under way closes its own."""
        with self._lock:
            self._is_closed = True
            wires = [wire for idle in self._idle.values() for _, wire in idle]
            self._idle.clear()
        for wire in wires:
            wire.close()

    def request(self, located: LocatedBlock, offset: int, length: int) -> pb.Request:
        """The request for a range of a block."""
        request = pb.Request(protocol_version=PROTOCOL_VERSION, cluster_id=self._cluster_id)
        request.read.block = located.block
        request.read.generation = located.generation
        request.read.offset = offset
        request.read.length = length
        request.read.token = located.token
        return request

    def take(self, address: str) -> tuple[Wire, bool]:
        """A connection to a datanode, and whether it is fresh."""
        now = time.monotonic()
        while True:
            with self._lock:
                idle = self._idle.get(address)
                since, wire = idle.pop() if idle else (0.0, None)
            if wire is None:
                return Wire.connect(address, self._timeout_s, connect_timeout_s=self._timeout_s / 2), True
            if now - since < _IDLE_S and not wire.is_stale():
                return wire, False
            wire.close()

    def give_back(self, address: str, wire: Wire) -> None:
        """Keep a connection on which nothing is under way."""
        with self._lock:
            idle = self._idle.setdefault(address, deque())
            if not self._is_closed:
                idle.append((time.monotonic(), wire))
                surplus = idle.popleft()[1] if len(idle) > _IDLE_PER_ADDRESS else None
            else:
                surplus = wire
        if surplus is not None:
            surplus.close()


class _Read:
    """One read under way: the request is sent on entry, the connection given back or closed on exit."""

    def __init__(self, reader: BlockReader, located: LocatedBlock, replica: Replica, offset: int, length: int) -> None:
        self._reader = reader
        self._located = located
        self._replica = replica
        self._next_offset = offset
        self._end = offset + length
        self._packet = pb.Packet()
        self._is_last = False
        self._wire: Wire | None = None

    def __enter__(self) -> "_Read":
        try:
            answer = self._ask()
        except OSError as error:
            self._drop()
            raise self._failed(pb.IO_ERROR, str(error)) from None
        if list(answer.statuses) != [pb.OK]:
            self._drop()
            raise self._failed(answer.statuses[0] if answer.statuses else pb.BAD_REQUEST, answer.message)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_last and self._wire is not None:
            self._reader.give_back(self._replica.address, self._wire)
            self._wire = None
        self._drop()

    def has_more(self) -> bool:
        """Whether another packet follows."""
        return not self._is_last

    def next_packet(self) -> tuple[int, int]:
        """Where in the block the next packet starts, and its length; its body must then be received."""
        assert self._wire is not None
        try:
            self._packet, length = self._wire.receive(pb.Packet)
        except OSError as error:
            raise self._failed(pb.IO_ERROR, str(error)) from None
        packet = self._packet
        start_min = self._next_offset - CHECKSUM_RUN_BYTES
        is_fitting = start_min < packet.offset <= self._next_offset and packet.length == length
        if not is_fitting or len(packet.checksums) != checksums_bytes(length):
            raise self._failed(pb.BAD_REQUEST, f"sent a packet of {length} bytes at {packet.offset}")
        return packet.offset, length

    def receive_into(self, body: memoryview) -> None:
        """Receive the packet's body and verify it."""
        assert self._wire is not None
        packet = self._packet
        try:
            self._wire.receive_into(body)
        except OSError as error:
            raise self._failed(pb.IO_ERROR, str(error)) from None
        if checksums(body) != packet.checksums:
            raise self._failed(pb.CORRUPT, f"the piece at {packet.offset} fails its checksum")
        self._next_offset = packet.offset + packet.length
        is_enough = self._next_offset >= self._end
        if packet.last != is_enough:
            raise self._failed(pb.BAD_REQUEST, f"ended at {self._next_offset}, and {self._end} was asked for")
        self._is_last = packet.last

    def _ask(self) -> pb.Answer:
        """Send the request; once more on a fresh connection where a kept one turns out to be closed."""
        request = self._reader.request(self._located, self._next_offset, self._end - self._next_offset)
        while True:
            self._wire, is_fresh = self._reader.take(self._replica.address)
            try:
                self._wire.send(request)
                return self._wire.receive(pb.Answer)[0]
            except ConnectionError:
                if is_fresh:
                    raise
                self._drop()

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _failed(self, status: pb.Status, message: str) -> ReplicaFailed:
        where = f"block {self._located.block} on datanode {self._replica.address}"
        return ReplicaFailed(f"{where}: {pb.Status.Name(status)}: {message}", self._replica.node, status)
