"""The frames: bounds, deadlines, and what is not this protocol."""

import signal
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from cairnfs.common.blocks import CHECKSUM_RUN_BYTES, PIECE_BYTES_MAX
from cairnfs.common.errors import ProtocolError
from cairnfs.common.transfer import PREAMBLE, PeerClosed, Wire, checksums, checksums_bytes, frame
from cairnfs.protos import transfer_pb2 as pb


@pytest.fixture
def pair() -> Iterator[tuple[Wire, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        raw = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    wire = Wire(accepted, 0.3)
    yield wire, raw
    wire.close()
    raw.close()


def test_a_frame_comes_through(pair: tuple[Wire, socket.socket]) -> None:
    """Header and body of a frame arrive as they were sent, a body of the largest size too."""
    wire, raw = pair
    other = Wire(raw, 5.0)
    body = bytes(range(256)) * (PIECE_BYTES_MAX // 256)
    sender = threading.Thread(target=other.send, args=(pb.Packet(offset=7, length=len(body)), body[:100], body[100:]))
    sender.start()
    packet, length = wire.receive(pb.Packet)
    received = bytearray(length)
    wire.receive_into(memoryview(received), 5.0)
    sender.join()
    assert packet.offset == 7
    assert received == body


def test_preamble_of_this_protocol_is_accepted(pair: tuple[Wire, socket.socket]) -> None:
    """Also where it comes in parts."""
    wire, raw = pair
    raw.sendall(PREAMBLE[:3])
    raw.sendall(PREAMBLE[3:])
    wire.accept_preamble(5.0)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "began with b'GET / HT'"),
        (b"\x00" * 64, "not the transfer protocol"),
        (b"\xff" * 8, "not the transfer protocol"),
        (b"SSH", "began with b'SSH'"),
        (struct.pack("<6sH", b"CAIRN\0", 9), "version 9, and this side speaks 1"),
    ],
)
def test_foreign_connections_are_told(pair: tuple[Wire, socket.socket], sent: bytes, message: str) -> None:
    """Anything but the preamble is a ProtocolError that says how it began."""
    wire, raw = pair
    raw.sendall(sent)
    with pytest.raises(ProtocolError, match=message):
        wire.accept_preamble(0.3)


def test_half_a_preamble_is_a_timeout(pair: tuple[Wire, socket.socket]) -> None:
    """A peer that stops in the middle of the preamble does not hold the thread."""
    wire, raw = pair
    raw.sendall(PREAMBLE[:4])
    with pytest.raises(TimeoutError):
        wire.accept_preamble(0.1)


@pytest.mark.parametrize(
    "prefix",
    [
        struct.pack("<2sHI", b"Cf", 0xFFFF, 0),
        struct.pack("<2sHI", b"Cf", 10, 0xFFFFFFFF),
        struct.pack("<2sHI", b"Cf", 10, PIECE_BYTES_MAX + 1),
        struct.pack("<2sHI", b"XX", 10, 10),
    ],
)
def test_announced_lengths_are_not_believed(pair: tuple[Wire, socket.socket], prefix: bytes) -> None:
    """A frame beyond the bounds, or without the mark, is refused before anything is allocated for it."""
    wire, raw = pair
    raw.sendall(prefix)
    with pytest.raises(ProtocolError):
        wire.receive(pb.Packet)


def test_a_header_that_is_no_message_is_refused(pair: tuple[Wire, socket.socket]) -> None:
    """Bytes that protobuf cannot decode are a ProtocolError."""
    wire, raw = pair
    raw.sendall(struct.pack("<2sHI", b"Cf", 4, 0) + b"\xff\xff\xff\xff")
    with pytest.raises(ProtocolError, match="no Packet"):
        wire.receive(pb.Packet)


def test_ends_are_told_apart(pair: tuple[Wire, socket.socket]) -> None:
    """A close between frames is PeerClosed, a close within one is a reset connection."""
    wire, raw = pair
    raw.sendall(frame(pb.Ack(offset=1), 0)[:9])
    raw.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionResetError, match="in the middle of a frame") as caught:
        wire.receive(pb.Ack)
    assert not isinstance(caught.value, PeerClosed)
    with pytest.raises(PeerClosed):
        wire.receive(pb.Ack)


def test_silence_is_a_timeout(pair: tuple[Wire, socket.socket]) -> None:
    """Waiting for a frame, and for the rest of a body, ends at the deadline."""
    wire, raw = pair
    with pytest.raises(TimeoutError):
        wire.receive(pb.Ack, wait_s=0.05)
    raw.sendall(b"x" * 10)
    with pytest.raises(TimeoutError):
        wire.receive_into(memoryview(bytearray(11)), 0.05)


def test_a_peer_that_takes_nothing_is_a_timeout(pair: tuple[Wire, socket.socket]) -> None:
    """Sending to a peer that does not read ends at the deadline."""
    wire, _ = pair
    body = bytes(PIECE_BYTES_MAX)
    with pytest.raises(TimeoutError):  # noqa: PT012 - the buffers between must fill first
        for _ in range(100):
            wire.send(pb.Packet(length=len(body)), body)


def test_a_shutdown_wakes_the_receiver(pair: tuple[Wire, socket.socket]) -> None:
    """A thread that waits in receive comes back when another shuts the wire down."""
    wire, _ = pair
    woken = threading.Event()

    def wait() -> None:
        with pytest.raises(PeerClosed):
            wire.receive(pb.Ack, wait_s=30)
        woken.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    wire.shutdown()
    assert woken.wait(5)
    waiter.join()


def test_an_idle_wire_is_stale_once_closed(pair: tuple[Wire, socket.socket]) -> None:
    """is_stale sees a close by the other side, without taking anything from the stream."""
    wire, raw = pair
    assert not wire.is_stale()
    raw.close()
    with pytest.raises(PeerClosed):
        wire.receive(pb.Ack)
    assert wire.is_stale()


@pytest.mark.parametrize("length", [0, 1, CHECKSUM_RUN_BYTES, CHECKSUM_RUN_BYTES + 1, PIECE_BYTES_MAX])
def test_checksums_are_one_a_run(length: int) -> None:
    """Four bytes a run of 64 KiB, the last run being short; known value: CRC32C of 32 zero bytes."""
    data = bytes(length)
    assert len(checksums(data)) == checksums_bytes(length)
    assert checksums(data)[:4] == checksums(memoryview(data)[:CHECKSUM_RUN_BYTES])[:4]
    assert checksums(bytes(32)) == 0x8A9136AA.to_bytes(4, "little")


def test_a_signal_does_not_cut_a_send_short(pair: tuple[Wire, socket.socket]) -> None:
    """A process that gets signals (a profiler's timer, Ctrl-Z and fg) still sends every byte to a slow receiver."""
    wire, raw = pair
    wire.timeout_s = 20.0
    whole = bytes(range(256)) * (16 * PIECE_BYTES_MAX // 256)
    received = bytearray()

    def receive_slowly() -> None:
        while len(received) < len(whole) and (got := raw.recv(64 << 10)):
            received.extend(got)
            pause.wait(0.0005)

    pause = threading.Event()
    receiver = threading.Thread(target=receive_slowly)
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    try:
        receiver.start()
        wire.send_bytes(whole)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        pause.set()
        wire.shutdown()
        receiver.join()
    assert received == whole
