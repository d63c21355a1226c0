"""Datanodes without a namenode, in this process or in others, and things that stand in a chain's way."""

import multiprocessing
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from cairnfs.client.block_reader import BlockReader
from cairnfs.client.block_writer import BlockWriter
from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.operations import LocatedBlock, Replica
from cairnfs.common.tokens import make_token
from cairnfs.common.transfer import Wire
from cairnfs.datanode.access import AccessGuard
from cairnfs.datanode.environment import Limits
from cairnfs.datanode.transfer_server import TransferServer
from cairnfs.datanode.volumes import Volumes
from cairnfs.protos import transfer_pb2 as pb

CLUSTER = "transfers"
KEY = b"k" * 32
HOST = "127.0.0.1"


def make_bytes(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


def locate(block: int, addresses: Sequence[str], *, generation: int = 1, length: int = 0) -> LocatedBlock:
    """A block on the datanodes at `addresses`, which are nodes 1, 2, …"""
    token = make_token(KEY, block, generation, writable=True, now_s=int(time.time()))
    replicas = tuple(Replica(number, address) for number, address in enumerate(addresses, start=1))
    return LocatedBlock(block, generation, length, replicas, token)


class LocalNode:
    """A datanode in this process."""

    def __init__(self, folder: Path, *, capacity_bytes: int = 0, connections_max: int = 64) -> None:
        limits = Limits(reserve_bytes=0, capacity_bytes=capacity_bytes)
        self.volumes = Volumes.open([folder], CLUSTER, limits)
        self.guard = AccessGuard(CLUSTER)
        self.guard.set_token_key(KEY)
        self._folder = folder
        self._limits = limits
        self._connections_max = connections_max
        self.server = self._serve(0)
        self.address = f"{HOST}:{self.server.port}"

    def _serve(self, port: int) -> TransferServer:
        address = HOST, port
        return TransferServer(address, self.volumes, self.guard, connections_max=self._connections_max, timeout_s=5.0)

    def restart_server(self) -> None:
        """Stop the service and start it again on the same port."""
        port = self.server.port
        self.server.stop()
        self.server = self._serve(port)

    def flip_on_disk(self, content: bytes) -> None:
        """Stop, change one bit where `content` lies on the disk, and start again on the same port."""
        port = self.server.port
        self.close()
        path = self._folder / "data.mdb"
        at = path.read_bytes().index(content)
        with path.open("r+b") as file:
            file.seek(at)
            file.write(bytes([content[0] ^ 1]))
        self.volumes = Volumes.open([self._folder], CLUSTER, self._limits)
        self.server = self._serve(port)

    def close(self) -> None:
        self.server.stop()
        self.volumes.close()


def run_datanode(folder: Path, pipe: Connection) -> None:
    """The whole life of a datanode process: tell the port, stop when told."""
    node = LocalNode(folder)
    pipe.send(node.server.port)
    pipe.recv()
    node.close()


class NodeProcess:
    """A datanode in a process of its own, to be killed."""

    def __init__(self, folder: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, there = spawn.Pipe()
        self.process = spawn.Process(target=run_datanode, args=(folder, there))
        self.process.start()

    def wait_for_address(self) -> str:
        return f"{HOST}:{self._pipe.recv()}"

    def close(self) -> None:
        if self.process.is_alive():
            self._pipe.send("stop")
        self.process.join()
        self._pipe.close()


class Stand:
    """A listener that treats each connection as told, each in a thread of its own."""

    def __init__(self, treat: Callable[[socket.socket], None]) -> None:
        self._treat = treat
        self._listener = socket.create_server((HOST, 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def keep(self, sock: socket.socket) -> socket.socket:
        """Close this one too in the end."""
        self._sockets.append(sock)
        return sock

    def start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed by the other side already
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.keep(sock)
            self.start(self._treat, sock)


def make_relay(to: str, change: Callable[[int, bytearray], None]) -> Stand:
    """A stand that passes everything on to a datanode, letting `change` (position, bytes) alter what flows to it."""
    host, port = to.rsplit(":", 1)

    def treat(sock: socket.socket) -> None:
        onward = stand.keep(socket.create_connection((host, int(port))))
        stand.start(pump, onward, sock, lambda _position, _data: None)
        pump(sock, onward, change)

    stand = Stand(treat)
    return stand


def make_return_relay(to: str, change: Callable[[int, bytearray], None]) -> Stand:
    """As make_relay, altering what flows back from the datanode."""
    host, port = to.rsplit(":", 1)

    def treat(sock: socket.socket) -> None:
        onward = stand.keep(socket.create_connection((host, int(port))))
        stand.start(pump, onward, sock, change)
        pump(sock, onward, lambda _position, _data: None)

    stand = Stand(treat)
    return stand


def pump(source: socket.socket, sink: socket.socket, change: Callable[[int, bytearray], None]) -> None:
    """Pass bytes on until either end closes."""
    position = 0
    try:
        while data := source.recv(65_536):
            altered = bytearray(data)
            change(position, altered)
            position += len(data)
            sink.sendall(altered)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def make_silent_member() -> Stand:
    """A stand that opens every write well, takes all packets and never acknowledges one."""

    def treat(sock: socket.socket) -> None:
        wire = Wire(sock, 30.0)
        try:
            wire.accept_preamble(5.0)
            request, _ = wire.receive(pb.Request)
            wire.send(pb.Answer(statuses=[pb.OK] * (1 + len(request.write.chain))))
            while sock.recv(1 << 20):
                pass
        except OSError:
            return

    return Stand(treat)


def flip_once(position: int) -> Callable[[int, bytearray], None]:
    """A change of one bit at a position of the stream."""

    def change(start: int, data: bytearray) -> None:
        if start <= position < start + len(data):
            data[position - start] ^= 1

    return change


def send_all(writer: BlockWriter, data: bytes, size: int = PIECE_BYTES_MAX) -> None:
    view = memoryview(data)
    for at in range(0, len(data), size):
        writer.send(view[at : at + size])


def read_replica(located: LocatedBlock, node: int, length: int) -> bytes:
    """What node number `node` has of the block."""
    into = bytearray(length)
    reader = BlockReader(CLUSTER, timeout_s=5.0)
    try:
        reader.read_into(located, located.replicas[node - 1], 0, memoryview(into))
    finally:
        reader.close()
    return bytes(into)
