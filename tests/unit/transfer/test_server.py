"""The transfer service against those who should not be served, and those who are too many."""

import socket
import threading
from contextlib import ExitStack, closing

import pytest

from cairnfs.client.block_reader import BlockReader, ReplicaFailed
from cairnfs.client.block_writer import BlockWriter, PipelineFailed
from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.operations import LocatedBlock
from cairnfs.common.tokens import make_token
from cairnfs.common.transfer import PROTOCOL_VERSION, Wire, checksums
from cairnfs.datanode.access import AccessGuard
from cairnfs.datanode.statuses import RequestRefused
from cairnfs.protos import transfer_pb2 as pb
from tests.unit.transfer.conftest import MakeNodes
from tests.unit.transfer.nodes import CLUSTER, KEY, locate


def knock(address: str, sent: bytes) -> bytes:
    """Send something, say that this was all, and return the answer once the other side has closed."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as sock:
        answer = b""
        try:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65_536):
                answer += data
        except OSError:  # reset: not all that was sent had been read
            return answer
        return answer


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"\0" * 1000, b"\xff" * 1000, b"x"],
)
def test_garbage_is_told_once_and_closed(
    make_nodes: MakeNodes, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    """A foreign protocol on the port gets no answer, one line in the log, and harms nobody else."""
    (node,) = make_nodes(1)
    assert knock(node.address, garbage) == b""
    with BlockWriter(locate(1, [node.address]), CLUSTER) as writer:
        writer.send(b"fine")
        writer.flush()
    node.server.stop()
    lines = [record for record in caplog.records if record.message == "foreign_connection"]
    assert len(lines) == 1


@pytest.mark.parametrize("kind", ["cluster", "token", "version", "unregistered", "nothing"])
def test_requests_that_are_not_allowed_are_refused(make_nodes: MakeNodes, kind: str) -> None:
    """Wrong cluster, wrong token, other version, no registration yet, no request: each has its status."""
    guard = AccessGuard(CLUSTER)
    request = pb.Request(protocol_version=PROTOCOL_VERSION, cluster_id=CLUSTER)
    request.read.CopyFrom(pb.ReadBlock(block=1, generation=1, token=locate(1, ["x:1"]).token))
    if kind != "unregistered":
        guard.set_token_key(KEY)
        guard_status = {
            "cluster": pb.WRONG_CLUSTER, "token": pb.BAD_TOKEN, "version": pb.BAD_REQUEST, "nothing": pb.BAD_REQUEST,
        }[kind]  # fmt: skip
        assert guard.check(request) == "read"
    else:
        guard_status = pb.BUSY
    if kind == "cluster":
        request.cluster_id = "another"
    elif kind == "token":
        request.read.block = 2
    elif kind == "version":
        request.protocol_version = 99
    elif kind == "nothing":
        request.ClearField("read")
    with pytest.raises(RequestRefused) as caught:
        guard.check(request)
    assert caught.value.status == guard_status


def test_tokens_are_checked_for_right_and_generation(make_nodes: MakeNodes) -> None:
    """A token for reading does not write, one of another generation neither; a forged or empty one does nothing."""
    (node,) = make_nodes(1)
    place = locate(1, [node.address])
    reading = make_token(KEY, 1, 1, writable=False, now_s=2_000_000_000)
    other = locate(1, [node.address], generation=2).token
    expired = make_token(KEY, 1, 1, writable=True, now_s=1_000_000_000)
    forged = make_token(b"z" * 32, 1, 1, writable=True, now_s=2_000_000_000)
    for token in (reading, other, expired, forged, b""):
        located = LocatedBlock(1, 1, 0, place.replicas, token)
        with pytest.raises(PipelineFailed) as caught:
            BlockWriter(located, CLUSTER)
        assert caught.value.statuses == (pb.BAD_TOKEN,)


def test_the_wrong_cluster_is_told_to_writer_and_reader(make_nodes: MakeNodes, closing_stack: ExitStack) -> None:
    """Client and datanode of two clusters part with WRONG_CLUSTER, naming both."""
    (node,) = make_nodes(1)
    located = locate(1, [node.address])
    with pytest.raises(PipelineFailed, match="belongs to cluster 'transfers', not to 'another'") as caught:
        BlockWriter(located, "another")
    assert caught.value.statuses == (pb.WRONG_CLUSTER,)
    reader = closing_stack.enter_context(closing(BlockReader("another")))
    with pytest.raises(ReplicaFailed, match="WRONG_CLUSTER"):
        reader.read_into(located, located.replicas[0], 0, memoryview(bytearray(1)))


def test_too_many_connections_are_told_busy(make_nodes: MakeNodes, closing_stack: ExitStack) -> None:
    """Beyond its bound a datanode answers BUSY; when a place is free again it serves."""
    (node,) = make_nodes(1, connections_max=2)
    writers = [closing_stack.enter_context(BlockWriter(locate(b, [node.address]), CLUSTER)) for b in (1, 2)]
    with pytest.raises(PipelineFailed) as caught:
        BlockWriter(locate(3, [node.address]), CLUSTER)
    assert caught.value.statuses == (pb.BUSY,)
    for writer in writers:
        writer.send(b"x")
        writer.flush()
        writer.close()
    node.server.wait_until_idle(10)
    with BlockWriter(locate(3, [node.address]), CLUSTER) as writer:
        writer.send(b"x")
        writer.flush()


@pytest.mark.parametrize(
    "packet",
    [
        pb.Packet(offset=5, length=4),
        pb.Packet(offset=0, length=3),
        pb.Packet(offset=0, length=0),
        pb.Packet(offset=0, length=4, checksums=b"12345678"),
        pb.Packet(offset=0, length=4, checksums=b"1234"),
    ],
)
def test_packets_that_do_not_fit_end_the_stream(make_nodes: MakeNodes, packet: pb.Packet) -> None:
    """A gap, a wrong length, an empty packet, a wrong number of checksums, a wrong checksum: told, and not stored."""
    (node,) = make_nodes(1)
    located = locate(1, [node.address])
    wire = Wire.connect(node.address, 5.0)
    request = pb.Request(protocol_version=PROTOCOL_VERSION, cluster_id=CLUSTER)
    request.write.CopyFrom(pb.WriteBlock(block=1, generation=1, token=located.token))
    wire.send(request)
    assert wire.receive(pb.Answer)[0].statuses == [pb.OK]
    if not packet.checksums:
        packet.checksums = checksums(b"abcd")
    wire.send(packet, b"abcd" if packet.length else b"")
    ack, _ = wire.receive(pb.Ack)
    assert ack.offset == 0
    assert ack.statuses[0] in (pb.BAD_REQUEST, pb.CORRUPT)
    wire.close()
    node.server.stop()
    assert node.volumes.find(1) is None


def test_stopping_ends_streams_at_once(make_nodes: MakeNodes) -> None:
    """A server that stops with streams open does not wait for their clients, who are told."""
    (node,) = make_nodes(1)
    writer = BlockWriter(locate(1, [node.address]), CLUSTER, timeout_s=30)
    stopper = threading.Thread(target=node.server.stop)
    stopper.start()
    stopper.join(5)
    assert not stopper.is_alive()
    with pytest.raises(PipelineFailed):  # noqa: PT012 - the first send may still fit into the buffers
        for _ in range(100):
            writer.send(bytes(PIECE_BYTES_MAX))
    writer.close()


def test_no_thread_for_a_connection_is_no_end_of_the_service(
    make_nodes: MakeNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system gives no more threads the connection is closed; the next one, when there are some, is served."""
    (node,) = make_nodes(1)
    start = threading.Thread.start

    def is_out_of_threads(thread: threading.Thread) -> None:
        if thread.name.startswith("transfer-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", is_out_of_threads)
        assert knock(node.address, b"") == b""
    with BlockWriter(locate(1, [node.address]), CLUSTER) as writer:
        writer.send(b"fine")
        writer.flush()
