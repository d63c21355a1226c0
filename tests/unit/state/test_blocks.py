"""The block map: allocation, commits, generations, live bytes, replicas and deletions."""

import errno

import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO
from cairnfs.common.blocks import BLOCK_BYTES_MAX
from cairnfs.common.operations import BlockCommit, Commit, Extent
from cairnfs.common.tokens import is_valid
from cairnfs.namenode.state import cluster, filemap
from cairnfs.namenode.state.commands import (
    CloseSession,
    ConfirmDeletions,
    ReapOrphans,
    RegisterDatanode,
    UpdateReplicas,
)
from cairnfs.namenode.state.schema import BlockRecord
from tests.unit.state.driver import CLUSTER, Driver


@pytest.fixture
def ino(state: Driver) -> int:
    """A file."""
    return state.put(b"f").ino


def record_of(state: Driver, block: int) -> BlockRecord:
    record = state.machine.block(block)
    assert record is not None
    return record


def test_a_new_block_is_open_and_empty(state: Driver, ino: int) -> None:
    """It has the placement's replicas with their addresses, generation 1, and a token to write."""
    located = state.allocate(ino, (3, 1))
    assert (located.block, located.generation, located.length) == (1, 1, 0)
    assert located.replicas == (ops.Replica(3, "c:1"), ops.Replica(1, "a:1"))
    now_s = state.now_ns // 1_000_000_000
    assert is_valid(CLUSTER.token_key, located.token, 1, 1, writing=True, now_s=now_s)
    record = record_of(state, 1)
    assert (record.writer, record.live, record.wanted) == (state.session, 0, 3)
    assert state.machine.replicas_on(3, 0, 9) == [(1, 1, 0, True)]
    assert state.machine.next_block() == 2


@pytest.mark.parametrize(
    ("placement", "code"),
    [((), errno.EHOSTDOWN), ((1,), errno.EHOSTDOWN), ((1, 1), errno.EINVAL), ((1, 9), errno.EINVAL)],
)
def test_a_block_needs_datanodes(state: Driver, ino: int, placement: tuple[int, ...], code: int) -> None:
    """Fewer than min_replicas is EHOSTDOWN; one named twice or unknown is EINVAL."""
    assert state.errno_of(ops.AllocateBlock(ino, (), placement)) == code


def test_readers_get_a_token_to_read(state: Driver, ino: int) -> None:
    """The map locates each block once, with its committed length and a token that does not write."""
    block = state.write_block(ino, 0, 100)
    state.do(Commit(ino, (Extent(500, 10, block, 5),), ()))
    (located,) = state.map(ino).blocks
    assert (located.block, located.length) == (block, 100)
    now_s = state.now_ns // 1_000_000_000
    assert is_valid(CLUSTER.token_key, located.token, block, 1, writing=False, now_s=now_s)
    assert not is_valid(CLUSTER.token_key, located.token, block, 1, writing=True, now_s=now_s)


def test_a_sequential_file_has_one_extent_a_block(state: Driver, ino: int) -> None:
    """Commits that continue each other become one extent."""
    block = state.allocate(ino).block
    for end in (100, 250, 251):
        start = record_of(state, block).length
        state.do(Commit(ino, (Extent(start, end - start, block, start),), (BlockCommit(block, 1, end),)))
    assert state.extents(ino) == [(0, 251, block, 0)]
    assert record_of(state, block).live == 251


@pytest.mark.parametrize(
    ("commit", "code"),
    [
        (BlockCommit(1, 1, 99), errno.EINVAL),
        (BlockCommit(1, 1, BLOCK_BYTES_MAX + 1), errno.EINVAL),
        (BlockCommit(1, 2, 200), errno.ESTALE),
        (BlockCommit(1, 0, 200), errno.ESTALE),
        (BlockCommit(9, 1, 200), errno.ESTALE),
    ],
)
def test_commits_are_fenced(state: Driver, ino: int, commit: BlockCommit, code: int) -> None:
    """Lengths only grow, up to a block's size; another generation, or no such block, is ESTALE."""
    state.write_block(ino, 0, 100)
    assert state.errno_of(Commit(ino, (), (commit,))) == code
    assert record_of(state, 1).length == 100


@pytest.mark.parametrize(
    ("extent", "code"),
    [
        (Extent(0, 101, 1, 0), errno.EINVAL),
        (Extent(0, 1, 1, 100), errno.EINVAL),
        (Extent(0, 0, 1, 0), errno.EINVAL),
        (Extent(-1, 1, 1, 0), errno.EINVAL),
        (Extent(0, 1, 1, -1), errno.EINVAL),
        (Extent((1 << 63) - 50, 100, 1, 0), errno.EFBIG),
        (Extent(0, 1, 9, 0), errno.ESTALE),
    ],
)
def test_extents_lie_within_what_is_committed(state: Driver, ino: int, extent: Extent, code: int) -> None:
    """An extent names bytes that its block has, in a block that the session writes."""
    state.write_block(ino, 0, 100)
    assert state.errno_of(Commit(ino, (extent,), ())) == code


def test_only_the_writer_commits(state: Driver, ino: int) -> None:
    """Another session can neither commit to a block, nor name its bytes, nor renew it."""
    block = state.write_block(ino, 0, 100)
    other = state.open_session(b"other")
    assert state.errno_of(Commit(ino, (), (BlockCommit(block, 1, 200),)), session=other) == errno.EPERM
    assert state.errno_of(Commit(ino, (Extent(0, 1, block, 0),), ()), session=other) == errno.ESTALE
    assert state.errno_of(ops.RenewBlock(block, 1, (1, 2)), session=other) == errno.EPERM


def test_a_sealed_block_stays_as_it_is(state: Driver, ino: int) -> None:
    """After the seal there are no more bytes, no more extents by name, no new generation."""
    block = state.write_block(ino, 0, 100, seal=True)
    for operation in (
        Commit(ino, (), (BlockCommit(block, 1, 200),)),
        Commit(ino, (Extent(0, 1, block, 0),), ()),
        ops.RenewBlock(block, 1, (1, 2)),
    ):
        assert state.errno_of(operation) == errno.ESTALE
    assert not record_of(state, block).is_open


def test_a_block_committed_twice_in_one_command_is_refused(state: Driver, ino: int) -> None:
    """One command says once how long a block is."""
    block = state.allocate(ino).block
    twice = (BlockCommit(block, 1, 10), BlockCommit(block, 1, 20))
    assert state.errno_of(Commit(ino, (), twice)) == errno.EINVAL


def test_an_empty_block_goes_with_its_seal(state: Driver, ino: int) -> None:
    """A block sealed without extents is deleted, and its copies are to be."""
    block = state.allocate(ino, (1, 2)).block
    state.do(Commit(ino, (), (BlockCommit(block, 1, 50, True),)))
    assert state.machine.block(block) is None
    assert state.machine.deletions(1, 9) == state.machine.deletions(2, 9) == [(block, 1)]
    assert state.machine.deletions(3, 9) == []


def test_a_block_dies_with_its_last_extent(state: Driver, ino: int) -> None:
    """Overwritten bytes are given up in the same commit; an open block may be at zero."""
    first = state.write_block(ino, 0, 100, seal=True)
    second = state.write_block(ino, 0, 60)
    assert record_of(state, first).live == 40
    state.write_block(ino, 50, 60, seal=True)
    assert state.machine.block(first) is None
    assert record_of(state, second).live == 50
    state.put(b"f", b"")
    assert record_of(state, second).live == 0
    state.do(Commit(ino, (), (BlockCommit(second, 1, 60, True),)))
    assert state.machine.statistics().blocks == 0


def test_renewal_drops_what_did_not_survive(state: Driver, ino: int) -> None:
    """A new generation on the survivors; the others' copies are deleted up to the old one, the old one is fenced."""
    block = state.write_block(ino, 0, 100)
    located = state.do(ops.RenewBlock(block, 1, (1, 3)))
    assert (located.generation, located.length) == (2, 100)
    assert [replica.node for replica in located.replicas] == [1, 3]
    assert state.machine.deletions(2, 9) == [(block, 1)]
    assert state.machine.replicas_on(2, 0, 9) == []
    assert state.errno_of(Commit(ino, (), (BlockCommit(block, 1, 200),))) == errno.ESTALE
    assert state.errno_of(Commit(ino, (), (BlockCommit(block, 2, 200),))) == 0


@pytest.mark.parametrize(
    ("generation", "survivors", "code"),
    [(2, (1, 2), errno.ESTALE), (1, (1,), errno.EHOSTDOWN), (1, (), errno.EHOSTDOWN), (1, (1, 9), errno.EINVAL)],
)
def test_renewal_refuses(state: Driver, ino: int, generation: int, survivors: tuple[int, ...], code: int) -> None:
    """Another generation, fewer survivors than min_replicas, survivors that have no copy."""
    block = state.allocate(ino).block
    assert state.errno_of(ops.RenewBlock(block, generation, survivors)) == code


def test_a_session_that_ends_seals_its_blocks(state: Driver, ino: int) -> None:
    """At their committed length; those without extents are deleted."""
    session = state.open_session(b"other")
    used, empty = (state.allocate(ino, session=session).block for _ in range(2))
    state.do(Commit(ino, (Extent(0, 10, used, 0),), (BlockCommit(used, 1, 20),)), session=session)
    state.internal(CloseSession(session))
    assert (record_of(state, used).is_open, record_of(state, used).length) == (False, 20)
    assert state.machine.block(empty) is None
    state.internal(CloseSession(session))


def test_a_corrupt_copy_is_read_last(state: Driver, ino: int) -> None:
    """A report of the block's generation counts; one of another, or of no copy, changes nothing."""
    block = state.write_block(ino, 0, 10)
    state.do(ops.ReportCorrupt(block, 1, 1))
    state.do(ops.ReportCorrupt(block, 9, 2))
    state.do(ops.ReportCorrupt(block, 1, 9))
    state.do(ops.ReportCorrupt(99, 1, 1))
    replicas = state.map(ino).blocks[0].replicas
    assert [(replica.node, replica.is_corrupt) for replica in replicas] == [(2, False), (3, False), (1, True)]


def test_reports_change_the_block_map(state: Driver, ino: int) -> None:
    """A whole copy of the right generation is added, a missing one removed."""
    block = state.write_block(ino, 0, 10, seal=True)
    state.internal(UpdateReplicas(2, [], [block, 99]))
    assert list(record_of(state, block).replicas) == [1, 3]
    state.internal(UpdateReplicas(2, [(block, 1, 9)], []))
    assert list(record_of(state, block).replicas) == [1, 3]
    state.internal(UpdateReplicas(2, [(block, 1, 10)], []))
    assert list(record_of(state, block).replicas) == [1, 3, 2]
    assert state.machine.deletions(2, 9) == []


def test_a_report_of_garbage_orders_its_deletion(state: Driver, ino: int) -> None:
    """Copies of blocks that are gone, or that went on without the node, are deleted; unheard-of ones are left alone."""
    gone = state.write_block(ino, 0, 10, seal=True)
    state.put(b"f", b"")
    for node in (1, 2, 3):
        state.internal(ConfirmDeletions(node, [(gone, 1)]))
    renewed = state.write_block(ino, 0, 10)
    state.do(ops.RenewBlock(renewed, 1, (1, 3)))
    state.internal(ConfirmDeletions(2, [(renewed, 1)]))
    assert state.machine.deletions(2, 9) == []
    state.internal(UpdateReplicas(2, [(gone, 1, 10), (renewed, 1, 10), (77, 1, 10)], []))
    assert state.machine.deletions(2, 9) == [(gone, 1), (renewed, 1)]


def test_a_survivor_is_safe_while_it_is_renewed(state: Driver, ino: int) -> None:
    """A replica that still reports the old generation is not deleted: the pipeline is about to renew it."""
    block = state.write_block(ino, 0, 10)
    state.do(ops.RenewBlock(block, 1, (1, 3)))
    state.internal(UpdateReplicas(1, [(block, 1, 10)], []))
    assert state.machine.deletions(1, 9) == []
    assert list(record_of(state, block).replicas) == [1, 3]


def test_deletions_wait_for_their_confirmation(state: Driver, ino: int) -> None:
    """A confirmation of an older generation does not do."""
    block = state.allocate(ino).block
    state.do(ops.RenewBlock(block, 1, (1, 2)))
    state.do(Commit(ino, (), (BlockCommit(block, 2, 0, True),)))
    assert (state.machine.deletions(1, 9), state.machine.deletions(3, 9)) == ([(block, 2)], [(block, 1)])
    state.internal(ConfirmDeletions(1, [(block, 1)]))
    assert state.machine.deletions(1, 9) == [(block, 2)]
    state.internal(ConfirmDeletions(1, [(block, 2), (55, 1)]))
    assert state.machine.deletions(1, 9) == []


def test_a_datanode_keeps_its_number(state: Driver) -> None:
    """The uuid decides; the address is the latest."""
    assert state.internal(RegisterDatanode("uuid-b", "elsewhere:2")).node == 2
    assert state.internal(RegisterDatanode("uuid-new", "d:1")).node == 4
    assert state.machine.datanodes()[1:] == [
        (2, "uuid-b", "elsewhere:2"),
        (3, "uuid-c", "c:1"),
        (4, "uuid-new", "d:1"),
    ]


def test_orphans_are_reaped_once_asked(state: Driver) -> None:
    """Only orphans go; with them their blocks, inline bytes and extended attributes."""
    ino = state.put(b"g", b"inline").ino
    block = state.write_block(ino, 100, 10, seal=True)
    state.do(ops.SetXattr(ROOT_INO, b"g", b"user.a", b"v"))
    named = state.put(b"f").ino
    state.do(ops.Unlink(ROOT_INO, b"g"))
    assert state.machine.block(block) is not None
    before = state.machine.statistics().inodes
    state.internal(ReapOrphans([named, ino, ino, 99, 0, -5]))
    assert state.machine.statistics().inodes == before - 1
    assert state.machine.block(block) is None
    assert state.machine.orphans(0, 9) == []
    assert state.errno_of(ops.GetMap(ino)) == errno.ESTALE


def test_a_large_orphan_goes_in_steps(state: Driver, ino: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One command frees a bounded number of extents; the inode stays an orphan until the last."""
    monkeypatch.setattr(cluster, "EXTENTS_REAPED_MAX", 3)
    block = state.allocate(ino).block
    extents = tuple(Extent(20 * i, 10, block, 10 * i) for i in range(7))
    state.do(Commit(ino, extents, (BlockCommit(block, 1, 70, True),)))
    state.do(ops.Unlink(ROOT_INO, b"f"))
    for left in (40, 10):
        state.internal(ReapOrphans([ino]))
        assert record_of(state, block).live == left
        assert state.machine.orphans(0, 9) == [(ino, 0)]
    state.internal(ReapOrphans([ino]))
    assert state.machine.orphans(0, 9) == []
    assert state.machine.statistics().blocks == 0


def test_a_long_map_comes_in_pages(state: Driver, ino: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """next_offset is where the next page begins; inline bytes come with the first."""
    monkeypatch.setattr(filemap, "EXTENTS_MAX", 3)
    state.put(b"f", b"in")
    block = state.allocate(ino).block
    extents = tuple(Extent(100 + 20 * i, 10, block, 10 * i) for i in range(7))
    state.do(Commit(ino, extents, (BlockCommit(block, 1, 70),)))
    first = state.map(ino)
    assert (first.inline, first.extents, first.next_offset) == (b"in", extents[:3], 160)
    second = state.do(ops.GetMap(ino, 160))
    assert (second.inline, second.extents, second.next_offset) == (b"", extents[3:6], 220)
    third = state.do(ops.GetMap(ino, 225))
    assert (third.extents, third.next_offset) == (extents[6:], -1)
