"""Serving a write: one member of a replication chain.

    upstream ──packets──► receiver thread ──► own volume's queue (synced by its commit thread)
                                └──────────► downstream socket
    upstream ◄──acks───── responder thread ◄─ own volume's progress, downstream's acks

A packet is received whole, verified, sent on at once and queued for the own disk; an ack goes up when
this member and all after it have synced. Statuses in answers and acks are one a member, this one first:

    own trouble (disk full, bad checksum, fenced)   [why]
    the next member is gone or hangs                [OK, DOWNSTREAM_FAILED]
    a later member's trouble                        [OK, …what the next member said]

The first trouble ends the stream: a final ack tells it, with how far all had synced, and what this
member has stays, for the client to go on from with a new generation. Each member waits less
than the one before it, so that the one next to a hanging member is the one to tell.
"""

import threading
import time
from collections.abc import Sequence

from cairnfs.common.blocks import BLOCK_BYTES_MAX
from cairnfs.common.errors import CairnError, CorruptData, ProtocolError
from cairnfs.common.logs import EventLogger
from cairnfs.common.transfer import PeerClosed, Wire, checksums, checksums_bytes
from cairnfs.datanode.buffers import BufferBudget, StreamBuffers
from cairnfs.datanode.replica_writer import ReplicaWriter
from cairnfs.datanode.statuses import status_of
from cairnfs.datanode.volumes import Volumes
from cairnfs.protos import transfer_pb2 as pb

IDLE_TIMEOUT_S = 3600.0
_DRAIN_S = 2.0
_DRAIN_BYTES_MAX = 64 << 20

log = EventLogger("write")


def serve_write(wire: Wire, request: pb.Request, volumes: Volumes, budget: BufferBudget) -> None:
    """Answer a write that has been allowed, and receive its packets until the stream ends, well or not."""
    write = request.write
    timeout_s = min(max(write.timeout_ms / 1000, 0.1), 600.0) if write.timeout_ms else wire.timeout_s
    opened = volumes.open_replica(write.block, write.generation, write.offset)
    downstream: Wire | None = None
    try:
        downstream, statuses, message = _open_downstream(request, timeout_s)
        writer = opened.result(timeout_s)
    except BaseException:
        if downstream is not None:
            downstream.close()
        opened.add_done_callback(lambda late: None if late.exception() else late.result().close())
        raise
    try:
        wire.send(pb.Answer(statuses=[pb.OK, *statuses], message=message))
        if not any(statuses):
            WriteStream(wire, downstream, writer, StreamBuffers(budget), timeout_s).run()
    finally:
        writer.close()
        if downstream is not None:
            downstream.close()


def _open_downstream(request: pb.Request, timeout_s: float) -> tuple[Wire | None, Sequence[pb.Status], str]:
    """Connect the rest of the chain: its wire, and what it answered, within `timeout_s`."""
    chain = list(request.write.chain)
    if not chain:
        return None, [], ""
    deadline = time.monotonic() + timeout_s
    onward = pb.Request()
    onward.CopyFrom(request)
    onward.write.chain[:] = chain[1:]
    onward.write.timeout_ms = max(int(timeout_s * 1000 * len(chain) / (len(chain) + 1)), 1)
    wire: Wire | None = None
    try:
        wire = Wire.connect(chain[0], timeout_s, connect_timeout_s=timeout_s / 4)
        wire.send(onward)
        answer, _ = wire.receive(pb.Answer, wait_s=max(deadline - time.monotonic(), 0.01))
    except OSError as error:
        if wire is not None:
            wire.close()
        return None, [pb.DOWNSTREAM_FAILED], f"{chain[0]}: {error}"
    return wire, answer.statuses, answer.message


class WriteStream:
    """One open stream; `run` returns when it has ended."""

    def __init__(
        self, upstream: Wire, downstream: Wire | None, writer: ReplicaWriter, buffers: StreamBuffers, timeout_s: float
    ) -> None:
        self._upstream = upstream
        self._downstream = downstream
        self._writer = writer
        self._buffers = buffers
        self._timeout_s = timeout_s
        self._condition = threading.Condition()
        self._received_offset = writer.durable_offset
        self._acked_offset = self._received_offset
        self._is_complete = False  # the last packet is here
        self._is_cut_off = False  # upstream is gone: nobody wants acks
        self._is_stopped = False  # the receiver takes no more
        self._has_failed = False  # a final ack with a trouble has been sent
        self._refusal: Exception | None = None  # why this member takes no more
        self._receiver_is_done = threading.Event()

    def run(self) -> None:
        """Receive until the last packet, or until something fails; then see the acks out."""
        responder = threading.Thread(target=self._respond, name="responder")
        responder.start()
        try:
            self._receive_packets()
        except BaseException:
            self._is_cut_off = True
            self._stop_members(None)
            raise
        finally:
            self._receiver_is_done.set()
            responder.join()

    def _receive_packets(self) -> None:
        try:
            while not self._is_complete and not self._has_failed:
                packet, length = self._upstream.receive(pb.Packet, wait_s=IDLE_TIMEOUT_S)
                self._receive_packet(packet, length)
        except (CairnError, _DownstreamGone) as error:
            self._stop_members(error)
        except OSError as error:
            if not isinstance(error, PeerClosed):
                log.info("write_cut_off", block=self._writer.block, peer=self._upstream.peer, error=error)
            self._is_cut_off = True
            self._stop_members(None)
        if not self._is_complete and not self._is_cut_off:
            self._upstream.discard_input(_DRAIN_S, _DRAIN_BYTES_MAX)

    def _receive_packet(self, packet: pb.Packet, length: int) -> None:
        self._check(packet, length)
        data, release = self._buffers.take(length, self._timeout_s)
        is_queued = False
        try:
            self._upstream.receive_into(data)
            if checksums(data) != packet.checksums:
                end = packet.offset + length
                raise CorruptData(f"block {self._writer.block}: bytes {packet.offset} to {end} arrived corrupt")
            self._forward(packet, data)
            with self._condition:
                self._received_offset += length
                self._is_complete = packet.last
                self._condition.notify()
            if length:
                is_queued = True  # from here on the store releases it
                self._writer.append(packet.offset, data, packet.checksums, release)
        finally:
            if not is_queued:
                release()

    def _check(self, packet: pb.Packet, length: int) -> None:
        end = packet.offset + length
        is_fitting = packet.offset == self._received_offset and packet.length == length and end <= BLOCK_BYTES_MAX
        if not is_fitting or len(packet.checksums) != checksums_bytes(length) or not (length or packet.last):
            raise ProtocolError(
                f"a packet of {length} bytes at {packet.offset} where {self._received_offset} comes next"
            )

    def _forward(self, packet: pb.Packet, data: memoryview) -> None:
        if self._downstream is None:
            return
        try:
            self._downstream.send(packet, data)
        except OSError as error:
            raise _DownstreamGone(str(error)) from None

    def _stop_members(self, refusal: Exception | None) -> None:
        """Take no more, and wake the responder, wherever it waits."""
        with self._condition:
            if not isinstance(refusal, _DownstreamGone):
                self._refusal = refusal  # before the shutdown, or the next member would get the blame
            self._is_stopped = True
            self._condition.notify()
        if self._downstream is not None:
            self._downstream.shutdown()

    def _respond(self) -> None:
        """Send acks up as all members from this one down have synced; the first trouble is the last ack."""
        try:
            while self._wait_for_unacked():
                statuses, message = self._advance()
                self._upstream.send(pb.Ack(offset=self._acked_offset, statuses=statuses, message=message))
                if any(statuses):
                    self._end_with_trouble(statuses, message)
                    return
        except OSError as error:
            log.info("acks_cut_off", block=self._writer.block, peer=self._upstream.peer, error=error)
            self._upstream.shutdown()

    def _wait_for_unacked(self) -> bool:
        """Wait until something is to be told; False when the stream has ended well, or nobody listens."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._received_offset > self._acked_offset or self._is_complete or self._is_stopped
            )
            if self._is_cut_off:
                return False
            return self._received_offset > self._acked_offset or not self._is_complete

    def _advance(self) -> tuple[list[pb.Status], str]:
        """Wait for the next progress of all members: their statuses, and a message where there is trouble."""
        refusal = self._refused()
        if refusal is not None:
            return refusal
        below: Sequence[pb.Status] = ()
        message = ""
        goal = self._acked_offset + 1
        if self._downstream is not None:
            try:
                ack, _ = self._downstream.receive(pb.Ack)
                below, message, goal = ack.statuses, ack.message, ack.offset
            except OSError as error:
                refusal = self._refused()
                if refusal is not None:
                    return refusal
                below, message, goal = [pb.DOWNSTREAM_FAILED], str(error), self._acked_offset
        try:
            durable = self._writer.wait_durable(goal, self._timeout_s)
        except OSError as error:
            return [status_of(error)], str(error)
        self._acked_offset = durable if self._downstream is None else goal
        return [pb.OK, *below], message

    def _refused(self) -> tuple[list[pb.Status], str] | None:
        refusal = self._refusal
        return None if refusal is None else ([status_of(refusal)], str(refusal))

    def _end_with_trouble(self, statuses: Sequence[pb.Status], message: str) -> None:
        names = ",".join(pb.Status.Name(status) for status in statuses)
        log.warning("write_failed", block=self._writer.block, statuses=names, message=message)
        self._has_failed = True
        if self._downstream is not None:
            self._downstream.shutdown()
        self._upstream.end_sending()
        if not self._receiver_is_done.wait(_DRAIN_S):
            self._upstream.shutdown()


class _DownstreamGone(Exception):
    """The next member takes no more; its last words, if any, are the responder's to read."""
