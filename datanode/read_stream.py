"""Serving a read: packets straight from LMDB's map, one short read transaction each.

The client gets whole checksum runs with the checksums as stored, and verifies them; nothing is
copied or computed here. A client that does not take a packet within a moment gets the rest of it
from a copy: an open transaction would keep the pages of deleted pieces from being used again.

Any generation of a replica may be read: generations fence writers, and what lies at an offset of a block
is the same in all of them. A copy that is behind is short, and a read beyond its end is refused.
"""

from cairnfs.common.blocks import CHECKSUM_RUN_BYTES
from cairnfs.common.errors import CairnError
from cairnfs.common.transfer import Wire, frame
from cairnfs.datanode.errors import BadRange, ReplicaMissing
from cairnfs.datanode.piece_store import PieceView
from cairnfs.datanode.volumes import Volumes
from cairnfs.protos import transfer_pb2 as pb

_MOMENT_S = 1.0


def serve_read(wire: Wire, request: pb.ReadBlock, volumes: Volumes) -> None:
    """Answer a read that has been allowed, and send its packets.

    Errors before the answer (ReplicaMissing, BadRange, CorruptData, VolumeFailed)
    leave the connection at a frame's start; later ones end it (ConnectionAbortedError).
    """
    replica = volumes.find(request.block)
    if replica is None:
        raise ReplicaMissing(f"block {request.block} is not here")
    end = request.offset + request.length
    if end > replica.length:
        raise BadRange(f"block {request.block} has {replica.length} bytes here, and {end} were asked for")
    answer = frame(pb.Answer(statuses=[pb.OK]))
    if not request.length:
        wire.send_bytes(answer, frame(pb.Packet(offset=request.offset, last=True)))
        return
    offset = request.offset
    while offset < end:
        try:
            offset = _send_packet(wire, request, volumes, offset, answer)
        except CairnError as error:
            if answer:
                raise
            raise ConnectionAbortedError(f"block {request.block} cannot be read on at {offset}: {error}") from None
        answer = b""


def _send_packet(wire: Wire, request: pb.ReadBlock, volumes: Volumes, offset: int, head: bytes) -> int:
    """Send `head`, and the packet that starts with the run of `offset`; where the packet ends."""
    with volumes.piece_at(request.block, offset) as piece:
        packet, body = _packet(piece, offset, request.offset + request.length)
        parts = [memoryview(head + frame(packet, len(body))), body]
        rest = [bytes(part) for part in wire.send_within(parts, _MOMENT_S)]
    if rest:
        wire.send_bytes(*rest)
    return packet.offset + packet.length


def _packet(piece: PieceView, offset: int, end: int) -> tuple[pb.Packet, memoryview]:
    """The packet of the whole runs of `piece` that cover [offset, end), and its body."""
    first_run = (offset - piece.offset) // CHECKSUM_RUN_BYTES
    start = first_run * CHECKSUM_RUN_BYTES
    last_run = -(-(end - piece.offset) // CHECKSUM_RUN_BYTES)
    stop = min(last_run * CHECKSUM_RUN_BYTES, len(piece.data))
    body = piece.data[start:stop]
    packet = pb.Packet(
        offset=piece.offset + start,
        length=len(body),
        checksums=piece.checksums[first_run * 4 : last_run * 4],
        last=piece.offset + stop >= end,
    )
    return packet, body
