"""Writing through datanodes that fail: what was written is read back whole, or the failure is told."""

import contextlib
import errno
import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairnfs.client import block_stream
from cairnfs.client.file_handle import FileHandle
from cairnfs.client.filesystem import FileSystem
from cairnfs.client.open_file import Mode
from cairnfs.client.services import Services
from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.errors import CairnError, NoSpace, NotEnoughDatanodes, Refused
from cairnfs.common.operations import AllocateBlock, Commit, RenewBlock
from tests.unit.client.memory_blocks import MemoryBlocks
from tests.unit.client.memory_namenode import MemoryNamenode

SMALL_BLOCK = 5000


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_stream, "BLOCK_BYTES_MAX", SMALL_BLOCK)


@contextlib.contextmanager
def streaming(fs: FileSystem, path: str) -> Iterator[tuple[FileHandle, block_stream.BlockStream]]:
    """A new file, and a stream of blocks for it without a buffer before it."""
    handle = fs.open_handle(path, Mode.parse("wb"))
    handle._stream = fs._services.new_stream(handle.ino)
    try:
        yield handle, handle._stream
    finally:
        handle.close()


def put_pieces(fs: FileSystem, path: str, pieces: list[bytes]) -> None:
    with streaming(fs, path) as (_, stream):
        at = 0
        for piece in pieces:
            stream.append(memoryview(piece), [(at, len(piece))])
            at += len(piece)


def make_pieces(seed: int, count: int, size: int = 1200) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(chance.randint(1, size)) for _ in range(count)]


def block_count(namenode: MemoryNamenode) -> int:
    return namenode.driver.machine.statistics().blocks


def test_a_file_over_several_blocks_is_whole(fs: FileSystem, namenode: MemoryNamenode, small_blocks: None) -> None:
    """Pieces are split at block ends, sequential bytes of a block are one extent, and all is one Commit."""
    pieces = make_pieces(1, 30)
    put_pieces(fs, "/f", pieces)
    assert fs.cat_file("/f") == b"".join(pieces)
    commits = [operation for operation in namenode.asked if isinstance(operation, Commit)]
    assert len(commits) == 1
    assert len(commits[0].extents) == -(-len(b"".join(pieces)) // SMALL_BLOCK)
    assert all(end.seal for end in commits[0].blocks)


def test_the_next_block_is_allocated_ahead_and_returned_if_unused(
    fs: FileSystem, namenode: MemoryNamenode, small_blocks: None
) -> None:
    """Past the middle of a block the next one is asked for; if it is not needed it does not stay in the block map."""
    put_pieces(fs, "/f", [b"x" * 3000])
    assert namenode.count(AllocateBlock) == 2
    assert block_count(namenode) == 1


@pytest.mark.parametrize("dies_after", [0, 1, 2, 5, 9, 14])
@pytest.mark.parametrize("lag", [0, 2, 100])
def test_a_datanode_that_dies_is_not_noticed(
    fs: FileSystem,
    namenode: MemoryNamenode,
    blocks: MemoryBlocks,
    small_blocks: None,
    dies_after: int,
    lag: int,
) -> None:
    """Whenever one of three dies, the write goes on with the others, and every byte is there."""
    blocks.lag = lag
    blocks.nodes[2].pieces_left = dies_after
    pieces = make_pieces(dies_after, 20)
    put_pieces(fs, "/f", pieces)
    assert blocks.nodes[2].is_dead
    assert fs.cat_file("/f") == b"".join(pieces)


def test_a_block_goes_on_under_a_new_generation(fs: FileSystem, namenode: MemoryNamenode, blocks: MemoryBlocks) -> None:
    """With something acknowledged and enough survivors the block is renewed, not replaced."""
    blocks.nodes[3].pieces_left = 6
    pieces = make_pieces(3, 12)
    put_pieces(fs, "/f", pieces)
    assert namenode.count(RenewBlock) == 1
    assert namenode.count(AllocateBlock) == 1
    assert fs.cat_file("/f") == b"".join(pieces)


def test_too_few_survivors_end_the_block_and_begin_another(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """Where fewer than min_replicas survive, the block ends at what was acknowledged, and a new one takes the rest."""
    blocks = namenode.blocks
    namenode.add_nodes(4, 5)
    blocks.nodes[1].pieces_left = blocks.nodes[2].pieces_left = 6
    pieces = make_pieces(4, 12)
    put_pieces(fs, "/f", pieces)
    assert namenode.count(RenewBlock) == 0
    assert block_count(namenode) == 2
    assert fs.cat_file("/f") == b"".join(pieces)


def test_one_after_the_other_may_die(fs: FileSystem, namenode: MemoryNamenode, small_blocks: None) -> None:
    """Nodes that die at different times, also while the loss of the last one is being mended, cost nothing."""
    blocks = namenode.blocks
    namenode.add_nodes(4, 5, 6)
    for number, pieces_left in ((1, 4), (2, 5), (3, 9), (4, 12)):
        blocks.nodes[number].pieces_left = pieces_left
    pieces = make_pieces(5, 30)
    put_pieces(fs, "/f", pieces)
    blocks.revive()  # all three that had the first block's bytes may be among the dead: they are on their disks
    assert fs.cat_file("/f") == b"".join(pieces)


def test_a_full_datanode_is_left_out(fs: FileSystem, blocks: MemoryBlocks, namenode: MemoryNamenode) -> None:
    """A node without room is excluded, and the block is written to the others."""
    blocks.nodes[1].is_full = True
    put_pieces(fs, "/f", [b"x" * 5000])
    assert fs.cat_file("/f") == b"x" * 5000
    last = [operation for operation in namenode.asked if isinstance(operation, AllocateBlock)][-1]
    assert last.excluded == (1,)


def test_no_room_anywhere_is_no_space(fs: FileSystem, blocks: MemoryBlocks) -> None:
    """Where all datanodes are full, the writer gets NoSpace (ENOSPC)."""
    for node in blocks.nodes.values():
        node.is_full = True
    with pytest.raises(NoSpace) as error:
        put_pieces(fs, "/f", [b"x" * 5000])
    assert error.value.errno == errno.ENOSPC
    assert fs.cat_file("/f") == b""


def test_no_datanodes_is_an_error_in_time(fs: FileSystem, blocks: MemoryBlocks) -> None:
    """Where too few datanodes live, NotEnoughDatanodes (EHOSTDOWN) comes after the stated time, with the time in it."""
    for number in (1, 2):
        blocks.nodes[number].is_dead = True
    with pytest.raises(NotEnoughDatanodes, match="datanodes") as error:
        put_pieces(fs, "/f", [b"x" * 5000])
    assert error.value.errno == errno.EHOSTDOWN


def test_too_few_for_a_moment_is_waited_out(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """EHOSTDOWN from the namenode is retried, and the write succeeds when datanodes are back."""
    namenode.refusals[AllocateBlock] = [Refused(errno.EHOSTDOWN, "2 datanodes are needed"), Refused(errno.EHOSTDOWN)]
    put_pieces(fs, "/f", [b"x" * 5000])
    assert fs.cat_file("/f") == b"x" * 5000
    assert namenode.count(AllocateBlock) == 3


def test_a_failure_is_told_by_every_later_call(services: Services, fs: FileSystem, blocks: MemoryBlocks) -> None:
    """What could not be saved is an error of write, flush and close, not only of the first of them."""
    file = fs.open("/f", "wb", buffering=0)
    for node in blocks.nodes.values():
        node.is_full = True
    with pytest.raises(NoSpace):
        file.write(bytes(PIECE_BYTES_MAX))
    with pytest.raises(NoSpace):
        file.flush()
    with pytest.raises(NoSpace):
        file.write(b"more")
    with pytest.raises(NoSpace):
        file.close()
    assert file.closed


def test_an_interrupted_write_is_a_failed_write(fs: FileSystem, blocks: MemoryBlocks) -> None:
    """After Ctrl-C in the middle of a write the handle says so; it does not commit what may have a gap."""
    file = fs.open("/f", "wb", buffering=0)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    blocks.open_writer = interrupt  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        file.write(bytes(PIECE_BYTES_MAX))
    with pytest.raises(CairnError, match="interrupted"):
        file.close()
    assert fs.cat_file("/f") == b""


def test_many_extents_go_in_several_commits(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """More extents than one Commit may carry are committed in turn, and the block is sealed by the last."""
    with streaming(fs, "/f") as (_, stream):
        for number in range(2500):
            stream.append(memoryview(b"%04d" % number), [(number * 8, 4)])
    commits = [operation for operation in namenode.asked if isinstance(operation, Commit)]
    assert [len(commit.extents) for commit in commits] == [1024, 1024, 452]
    assert [commit.blocks[0].seal for commit in commits] == [False, False, True]
    expected = b"\0\0\0\0".join(b"%04d" % number for number in range(2500))
    assert fs.cat_file("/f") == expected


FAILURES = st.dictionaries(st.integers(1, 6), st.integers(0, 25), max_size=3)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    FAILURES,
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 1500)), min_size=1, max_size=25),
    st.lists(st.booleans(), min_size=25, max_size=25),
)
def test_any_failures_any_writes(
    fs: FileSystem,
    namenode: MemoryNamenode,
    small_blocks: None,
    failures: dict[int, int],
    lag: int,
    writes: list[tuple[int, int]],
    flushes: list[bool],
) -> None:
    """With up to three of six nodes failing at any moments, random writes and flushes leave what they would locally."""
    blocks = namenode.blocks
    blocks.lag = lag
    if len(blocks.nodes) < 6:
        namenode.add_nodes(4, 5, 6)
    blocks.revive()
    for number in range(1, 7):
        blocks.nodes[number].pieces_left = failures.get(number)
    name = f"/f-{next(NUMBERS)}"
    image = bytearray()
    with streaming(fs, name) as (handle, stream):
        for number, ((offset, length), is_flushed) in enumerate(zip(writes, flushes, strict=False)):
            data = bytes([number + 1]) * length
            stream.append(memoryview(data), [(offset, length)])
            image.extend(bytes(max(0, offset + length - len(image))))
            image[offset : offset + length] = data
            if is_flushed:
                handle.flush()
    blocks.revive()
    assert fs.cat_file(name) == bytes(image)


NUMBERS = itertools.count()
