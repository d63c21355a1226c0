"""Block reports that are on their way while blocks are written: what a report cannot know, it does not decide."""

from collections.abc import Iterator
from functools import partial

import msgspec
import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import Attributes
from cairnfs.common.channels import open_channel
from cairnfs.protos import datanode_pb2, datanode_pb2_grpc
from tests.namenode.fake_datanodes import VOLUME, beat, register_datanodes
from tests.namenode.group import CLUSTER_ID, NamenodeGroup, wait_until
from tests.namenode.raw_session import RawSession

LENGTH = 1000


@pytest.fixture(scope="module")
def nodes(group: NamenodeGroup) -> list[int]:
    """Three datanodes that exist in the registry only."""
    return register_datanodes(group)


@pytest.fixture
def ino(session: RawSession) -> int:
    """A file that the session holds open."""
    opened = msgspec.msgpack.decode(session.do(ops.CreateOrphan(0o644)), type=ops.FileMap)
    return Attributes.unpack(opened.record).ino


@pytest.fixture
def registry(group: NamenodeGroup) -> Iterator[datanode_pb2_grpc.RegistryStub]:
    """The leader's registry."""
    with open_channel(group.members[group.leader()]) as channel:
        yield datanode_pb2_grpc.RegistryStub(channel)


def allocate(session: RawSession, ino: int) -> ops.LocatedBlock:
    return msgspec.msgpack.decode(session.do(ops.AllocateBlock(ino)), type=ops.LocatedBlock)


def commit(session: RawSession, ino: int, located: ops.LocatedBlock) -> None:
    """Seal a block, with LENGTH bytes in it."""
    extent = ops.Extent(located.block * LENGTH, LENGTH, located.block, 0)
    session.do(ops.Commit(ino, (extent,), (ops.BlockCommit(located.block, located.generation, LENGTH, seal=True),)))


def heartbeat(registry: datanode_pb2_grpc.RegistryStub, node: int) -> datanode_pb2.HeartbeatReply:
    request = datanode_pb2.HeartbeatRequest(
        cluster_id=CLUSTER_ID,
        node_id=node,
        uuid=f"datanode-{node}",
        address=f"127.0.0.1:{40_000 + node}",
        volumes=[VOLUME],
    )
    reply: datanode_pb2.HeartbeatReply = registry.Heartbeat(request, timeout=10)
    return reply


def report(registry: datanode_pb2_grpc.RegistryStub, node: int, *held: datanode_pb2.Held) -> datanode_pb2.ReportReply:
    part = datanode_pb2.BlockReport(cluster_id=CLUSTER_ID, node_id=node, held=held)
    reply: datanode_pb2.ReportReply = registry.ReportBlocks(iter([part]), timeout=10)
    return reply


def replicas(group: NamenodeGroup, block: int) -> set[int]:
    record = group.servers[group.leader()].node.inspect(lambda state: state.block(block))
    assert record is not None
    return set(record.replicas)


def test_a_report_does_not_judge_what_was_written_while_it_was_made(
    group: NamenodeGroup, session: RawSession, ino: int, nodes: list[int]
) -> None:
    """The story of a new leader's first second, when every datanode reports and writers go on.

    1. One block is open when the datanodes are asked; they have half of it.
    2. They look through their volumes.
    3. The block gets its other half and is sealed; another one is made, written and sealed.
    4. The reports arrive: half of the first block, nothing of the second. Both keep their copies.
    """
    group.move_leadership()
    leader = group.leader()
    session.held = [ino]
    session.connect(group.addresses)
    with open_channel(group.members[leader]) as channel:
        registry = datanode_pb2_grpc.RegistryStub(channel)
        for node in nodes:
            wait_until(partial(beat, group, leader, node, f"datanode-{node}", f"127.0.0.1:{40_000 + node}"), "known")
        first = allocate(session, ino)
        assert all(heartbeat(registry, node).report_blocks for node in nodes)
        commit(session, ino, first)
        second = allocate(session, ino)
        commit(session, ino, second)
        for node in nodes:
            half = datanode_pb2.Held(block=first.block, generation=1, length=LENGTH // 2)
            assert report(registry, node, half).accepted
        assert replicas(group, first.block) == set(nodes)
        assert replicas(group, second.block) == set(nodes)


def test_a_report_that_was_not_asked_for_is_asked_for(
    group: NamenodeGroup, session: RawSession, ino: int, nodes: list[int], registry: datanode_pb2_grpc.RegistryStub
) -> None:
    """A volume has failed: the report before the leader's mark is not taken, the one after it tells of the loss."""
    node = nodes[0]
    block = allocate(session, ino)
    commit(session, ino, block)
    if heartbeat(registry, node).report_blocks:
        everything = datanode_pb2.Held(block=block.block, generation=1, length=LENGTH)
        assert report(registry, node, everything).accepted
    assert not heartbeat(registry, node).report_blocks
    assert not report(registry, node).accepted
    assert replicas(group, block.block) == set(nodes)
    assert heartbeat(registry, node).report_blocks
    assert report(registry, node).accepted
    assert replicas(group, block.block) == set(nodes) - {node}
