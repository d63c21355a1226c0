"""Operations that make files and change their content or attributes."""

import errno
import stat

import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.namenode.state import commands
from tests.unit.state.driver import ALICE, BOB, INLINE_MAX, ROOT, Driver


def test_create_tells_what_it_holds(state: Driver) -> None:
    """A new file and an opened one are held; the answer has the inline content."""
    made = state.attempt(ops.CreateFile(ROOT_INO, b"f", 0o640))
    assert made.holds == state.stat(b"f").ino
    assert state.stat(b"f").mode == stat.S_IFREG | 0o640
    state.do(ops.Write(made.holds, 0, b"content"))
    opened = state.attempt(ops.CreateFile(ROOT_INO, b"f", 0o600))
    assert opened.holds == made.holds
    assert state.do(ops.CreateFile(ROOT_INO, b"f", 0o600)).inline == b"content"
    assert state.stat(b"f").mode == stat.S_IFREG | 0o640


def test_create_follows_a_dangling_link(state: Driver) -> None:
    """O_CREAT makes the file that a link points to; O_EXCL does not follow."""
    state.symlink(b"link", b"target")
    assert state.errno_of(ops.CreateFile(ROOT_INO, b"link", 0o644, exclusive=True)) == errno.EEXIST
    state.do(ops.CreateFile(ROOT_INO, b"link", 0o644))
    assert state.names(b"/") == [b"link", b"target"]


def test_open_for_truncation_empties(state: Driver) -> None:
    """O_TRUNC gives up content and sets the times; without write permission it is EACCES."""
    made = state.put(b"f", b"content", 0o444)
    assert state.errno_of(ops.CreateFile(ROOT_INO, b"f", 0, truncate=True, access=ops.READ), ALICE) == errno.EACCES
    state.do(ops.CreateFile(ROOT_INO, b"f", 0, truncate=True))
    after = state.stat(b"f")
    assert (after.size, after.allocated, after.mtime_ns) == (0, 0, state.now_ns)
    assert after.version > made.version


def test_write_file_replaces_everything(state: Driver) -> None:
    """The inode stays, with mode and owner; blocks that no extent names any more are deleted."""
    made = state.put(b"f", b"old", 0o600)
    state.write_block(made.ino, 10, 1000, seal=True)
    after = state.put(b"f", b"new", 0o777)
    assert (after.ino, after.mode, after.size, after.allocated) == (made.ino, made.mode, 3, 3)
    assert state.map(made.ino).inline == b"new"
    assert state.machine.statistics().blocks == 0
    assert state.errno_of(ops.WriteFile(ROOT_INO, b"f", 0o644, b"", True)) == errno.EEXIST


def test_inline_content_is_bounded(state: Driver) -> None:
    """What is over inline_max belongs in a block: EFBIG."""
    ino = state.put(b"f", b"x" * INLINE_MAX).ino
    assert state.errno_of(ops.WriteFile(ROOT_INO, b"g", 0o644, b"x" * (INLINE_MAX + 1))) == errno.EFBIG
    assert state.errno_of(ops.Write(ino, INLINE_MAX - 1, b"xx")) == errno.EFBIG
    assert state.errno_of(ops.Write(ino, 0, b"x", append=True)) == errno.EFBIG


def test_appends_are_placed_in_apply(state: Driver) -> None:
    """Two appends in one batch follow each other, in blocks and inline."""
    ino = state.put(b"f", b"12345").ino
    items = [state.item(ops.Write(ino, 0, data, append=True)) for data in (b"abc", b"de")]
    for outcome in state.apply(*items):
        assert outcome.errno == 0
    assert state.map(ino).inline == b"12345abcde"
    block = state.allocate(ino).block
    commit = ops.Commit(
        ino, (ops.Extent(0, 4, block, 0), ops.Extent(4, 6, block, 4)), (ops.BlockCommit(block, 1, 10),), True
    )
    assert state.do(commit).offset == 10
    assert state.extents(ino) == [(10, 10, block, 0)]
    assert state.stat(b"f").size == 20


def test_an_empty_write_changes_nothing(state: Driver) -> None:
    """write(2) of no bytes leaves the times alone."""
    made = state.put(b"f", b"x")
    assert state.do(ops.Write(made.ino, 0, b"", append=True)).offset == 1
    assert state.stat(b"f") == made


def test_published_files_appear_whole(state: Driver) -> None:
    """An orphan gets its name at once, in the place of the file that had it, with its own mode."""
    old = state.put(b"f", b"old", 0o600)
    orphan = state.attempt(ops.CreateOrphan(0o640), ALICE)
    state.do(ops.SetAttributes(ROOT_INO, b"/", mode=0o777))
    assert state.machine.orphans(0, 9) == [(orphan.holds, state.session)]
    state.write_block(orphan.holds, 0, 100, seal=True)
    state.do(ops.Publish(orphan.holds, ROOT_INO, b"f"), ALICE)
    now = state.stat(b"f")
    assert (now.ino, now.mode & 0o777, now.uid, now.size, now.nlink) == (orphan.holds, 0o640, 1000, 100, 1)
    assert state.machine.orphans(0, 9) == [(old.ino, 0)]


def test_publish_refuses(state: Driver) -> None:
    """A file that is gone, named, or another session's; a name that is a folder's, or taken and exclusive."""
    ino = state.attempt(ops.CreateOrphan(0o644)).holds
    state.mkdir(b"d")
    named = state.put(b"f").ino
    other = state.open_session(b"other")
    assert state.errno_of(ops.Publish(99, ROOT_INO, b"x")) == errno.ENOENT
    assert state.errno_of(ops.Publish(named, ROOT_INO, b"x")) == errno.ENOENT
    assert state.errno_of(ops.Publish(ino, ROOT_INO, b"x"), session=other) == errno.EPERM
    assert state.errno_of(ops.Publish(ino, ROOT_INO, b"d")) == errno.EISDIR
    assert state.errno_of(ops.Publish(ino, ROOT_INO, b"x/")) == errno.EISDIR
    assert state.errno_of(ops.Publish(ino, ROOT_INO, b"f", exclusive=True)) == errno.EEXIST
    assert state.errno_of(ops.Publish(ino, ROOT_INO, b"x"), BOB) == errno.EACCES
    state.do(ops.Unlink(ROOT_INO, b"f"))
    assert state.errno_of(ops.Publish(named, ROOT_INO, b"x")) == errno.ENOENT


def test_a_copy_shares_blocks(state: Driver) -> None:
    """A copy has the content and mode, counts in the blocks' live bytes, and outlives its source."""
    source = state.put(b"f", b"inline", 0o4750)
    block = state.write_block(source.ino, 100, 200, seal=True)
    copy = Attributes.unpack(state.do(ops.CopyFile(ROOT_INO, b"f", ROOT_INO, b"g")).record)
    assert (copy.mode & 0o7777, copy.size, copy.allocated) == (0o750, 300, 206)
    assert state.extents(copy.ino) == [(100, 200, block, 0)]
    record = state.machine.block(block)
    assert record is not None
    assert record.live == 400
    state.do(ops.Unlink(ROOT_INO, b"f"))
    state.internal(commands.ReapOrphans([source.ino]))
    record = state.machine.block(block)
    assert record is not None
    assert record.live == 200


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [
        (b"d", b"x", errno.EISDIR),
        (b"f", b"d", errno.EISDIR),
        (b"fifo", b"x", errno.EINVAL),
        (b"f", b"fifo", errno.EINVAL),
        (b"f", b"f", errno.EINVAL),
        (b"f", b"link", errno.EINVAL),
        (b"missing", b"x", errno.ENOENT),
    ],
)
def test_copy_refuses(state: Driver, source: bytes, target: bytes, code: int) -> None:
    """Only files are copied, over nothing but other files."""
    state.mkdir(b"d")
    state.put(b"f")
    state.symlink(b"link", b"f")
    state.do(ops.MakeNode(ROOT_INO, b"fifo", stat.S_IFIFO | 0o644))
    assert state.errno_of(ops.CopyFile(ROOT_INO, source, ROOT_INO, target)) == code


def test_copying_needs_read_permission(state: Driver) -> None:
    """A copy is a read of the source."""
    state.mkdir(b"d", 0o777)
    state.do(ops.SetAttributes(ROOT_INO, b"d", mode=0o777))
    state.put(b"f", b"secret", 0o600)
    assert state.errno_of(ops.CopyFile(ROOT_INO, b"f", ROOT_INO, b"d/g"), ALICE) == errno.EACCES


def test_holes_are_not_allocated(state: Driver) -> None:
    """`allocated` counts bytes that exist: not holes, not preallocation, and less after a punch."""
    ino = state.put(b"f", b"12345").ino
    state.do(ops.SetAttributes(ROOT_INO, b"f", size=1 << 40))
    assert (state.stat(b"f").size, state.stat(b"f").allocated) == (1 << 40, 5)
    state.write_block(ino, 1 << 30, 5000)
    assert state.stat(b"f").allocated == 5005
    state.do(ops.AllocateRange(ino, 0, 1 << 41, 10))
    assert (state.stat(b"f").size, state.stat(b"f").allocated) == ((1 << 41) + 10, 5005)
    state.do(ops.AllocateRange(ino, ops.FALLOC_PUNCH_HOLE | ops.FALLOC_KEEP_SIZE, 0, (1 << 30) + 1000))
    assert state.stat(b"f").allocated == 4000


def test_inline_bytes_under_extents_are_dropped(state: Driver) -> None:
    """Inline content that a commit covers for good takes no room."""
    ino = state.put(b"f", b"x" * 100).ino
    state.write_block(ino, 40, 100)
    assert state.map(ino).inline == b"x" * 40
    state.write_block(ino, 0, 40)
    assert state.map(ino).inline == b""
    assert state.stat(b"f").allocated == 140


@pytest.mark.parametrize(
    ("mode", "offset", "length", "code"),
    [
        (0, -1, 5, errno.EINVAL),
        (0, 0, 0, errno.EINVAL),
        (0, 1, (1 << 63) - 1, errno.EFBIG),
        (ops.FALLOC_PUNCH_HOLE, 0, 5, errno.EOPNOTSUPP),
        (8, 0, 5, errno.EOPNOTSUPP),
    ],
)
def test_fallocate_refuses(state: Driver, mode: int, offset: int, length: int, code: int) -> None:
    """Ranges that cannot be, and modes that are not supported."""
    ino = state.put(b"f").ino
    assert state.errno_of(ops.AllocateRange(ino, mode, offset, length)) == code


def test_operations_by_inode_need_a_file(state: Driver) -> None:
    """ESTALE for an inode that is gone, EISDIR for a folder, EINVAL for other kinds."""
    folder, link = state.mkdir(b"d").ino, state.symlink(b"l", b"d").ino
    for ino, code in ((99, errno.ESTALE), (folder, errno.EISDIR), (link, errno.EINVAL)):
        for operation in (
            ops.Write(ino, 0, b"x"),
            ops.Commit(ino, (), ()),
            ops.AllocateRange(ino, 0, 0, 1),
            ops.AllocateBlock(ino, (), (1, 2)),
            ops.GetMap(ino),
        ):
            assert state.errno_of(operation) == code


def test_truncate_checks(state: Driver) -> None:
    """EISDIR, EINVAL, EFBIG, EACCES; a holder for writing needs no permission any more."""
    state.mkdir(b"d")
    made = state.put(b"f", b"content", 0o400)
    state.do(ops.MakeNode(ROOT_INO, b"fifo", stat.S_IFIFO | 0o644))
    assert state.errno_of(ops.SetAttributes(ROOT_INO, b"d", size=0)) == errno.EISDIR
    assert state.errno_of(ops.SetAttributes(ROOT_INO, b"fifo", size=0)) == errno.EINVAL
    assert state.errno_of(ops.SetAttributes(ROOT_INO, b"f", size=-2)) == errno.EINVAL
    assert state.errno_of(ops.SetAttributes(ROOT_INO, b"f", size=1 << 63)) == errno.EFBIG
    assert state.errno_of(ops.SetAttributes(ROOT_INO, b"f", size=(1 << 63) - 1)) == 0
    assert state.errno_of(ops.SetAttributes(ROOT_INO, b"f", size=0), ALICE) == errno.EACCES
    assert state.errno_of(ops.SetAttributes(made.ino, b"", size=0, by_handle=True), ALICE) == 0
    assert state.stat(b"f").mtime_ns == state.stat(b"f").ctime_ns == state.now_ns


def test_a_changed_program_loses_its_capabilities(state: Driver) -> None:
    """A write and a chown take security.capability away, and no other attribute."""
    for change in (ops.WriteFile(ROOT_INO, b"f", 0, b"y"), ops.SetAttributes(ROOT_INO, b"f", uid=1000)):
        state.put(b"f", b"x")
        for name in (b"security.capability", b"user.a"):
            state.do(ops.SetXattr(ROOT_INO, b"f", name, b"v"))
        state.do(change)
        assert state.do(ops.ListXattrs(ROOT_INO, b"f")).names == (b"user.a",)


def test_publishing_into_a_set_group_id_folder(state: Driver) -> None:
    """The file takes the folder's group, and loses its own set-group-ID bit where that is foreign."""
    state.mkdir(b"d")
    state.do(ops.SetAttributes(ROOT_INO, b"d", gid=3000, mode=0o2777))
    ino = state.attempt(ops.CreateOrphan(0o2755), ALICE).holds
    state.do(ops.Publish(ino, ROOT_INO, b"d/f"), ALICE)
    assert (state.stat(b"d/f").gid, state.stat(b"d/f").mode & 0o7777) == (3000, 0o755)


@pytest.mark.parametrize("by", ["write", "commit", "truncate", "write_file"])
def test_a_write_by_a_user_clears_set_ids(state: Driver, by: str) -> None:
    """Set-ID bits do not survive a change of the content by others than root."""
    ino = state.put(b"f", b"x", 0o6777).ino
    state.do(ops.SetAttributes(ROOT_INO, b"f", mode=0o6777))
    if by == "write":
        state.do(ops.Write(ino, 0, b"y"), ALICE)
    elif by == "commit":
        state.write_block(ino, 0, 10, who=ALICE)
    elif by == "truncate":
        state.do(ops.SetAttributes(ROOT_INO, b"f", size=0), ALICE)
    else:
        state.do(ops.WriteFile(ROOT_INO, b"f", 0, b"z"), ALICE)
    assert state.stat(b"f").mode & 0o7777 == 0o777


def test_root_writes_keep_set_ids(state: Driver) -> None:
    """Root may replace a set-user-ID program in place."""
    state.put(b"f", b"x", 0o4755)
    state.put(b"f", b"y", 0, ROOT)
    assert state.stat(b"f").mode & 0o7777 == 0o4755


def test_times_are_set(state: Driver) -> None:
    """Given, now, or left out; ctime is always the command's time."""
    before = state.put(b"f")
    state.do(ops.SetAttributes(ROOT_INO, b"f", atime_ns=5, mtime_ns=ops.TIME_OMIT))
    after = state.stat(b"f")
    assert (after.atime_ns, after.mtime_ns, after.ctime_ns) == (5, before.mtime_ns, state.now_ns)
    state.do(ops.SetAttributes(ROOT_INO, b"f", atime_ns=ops.TIME_OMIT, mtime_ns=ops.TIME_NOW))
    assert (state.stat(b"f").atime_ns, state.stat(b"f").mtime_ns) == (5, state.now_ns)
    state.do(ops.SetAttributes(ROOT_INO, b"f", atime_ns=-1_000_000_000))
    assert state.stat(b"f").atime_ns == -1_000_000_000
    assert state.errno_of(ops.SetAttributes(ROOT_INO, b"f", mtime_ns=1 << 63)) == errno.EINVAL


def test_setting_times_needs_ownership(state: Driver) -> None:
    """Now: ownership or write permission, else EACCES. Any other time: ownership, else EPERM."""
    state.put(b"f", mode=0o644)
    state.put(b"g", mode=0o666)
    now = (ops.TIME_NOW, ops.TIME_NOW)
    for path, times, code in (
        (b"f", now, errno.EACCES),
        (b"g", now, 0),
        (b"g", (5, 5), errno.EPERM),
        (b"g", (ops.TIME_NOW, ops.TIME_OMIT), errno.EPERM),
    ):
        operation = ops.SetAttributes(ROOT_INO, path, atime_ns=times[0], mtime_ns=times[1])
        assert state.errno_of(operation, ALICE) == code


def test_nothing_to_set_changes_nothing(state: Driver) -> None:
    """SetAttributes without any attribute answers the node as it is."""
    before = state.put(b"f")
    state.do(ops.SetAttributes(ROOT_INO, b"f"), BOB)
    assert state.stat(b"f") == before


def test_a_link_has_an_owner_but_no_mode(state: Driver) -> None:
    """chown and times of a symbolic link itself are set, its mode is EOPNOTSUPP."""
    state.symlink(b"l", b"missing")
    state.do(ops.SetAttributes(ROOT_INO, b"l", uid=7, mtime_ns=9, follow=False))
    assert (state.stat(b"l").uid, state.stat(b"l").mtime_ns) == (7, 9)
    assert state.errno_of(ops.SetAttributes(ROOT_INO, b"l", mode=0o600, follow=False)) == errno.EOPNOTSUPP
    assert state.errno_of(ops.SetAttributes(ROOT_INO, b"l", uid=7)) == errno.ENOENT


@pytest.mark.parametrize(("uid", "gid"), [(-2, -1), (-1, -2), (0xFFFFFFFF, -1), (-1, 1 << 32)])
def test_ids_are_32_bits(state: Driver, uid: int, gid: int) -> None:
    """A user or group that cannot be is EINVAL."""
    state.put(b"f")
    assert state.errno_of(ops.SetAttributes(ROOT_INO, b"f", uid=uid, gid=gid)) == errno.EINVAL
