"""Writing one block: the client's end of a replication chain.

Owns the connection to the first datanode, the window of pieces in flight and what is not
acknowledged yet. Knows nothing of the namenode: when a member of the chain fails, PipelineFailed
names it, `unacked` has what must be sent again, and the caller goes on with a new generation.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from cairnfs.common.blocks import BLOCK_BYTES_MAX, PIECE_BYTES_MAX
from cairnfs.common.errors import CairnError
from cairnfs.common.operations import LocatedBlock
from cairnfs.common.transfer import PROTOCOL_VERSION, Bytes, Wire, checksums
from cairnfs.protos import transfer_pb2 as pb

WINDOW_BYTES: Final = 16 << 20


class PipelineFailed(CairnError):
    """A chain cannot be written on: `failed_nodes` are the members to leave out, `statuses` why, one each.

    The other members were not found to be at fault.
    """

    def __init__(self, message: str, failed_nodes: tuple[int, ...], statuses: tuple[pb.Status, ...]) -> None:
        super().__init__(message)
        self.failed_nodes = failed_nodes
        self.statuses = statuses

    @property
    def full_nodes(self) -> tuple[int, ...]:
        """Those of the failed nodes that have no room; they are alive and may be read from."""
        pairs = zip(self.failed_nodes, self.statuses, strict=True)
        return tuple(node for node, status in pairs if status == pb.NO_SPACE)


class BlockWriter:
    """Appends pieces to one block on all replicas of `located`, in that order.

    One thread sends; any thread may ask how far it is, or wait. Pieces are not copied: a buffer
    given to `send` must not change until it is acknowledged, when `on_acked` is called with it (from the
    writer's own thread; it must not block), so that buffers can be used in turn.
    """

    def __init__(
        self,
        located: LocatedBlock,
        cluster_id: str,
        *,
        offset: int = 0,
        window_bytes: int = WINDOW_BYTES,
        timeout_s: float = 30.0,
        on_acked: Callable[[Bytes], None] | None = None,
    ) -> None:
        """Connect the chain, every replica of which is cut to `offset`. PipelineFailed where a member refuses.

        `timeout_s` is how long the chain may take to acknowledge a piece; the first member waits
        three quarters of it for the rest.
        """
        self._nodes = tuple(replica.node for replica in located.replicas)
        self._addresses = tuple(replica.address for replica in located.replicas)
        self._block = located.block
        self._window_bytes = window_bytes
        self._timeout_s = timeout_s
        self._on_acked = on_acked
        self._condition = threading.Condition()
        self._pending: deque[tuple[int, Bytes]] = deque()
        self._sent_offset = offset
        self._acked_offset = offset
        self._failure: PipelineFailed | None = None
        self._is_closed = False
        self._wire = self._connect(located, cluster_id, offset)
        self._receiver = threading.Thread(target=self._receive_acks, name=f"acks-{self._block}", daemon=True)
        self._receiver.start()

    @property
    def acked_offset(self) -> int:
        """Everything of the block below this is synced on every member."""
        with self._condition:
            return self._acked_offset

    @property
    def sent_offset(self) -> int:
        """Where the next piece goes."""
        with self._condition:
            return self._sent_offset

    def send(self, piece: Bytes) -> None:
        """Append a piece of 1 to PIECE_BYTES_MAX bytes at the block's end; waits while the window is full.

        PipelineFailed; a piece that was given is in `unacked` until it is acknowledged, also where this raises.
        """
        length = len(piece)
        assert 0 < length <= PIECE_BYTES_MAX
        assert self._sent_offset + length <= BLOCK_BYTES_MAX
        sums = checksums(piece)
        with self._condition:
            offset = self._sent_offset
            self._pending.append((offset, piece))
            self._sent_offset += length
            self._condition.notify_all()
            self._wait(lambda: self._sent_offset - self._acked_offset <= max(self._window_bytes, length))
        self._transmit(pb.Packet(offset=offset, length=length, checksums=sums), piece)

    def unacked(self) -> list[tuple[int, Bytes]]:
        """What was given to `send` and is not known to be synced everywhere: (offset in the block, piece), in order.

        The first may reach below acked_offset: only what lies beyond needs sending again.
        """
        with self._condition:
            return list(self._pending)

    def flush(self, timeout_s: float | None = None) -> int:
        """Wait until all that was sent is synced on every member; how far that is. PipelineFailed, TimeoutError.

        Without `timeout_s` the chain's own timeouts bound the wait.
        """
        with self._condition:
            goal = self._sent_offset
            self._wait(lambda: self._acked_offset >= goal, timeout_s)
            return self._acked_offset

    def close(self) -> None:
        """End the stream and give the connection back; what was not flushed may or may not arrive. Idempotent."""
        with self._condition:
            if self._is_closed:
                return
            self._is_closed = True
            is_clean = self._failure is None and not self._pending
            offset = self._sent_offset
            self._condition.notify_all()
        try:
            if is_clean:
                self._wire.send(pb.Packet(offset=offset, last=True))
        except OSError:
            pass  # all is synced already, so the chain may go as it likes
        finally:
            self._wire.shutdown()
            self._receiver.join()
            self._wire.close()

    def __enter__(self) -> "BlockWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, located: LocatedBlock, cluster_id: str, offset: int) -> Wire:
        request = pb.Request(protocol_version=PROTOCOL_VERSION, cluster_id=cluster_id)
        request.write.block = located.block
        request.write.generation = located.generation
        request.write.offset = offset
        request.write.token = located.token
        request.write.chain[:] = self._addresses[1:]
        members = len(self._nodes)
        request.write.timeout_ms = max(int(self._timeout_s * 1000 * members / (members + 1)), 1)
        deadline = time.monotonic() + self._timeout_s
        wire: Wire | None = None
        try:
            wire = Wire.connect(self._addresses[0], self._timeout_s, connect_timeout_s=self._timeout_s / 4)
            wire.send(request)
            answer, _ = wire.receive(pb.Answer, wait_s=max(deadline - time.monotonic(), 0.01))
        except OSError as error:
            if wire is not None:
                wire.close()
            raise self._first_is_gone(error) from None
        if any(answer.statuses) or not answer.statuses:
            wire.close()
            raise self._failed(answer.statuses or [pb.BAD_REQUEST], answer.message)
        return wire

    def _transmit(self, packet: pb.Packet, piece: Bytes) -> None:
        try:
            self._wire.send(packet, piece)
        except OSError as error:
            with self._condition:
                # the first member's last words may lie unread: the receiver has them in a moment
                self._condition.wait_for(lambda: self._failure is not None or self._is_closed, 2.0)
                if self._failure is None:
                    self._failure = self._first_is_gone(error)
                failure = self._failure
            self._wire.shutdown()
            raise failure from None

    def _wait(self, is_reached: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait, with the lock held, until something is reached; raises what makes that impossible."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not is_reached():
            if self._failure is not None:
                raise self._failure
            if self._is_closed:
                raise ValueError("the writer is closed")
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"block {self._block}: not synced within {timeout_s:g} s")
            self._condition.wait(left)
        if self._failure is not None and self._sent_offset > self._acked_offset:
            raise self._failure

    def _receive_acks(self) -> None:
        try:
            while self._wait_for_unacked():
                ack, _ = self._wire.receive(pb.Ack)
                self._take(ack)
                if any(ack.statuses):
                    self._fail(self._failed(ack.statuses, ack.message))
                    return
        except OSError as error:
            self._fail(self._first_is_gone(error))

    def _wait_for_unacked(self) -> bool:
        with self._condition:
            self._condition.wait_for(lambda: bool(self._pending) or self._is_closed)
            return not self._is_closed

    def _take(self, ack: pb.Ack) -> None:
        done: list[Bytes] = []
        with self._condition:
            self._acked_offset = min(max(self._acked_offset, ack.offset), self._sent_offset)
            while self._pending and self._pending[0][0] + len(self._pending[0][1]) <= self._acked_offset:
                done.append(self._pending.popleft()[1])
            self._condition.notify_all()
        if self._on_acked is not None:
            for piece in done:
                self._on_acked(piece)

    def _fail(self, failure: PipelineFailed) -> None:
        with self._condition:
            if self._failure is None and not self._is_closed:
                self._failure = failure
            self._condition.notify_all()
        self._wire.shutdown()

    def _first_is_gone(self, error: OSError) -> PipelineFailed:
        message = f"block {self._block}: datanode {self._addresses[0]} does not answer: {error}"
        return PipelineFailed(message, self._nodes[:1], (pb.DOWNSTREAM_FAILED,))

    def _failed(self, statuses: Sequence[pb.Status], message: str) -> PipelineFailed:
        failed = [(index, status) for index, status in enumerate(statuses[: len(self._nodes)]) if status != pb.OK]
        names = ", ".join(f"{self._addresses[index]} {pb.Status.Name(status)}" for index, status in failed)
        return PipelineFailed(
            f"block {self._block}: {names}: {message}",
            tuple(self._nodes[index] for index, _ in failed),
            tuple(status for _, status in failed),
        )
