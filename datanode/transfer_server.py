"""The transfer service: accepts connections and serves each in a thread of its own, a bounded number at once.

Owns the listening socket and the connections' threads. One connection carries one write, or any
number of reads one after the other.
"""

import socket
import threading
import time

from cairnfs.common.errors import BadConfig, CairnError, ProtocolError
from cairnfs.common.logs import EventLogger
from cairnfs.common.transfer import PeerClosed, Wire
from cairnfs.datanode.access import AccessGuard
from cairnfs.datanode.buffers import BufferBudget
from cairnfs.datanode.read_stream import serve_read
from cairnfs.datanode.statuses import RequestRefused, status_of
from cairnfs.datanode.volumes import Volumes
from cairnfs.datanode.write_stream import serve_write
from cairnfs.protos import transfer_pb2 as pb

_PREAMBLE_TIMEOUT_S = 10.0
_IDLE_TIMEOUT_S = 120.0
_REFUSED_MAX = 32
_STOP_S = 5.0

log = EventLogger("transfer")


class TransferServer:
    """Serves reads and writes of the blocks in `volumes`."""

    def __init__(
        self,
        listen: tuple[str, int],
        volumes: Volumes,
        guard: AccessGuard,
        *,
        connections_max: int = 512,
        timeout_s: float = 30.0,
        buffers_extra: int = 48,
    ) -> None:
        """Bind to (host, port) (BadConfig where that cannot be; port 0: any) and start accepting."""
        self._volumes = volumes
        self._guard = guard
        self._connections_max = connections_max
        self._timeout_s = timeout_s
        self._budget = BufferBudget(buffers_extra)
        self._lock = threading.Lock()
        self._connections: dict[Wire, threading.Thread] = {}
        self._ended = threading.Condition(self._lock)
        self._accepted = 0
        self._streams = 0
        self._stopping = threading.Event()
        self._listener = _listen(listen)
        self._acceptor = threading.Thread(target=self._accept_loop, name="acceptor")
        self._acceptor.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listener.getsockname()[1])

    @property
    def accepted(self) -> int:
        """How many connections have been accepted since the start."""
        with self._lock:
            return self._accepted

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait until no connection is left; whether that came in time."""
        with self._lock:
            return self._ended.wait_for(lambda: not self._connections, timeout_s)

    @property
    def streams(self) -> int:
        """How many reads and writes are being served."""
        with self._lock:
            return self._streams

    def stop(self) -> None:
        """Accept no more, end all connections and wait for their threads; idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            connections = dict(self._connections)
        for wire in connections:
            wire.shutdown()
        deadline = time.monotonic() + _STOP_S
        for thread in connections.values():
            thread.join(max(deadline - time.monotonic(), 0))

    def _accept_loop(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return
                log.warning("accept_failed", error=error)
                self._stopping.wait(0.1)  # out of file descriptors: let some connections end
                continue
            self._start(sock)

    def _start(self, sock: socket.socket) -> None:
        try:
            wire = Wire(sock, self._timeout_s)
        except OSError as error:
            log.info("connection_lost", error=error)
            sock.close()
            return
        with self._lock:
            self._accepted += 1
            count = len(self._connections)
            if count >= self._connections_max + _REFUSED_MAX or self._stopping.is_set():
                wire.close()
                return
            is_refused = count >= self._connections_max
            thread = threading.Thread(target=self._serve, args=(wire, is_refused), name=f"transfer-{wire.peer}")
            try:
                thread.start()
            except RuntimeError as error:  # no more threads: this one is turned away, those that come later may not be
                log.warning("connection_refused", peer=wire.peer, error=error)
                wire.close()
                return
            self._connections[wire] = thread

    def _serve(self, wire: Wire, is_refused: bool) -> None:
        try:
            wire.accept_preamble(_PREAMBLE_TIMEOUT_S)
            while self._serve_request(wire, is_refused):
                pass
        except PeerClosed:
            pass  # between two requests: the usual end
        except ProtocolError as error:
            log.warning("foreign_connection", peer=wire.peer, error=error)
        except OSError as error:
            log.info("connection_lost", peer=wire.peer, error=error)
        finally:
            wire.close()
            with self._lock:
                self._connections.pop(wire, None)
                self._ended.notify_all()

    def _serve_request(self, wire: Wire, is_refused: bool) -> bool:
        """Serve one request; whether another may follow on the connection."""
        request, body_bytes = wire.receive(pb.Request, wait_s=_IDLE_TIMEOUT_S)
        if body_bytes:
            raise ProtocolError(f"a request came with {body_bytes} bytes of body")
        with self._lock:
            self._streams += 1
        try:
            if is_refused:
                raise RequestRefused(pb.BUSY, f"this datanode serves {self._connections_max} connections already")
            kind = self._guard.check(request)
            if kind == "read":
                serve_read(wire, request.read, self._volumes)
                return True
            serve_write(wire, request, self._volumes, self._budget)
            return False
        except (RequestRefused, CairnError) as error:
            status, message = status_of(error), str(error)
        finally:
            with self._lock:
                self._streams -= 1
        log.info("request_refused", peer=wire.peer, status=pb.Status.Name(status), message=message)
        wire.send(pb.Answer(statuses=[status], message=message))
        return not is_refused


def _listen(address: tuple[str, int]) -> socket.socket:
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise BadConfig(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener
