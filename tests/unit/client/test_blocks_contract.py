"""The contract of block_access.Blocks, kept by real datanodes over TCP and by those in memory that other tests use."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cairnfs.client.block_access import Blocks, TransferBlocks
from cairnfs.client.block_reader import ReplicaFailed
from cairnfs.client.block_writer import PipelineFailed
from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.operations import LocatedBlock, Replica
from cairnfs.common.transfer import Bytes
from cairnfs.protos import transfer_pb2 as pb
from tests.unit.client.memory_blocks import MemoryBlocks
from tests.unit.transfer.nodes import CLUSTER, LocalNode, locate

Located = Callable[..., LocatedBlock]


class Memory:
    """Three nodes in memory."""

    def __init__(self) -> None:
        self.blocks = MemoryBlocks()

    def locate(self, block: int, *, generation: int = 1, length: int = 0) -> LocatedBlock:
        replicas = tuple(Replica(node, f"{node}:1") for node in self.blocks.nodes)
        return LocatedBlock(block, generation, length, replicas, b"")

    def kill(self, node: int) -> None:
        self.blocks.nodes[node].is_dead = True

    def close(self) -> None:
        self.blocks.close()


class Real:
    """Three nodes of their own threads and sockets."""

    def __init__(self, folder: Path) -> None:
        self._nodes = {number: LocalNode(folder / str(number)) for number in (1, 2, 3)}
        self._addresses = {number: node.address for number, node in self._nodes.items()}
        self.blocks: Blocks = TransferBlocks(CLUSTER)

    def locate(self, block: int, *, generation: int = 1, length: int = 0) -> LocatedBlock:
        addresses = [self._addresses[number] for number in (1, 2, 3)]
        return locate(block, addresses, generation=generation, length=length)

    def kill(self, node: int) -> None:
        self._nodes.pop(node).close()

    def close(self) -> None:
        self.blocks.close()
        for node in self._nodes.values():
            node.close()


@pytest.fixture(params=["memory", "real"])
def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Memory | Real]:
    nodes: Memory | Real = Memory() if request.param == "memory" else Real(tmp_path)
    yield nodes
    nodes.close()


def nothing(piece: Bytes) -> None:
    """For writers whose acknowledgements do not matter."""


def read(blocks: Blocks, located: LocatedBlock, node: int, offset: int, length: int) -> bytes:
    into = bytearray(length)
    blocks.read_into(located, located.replicas[node - 1], offset, memoryview(into))
    return bytes(into)


def test_what_is_flushed_is_on_every_replica(nodes: Memory | Real) -> None:
    """After a flush every replica has every byte, and each piece has been acknowledged once."""
    acked: list[Bytes] = []
    located = nodes.locate(7)
    writer = nodes.blocks.open_writer(located, 0, acked.append)
    pieces = [b"a" * 10, b"b" * 100_000, b"c"]
    for piece in pieces:
        writer.send(piece)
    assert writer.flush() == writer.acked_offset == 100_011
    assert writer.unacked() == []
    writer.close()
    assert acked == pieces
    for node in (1, 2, 3):
        assert read(nodes.blocks, located, node, 0, 100_011) == b"".join(pieces)
        assert read(nodes.blocks, located, node, 9, 3) == b"abb"


def test_a_stream_gives_the_range(nodes: Memory | Real) -> None:
    """A stream's pieces, end to end, are the range that was asked for."""
    located = nodes.locate(7)
    writer = nodes.blocks.open_writer(located, 0, nothing)
    data = bytes(range(256)) * (PIECE_BYTES_MAX // 256 + 500)
    writer.send(data[:PIECE_BYTES_MAX])
    writer.send(data[PIECE_BYTES_MAX:])
    writer.flush()
    writer.close()
    pieces = nodes.blocks.stream(located, located.replicas[1], 1000, len(data) - 2000)
    assert b"".join(bytes(piece) for piece in pieces) == data[1000:-1000]


def test_a_newer_generation_continues_where_it_says(nodes: Memory | Real) -> None:
    """A writer of the next generation cuts the replicas to its offset and goes on from there."""
    writer = nodes.blocks.open_writer(nodes.locate(7), 0, nothing)
    writer.send(b"0123456789")
    writer.flush()
    writer.close()
    located = nodes.locate(7, generation=2)
    writer = nodes.blocks.open_writer(located, 4, nothing)
    writer.send(b"abc")
    writer.flush()
    writer.close()
    assert read(nodes.blocks, located, 2, 0, 7) == b"0123abc"


def test_a_dead_member_fails_the_chain_by_name(nodes: Memory | Real) -> None:
    """A chain with a dead node cannot be opened, and PipelineFailed names that node."""
    nodes.kill(2)
    with pytest.raises(PipelineFailed) as failed:
        nodes.blocks.open_writer(nodes.locate(7), 0, nothing)
    assert 2 in failed.value.failed_nodes
    assert 3 not in failed.value.failed_nodes


def test_a_replica_that_is_not_there_fails_by_name(nodes: Memory | Real) -> None:
    """Reading a block that a node has not, and reading from a dead node, is ReplicaFailed with that node's number."""
    located = nodes.locate(8, length=10)
    with pytest.raises(ReplicaFailed) as failed:
        read(nodes.blocks, located, 3, 0, 10)
    assert failed.value.node == 3
    assert failed.value.status == pb.NOT_FOUND
    nodes.kill(1)
    with pytest.raises(ReplicaFailed) as failed:
        read(nodes.blocks, located, 1, 0, 10)
    assert failed.value.node == 1
    assert not failed.value.is_corrupt
