"""Reading a replica: verified bytes or an error, over connections that are used again."""

import contextlib
import threading
from contextlib import ExitStack, closing

import pytest

from cairnfs.client.block_reader import BlockReader, ReplicaFailed
from cairnfs.client.block_writer import BlockWriter
from cairnfs.common.blocks import CHECKSUM_RUN_BYTES, PIECE_BYTES_MAX
from cairnfs.common.operations import LocatedBlock
from cairnfs.protos import transfer_pb2 as pb
from tests.unit.transfer.conftest import MakeNodes
from tests.unit.transfer.nodes import (
    CLUSTER,
    LocalNode,
    Stand,
    flip_once,
    locate,
    make_bytes,
    make_return_relay,
    make_silent_member,
    send_all,
)

LENGTH = 3 * PIECE_BYTES_MAX + 100_000
DATA = make_bytes(1, LENGTH)


@pytest.fixture
def node(make_nodes: MakeNodes) -> LocalNode:
    """A datanode that has block 1: three whole pieces, then small ones."""
    (made,) = make_nodes(1)
    with BlockWriter(locate(1, [made.address]), CLUSTER) as writer:
        send_all(writer, DATA[: 3 * PIECE_BYTES_MAX])
        send_all(writer, DATA[3 * PIECE_BYTES_MAX :], 30_000)
        writer.flush()
    return made


@pytest.fixture
def reader(closing_stack: ExitStack) -> BlockReader:
    return closing_stack.enter_context(closing(BlockReader(CLUSTER, timeout_s=5.0)))


def read(reader: BlockReader, located: LocatedBlock, offset: int, length: int) -> bytes:
    into = bytearray(length)
    reader.read_into(located, located.replicas[0], offset, memoryview(into))
    return bytes(into)


RANGES = [
    (0, LENGTH),
    (0, 1),
    (LENGTH - 1, 1),
    (1, LENGTH - 2),
    (5, 0),
    (LENGTH, 0),
    (CHECKSUM_RUN_BYTES - 1, 2),
    (CHECKSUM_RUN_BYTES, CHECKSUM_RUN_BYTES),
    (PIECE_BYTES_MAX - 1, 2),
    (PIECE_BYTES_MAX + 17, PIECE_BYTES_MAX),
    (3 * PIECE_BYTES_MAX - 10, 60_000),
]


@pytest.mark.parametrize(("offset", "length"), RANGES)
def test_any_range_is_read(node: LocalNode, reader: BlockReader, offset: int, length: int) -> None:
    """Bytes of any range, across runs, pieces and the ends, are the ones that were written; streamed as well."""
    located = locate(1, [node.address], length=LENGTH)
    wanted = DATA[offset : offset + length]
    assert read(reader, located, offset, length) == wanted
    streamed = [bytes(piece) for piece in reader.stream(located, located.replicas[0], offset, length)]
    assert b"".join(streamed) == wanted


def test_connections_are_used_again(node: LocalNode, reader: BlockReader) -> None:
    """A hundred reads from four threads take four connections at most."""
    located = locate(1, [node.address])
    wrong: list[int] = []

    def work(first: int) -> None:
        places = range(first * 1000, (first + 25) * 1000, 1000)
        wrong.extend(at for at in places if read(reader, located, at, 500) != DATA[at : at + 500])

    before = node.server.accepted
    threads = [threading.Thread(target=work, args=(number * 25,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert node.server.accepted - before <= 4


def test_a_stream_left_early_is_closed(node: LocalNode, reader: BlockReader) -> None:
    """Who leaves a stream in the middle gets nothing of it into a later read."""
    located = locate(1, [node.address])
    stream = reader.stream(located, located.replicas[0], 0, LENGTH)
    next(stream)
    stream.close()
    assert read(reader, located, 1000, 1000) == DATA[1000:2000]


def test_a_kept_connection_that_was_closed_is_replaced(make_nodes: MakeNodes, reader: BlockReader) -> None:
    """A datanode that was restarted on its port is read from without an error."""
    (made,) = make_nodes(1)
    located = locate(1, [made.address])
    with BlockWriter(located, CLUSTER) as writer:
        writer.send(b"x" * 10)
        writer.flush()
    assert read(reader, located, 0, 10) == b"x" * 10
    made.restart_server()
    assert read(reader, located, 0, 10) == b"x" * 10


@pytest.mark.parametrize("position", [CHECKSUM_RUN_BYTES, 2 * PIECE_BYTES_MAX, LENGTH - 50_000])
def test_a_byte_flipped_on_the_way_is_never_returned(
    node: LocalNode, reader: BlockReader, closing_stack: ExitStack, position: int
) -> None:
    """One wrong bit between datanode and client fails the read as corrupt, wherever it is."""
    relay = closing_stack.enter_context(closing(make_return_relay(node.address, flip_once(position))))
    located = locate(1, [relay.address])
    with pytest.raises(ReplicaFailed) as caught:
        read(reader, located, 0, LENGTH)
    assert (caught.value.is_corrupt, caught.value.node) == (True, 1)
    assert read(reader, locate(1, [node.address]), 0, LENGTH) == DATA


def test_a_byte_flipped_on_the_disk_is_never_returned(node: LocalNode, reader: BlockReader) -> None:
    """A replica that rots on the disk fails as corrupt; ranges that do not touch the damage are still read."""
    at = 2 * PIECE_BYTES_MAX + 300_000
    located = locate(1, [node.address])
    node.flip_on_disk(DATA[at : at + 64])
    with pytest.raises(ReplicaFailed, match="CORRUPT") as caught:
        read(reader, located, 0, LENGTH)
    assert caught.value.is_corrupt
    with pytest.raises(ReplicaFailed):
        read(reader, located, at - 100, 50)
    assert read(reader, located, 0, PIECE_BYTES_MAX) == DATA[:PIECE_BYTES_MAX]


@pytest.mark.parametrize(
    ("block", "generation", "offset", "length", "status"),
    [
        (2, 1, 0, 1, pb.NOT_FOUND),
        (1, 1, 0, LENGTH + 1, pb.BAD_REQUEST),
        (1, 1, LENGTH + 1, 0, pb.BAD_REQUEST),
    ],
)
def test_what_cannot_be_read_is_told(
    node: LocalNode, reader: BlockReader, block: int, generation: int, offset: int, length: int, status: pb.Status
) -> None:
    """A missing block and a range beyond the end are told."""
    located = locate(block, [node.address], generation=generation)
    with pytest.raises(ReplicaFailed) as caught:
        read(reader, located, offset, length)
    assert caught.value.status == status
    assert not caught.value.is_corrupt


def test_a_copy_of_another_generation_is_read(node: LocalNode, reader: BlockReader) -> None:
    """What lies at an offset of a block is the same in all generations: a survivor not reached again still serves."""
    located = locate(1, [node.address], generation=2)
    assert read(reader, located, 0, LENGTH) == DATA


def test_a_dead_or_silent_datanode_fails_the_replica(reader: BlockReader, closing_stack: ExitStack) -> None:
    """No listener, a listener that says nothing, and one that answers garbage: ReplicaFailed, within the timeout."""
    hasty = closing_stack.enter_context(closing(BlockReader(CLUSTER, timeout_s=0.3)))
    silent = closing_stack.enter_context(closing(Stand(lambda sock: None)))
    mute = closing_stack.enter_context(closing(make_silent_member()))
    foreign = closing_stack.enter_context(
        closing(Stand(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
    )
    for stand in (silent, mute, foreign):
        with pytest.raises(ReplicaFailed) as caught:
            read(hasty, locate(1, [stand.address]), 0, 10)
        assert not caught.value.is_corrupt
    with closing(Stand(lambda sock: None)) as gone:
        located = locate(1, [gone.address])
    with pytest.raises(ReplicaFailed):
        read(hasty, located, 0, 10)


def test_a_replica_deleted_under_a_reader_ends_the_read(node: LocalNode, reader: BlockReader) -> None:
    """What has been handed out is right; then the read fails, and nothing wrong is returned."""
    located = locate(1, [node.address])
    stream = reader.stream(located, located.replicas[0], 0, LENGTH)
    got = bytes(next(stream))
    assert node.volumes.delete(1, 1).result(5) is True
    with contextlib.suppress(ReplicaFailed):
        for piece in stream:
            got += piece
    assert DATA.startswith(got)


def test_slow_readers_do_not_hold_transactions(node: LocalNode, closing_stack: ExitStack) -> None:
    """A client that reads nothing for a while still gets every byte, from copies."""
    located = locate(1, [node.address])
    reader = closing_stack.enter_context(closing(BlockReader(CLUSTER, timeout_s=20.0)))
    streams = [reader.stream(located, located.replicas[0], 0, LENGTH) for _ in range(3)]
    firsts = [bytes(next(stream)) for stream in streams]
    for first, stream in zip(firsts, streams, strict=True):
        assert first + b"".join(map(bytes, stream)) == DATA
