"""The framing of the block transfer protocol: how requests, packets and acknowledgements lie on a TCP connection.

Owns the preamble, the frame, its bounds, timeouts and checksums. Knows nothing of blocks' storage
or of who talks to whom; `protos/transfer.proto` has the headers.

    connect    the client sends the preamble: "CAIRN\\0" · protocol version u16, little-endian
    frame      "Cf" · header length u16 · body length u32 (little-endian) · header (protobuf) · body (raw bytes)

    write      → Request(write)  ← Answer   → Packet + bytes …  ← Ack …   → Packet(last)   then both close
    read       → Request(read)   ← Answer   ← Packet + bytes … (last)     then the next Request(read), or close

A foreign protocol, or garbage, is told by its first bytes; no length that came from the other side
is believed beyond HEADER_BYTES_MAX and PIECE_BYTES_MAX. Every wait has a deadline.
"""

import contextlib
import socket
import struct
import sys
import time
from array import array
from typing import Final, TypeVar

from crc32c import crc32c
from google.protobuf.message import DecodeError, Message

from cairnfs.common.address import split_host_port
from cairnfs.common.blocks import CHECKSUM_RUN_BYTES, PIECE_BYTES_MAX
from cairnfs.common.errors import ProtocolError

PROTOCOL_VERSION: Final = 1
PREAMBLE: Final = struct.pack("<6sH", b"CAIRN\0", PROTOCOL_VERSION)
HEADER_BYTES_MAX: Final = 16 * 1024

_PREFIX = struct.Struct("<2sHI")
_MAGIC = b"Cf"
_TIMEVAL = struct.Struct("@ll")
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))

Bytes = bytes | bytearray | memoryview
Header = TypeVar("Header", bound=Message)


class PeerClosed(ConnectionResetError):
    """The other side ended the connection between two frames."""


def checksums(data: Bytes) -> bytes:
    """CRC32C of each run of CHECKSUM_RUN_BYTES of `data`, as u32, little-endian."""
    view = memoryview(data)
    sums = array("I", (crc32c(view[at : at + CHECKSUM_RUN_BYTES]) for at in range(0, len(view), CHECKSUM_RUN_BYTES)))
    if sys.byteorder == "big":
        sums.byteswap()
    return sums.tobytes()


def checksums_bytes(length: int) -> int:
    """How many bytes the checksums of `length` bytes take."""
    return (length + CHECKSUM_RUN_BYTES - 1) // CHECKSUM_RUN_BYTES * 4


class Wire:
    """One connection. One thread may send while another receives; neither side is safe for two at once.

    The socket blocks in the kernel with SO_RCVTIMEO and SO_SNDTIMEO, so that a whole piece is
    received by one call (MSG_WAITALL) without the interpreter lock. Its buffers are left to the
    kernel to size: fixed ones of 4 MiB measured the same here, and end its tuning elsewhere. Raises PeerClosed, other
    ConnectionErrors, TimeoutError, and ProtocolError for bytes that are not this protocol.
    """

    def __init__(self, sock: socket.socket, timeout_s: float, *, peer: str = "") -> None:
        self._sock = sock
        self._prefix = bytearray(_PREFIX.size)
        self._receive_timeout_s = -1.0
        self._send_timeout_s = -1.0
        self.timeout_s = timeout_s
        self.peer = peer or _name_of(sock)
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)

    @classmethod
    def connect(cls, address: str, timeout_s: float, *, connect_timeout_s: float | None = None) -> "Wire":
        """A connection to the datanode at `host:port`, the preamble sent."""
        host, port = split_host_port(address)
        sock = socket.create_connection((host, port), connect_timeout_s or timeout_s)
        try:
            wire = cls(sock, timeout_s, peer=address)
            wire.send_bytes(PREAMBLE)
        except BaseException:
            sock.close()
            raise
        return wire

    def accept_preamble(self, timeout_s: float) -> None:
        """Receive the preamble of a new connection; ProtocolError where it is another's or of another version."""
        preamble = bytearray(len(PREAMBLE))
        self._set_receive_timeout(timeout_s)
        got = self._receive_once(memoryview(preamble))
        if not got:
            raise PeerClosed("closed before anything was sent")
        if preamble[:got] == PREAMBLE[:got] and got < len(PREAMBLE):
            self.receive_into(memoryview(preamble)[got:], timeout_s)
        if preamble != PREAMBLE:
            if preamble[:6] == PREAMBLE[:6]:
                version = int.from_bytes(preamble[6:], "little")
                raise ProtocolError(f"transfer protocol version {version}, and this side speaks {PROTOCOL_VERSION}")
            raise ProtocolError(f"not the transfer protocol: the connection began with {bytes(preamble[:got])!r}")

    def send(self, header: Message, *body: Bytes) -> None:
        """Send one frame, the body from the given buffers without a copy."""
        self.send_bytes(frame(header, sum(len(part) for part in body)), *body)

    def send_bytes(self, *parts: Bytes) -> None:
        """Send the buffers one after the other; TimeoutError where not all is taken in time."""
        deadline = time.monotonic() + self.timeout_s
        left = self.send_within([memoryview(part) for part in parts if len(part)], self.timeout_s)
        while left:  # the time is up, or a signal has cut the call short
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"{self.peer} did not take what was sent within {self.timeout_s:g} s")
            left = self.send_within(left, left_s)

    def send_within(self, parts: list[memoryview], timeout_s: float) -> list[memoryview]:
        """Send the buffers for at most this long; what is left of them."""
        if timeout_s != self._send_timeout_s:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(timeout_s))
            self._send_timeout_s = timeout_s
        try:
            return _rest(parts, self._sock.sendmsg(parts)) if parts else []
        except BlockingIOError:
            return parts

    def receive(self, kind: type[Header], *, wait_s: float | None = None) -> tuple[Header, int]:
        """The next frame's header, and how many bytes of body follow, which receive_into must take.

        `wait_s` is how long the frame may be in coming (the wire's timeout if not told).
        """
        prefix = memoryview(self._prefix)
        self._set_receive_timeout(self.timeout_s if wait_s is None else wait_s)
        got = self._receive_once(prefix)
        if not got:
            raise PeerClosed(f"{self.peer} closed the connection")
        if got < _PREFIX.size:
            self.receive_into(prefix[got:], self.timeout_s)
        magic, header_bytes, body_bytes = _PREFIX.unpack(self._prefix)
        if magic != _MAGIC:
            raise ProtocolError(f"{self.peer} does not speak the transfer protocol: got {bytes(prefix)!r}")
        if header_bytes > HEADER_BYTES_MAX or body_bytes > PIECE_BYTES_MAX:
            raise ProtocolError(f"{self.peer} announced a frame of {header_bytes} + {body_bytes} bytes: too large")
        encoded = bytearray(header_bytes)
        self.receive_into(memoryview(encoded), self.timeout_s)
        try:
            return kind.FromString(bytes(encoded)), body_bytes
        except DecodeError:
            raise ProtocolError(f"{self.peer} sent a header that is no {kind.__name__}") from None

    def receive_into(self, buffer: memoryview, wait_s: float | None = None) -> None:
        """Fill the whole buffer within `wait_s` (the wire's timeout if not told)."""
        wait_s = self.timeout_s if wait_s is None else wait_s
        deadline = time.monotonic() + wait_s
        self._set_receive_timeout(wait_s)
        while len(buffer):
            got = self._receive_once(buffer)
            if not got:
                raise ConnectionResetError(f"{self.peer} closed the connection in the middle of a frame")
            buffer = buffer[got:]
            if len(buffer) and time.monotonic() > deadline:
                raise TimeoutError(f"{self.peer} sent part of a frame and no more within {wait_s:g} s")

    def end_sending(self) -> None:
        """Say that nothing more will be sent; receiving goes on."""
        with contextlib.suppress(OSError):  # not connected any more: nobody to say it to
            self._sock.shutdown(socket.SHUT_WR)

    def discard_input(self, timeout_s: float, limit_bytes: int) -> None:
        """Discard what comes until the other side closes, is silent for `timeout_s`, or has sent too much.

        A socket that is closed with bytes unread resets the connection, and the last frame sent
        may be lost with it; so whoever ends a stream early says so and discards the rest.
        """
        scratch = bytearray(256 * 1024)
        try:
            self._set_receive_timeout(timeout_s)
            while limit_bytes > 0 and (got := self._sock.recv_into(scratch)):
                limit_bytes -= got
        except OSError:
            return  # gone or silent: closing hard is all that is left

    def shutdown(self) -> None:
        """Wake every thread that waits in this connection; they see it closed."""
        with contextlib.suppress(OSError):  # not connected any more: nobody waits in it
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back; idempotent."""
        self._sock.close()

    def is_stale(self) -> bool:
        """Whether an idle connection cannot be used again: closed by the other side, or with bytes nobody asked for."""
        try:
            self._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _set_receive_timeout(self, timeout_s: float) -> None:
        if timeout_s != self._receive_timeout_s:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(timeout_s))
            self._receive_timeout_s = timeout_s

    def _receive_once(self, buffer: memoryview) -> int:
        try:
            return self._sock.recv_into(buffer, len(buffer), socket.MSG_WAITALL)
        except BlockingIOError:
            raise TimeoutError(f"{self.peer} sent nothing for {self._receive_timeout_s:g} s") from None


def frame(header: Message, body_bytes: int = 0) -> bytes:
    """The prefix and header of a frame, after which `body_bytes` bytes of body must be sent."""
    encoded = header.SerializeToString()
    assert len(encoded) <= HEADER_BYTES_MAX
    assert body_bytes <= PIECE_BYTES_MAX
    return _PREFIX.pack(_MAGIC, len(encoded), body_bytes) + encoded


def _rest(parts: list[memoryview], sent: int) -> list[memoryview]:
    """What is left of `parts` after their first `sent` bytes."""
    for index, part in enumerate(parts):
        if sent < len(part):
            return [part[sent:], *parts[index + 1 :]]
        sent -= len(part)
    return []


def _timeval(timeout_s: float) -> bytes:
    seconds = int(timeout_s)
    return _TIMEVAL.pack(seconds, max(int((timeout_s - seconds) * 1e6), 0 if seconds else 1000))


def _name_of(sock: socket.socket) -> str:
    try:
        host, port = sock.getpeername()[:2]
    except OSError:
        return "a peer that is gone"
    return f"{host}:{port}"
