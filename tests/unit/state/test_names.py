"""Operations on names: what a walk against the kernel cannot show, as times and link counts."""

import errno
import stat

import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.namenode.state import call, commands
from tests.unit.state.driver import ALICE, BOB, ROOT, Driver


def times(inode: Attributes) -> tuple[int, int, int]:
    return inode.atime_ns, inode.mtime_ns, inode.ctime_ns


@pytest.mark.parametrize(
    ("operation", "is_folder"),
    [
        (ops.MakeDirectory(ROOT_INO, b"d/new", 0o755), True),
        (ops.WriteFile(ROOT_INO, b"d/new", 0o644, b""), False),
        (ops.CreateFile(ROOT_INO, b"d/new", 0o644), False),
        (ops.MakeNode(ROOT_INO, b"d/new", 0o010644), False),
        (ops.MakeSymlink(ROOT_INO, b"d/new", b"x"), False),
    ],
)
def test_a_new_name_changes_its_folder(state: Driver, operation: ops.AnyMutation, is_folder: bool) -> None:
    """The new inode has the time of the command, its folder's mtime and ctime follow, its atime does not."""
    before = state.mkdir(b"d")
    state.do(operation)
    folder, new = state.stat(b"d"), state.stat(b"d/new")
    assert times(new) == (state.now_ns,) * 3
    assert new.btime_ns == state.now_ns
    assert times(folder) == (before.atime_ns, state.now_ns, state.now_ns)
    assert folder.version > before.version
    assert folder.nlink == 2 + is_folder
    assert new.nlink == 1 + is_folder
    assert new.parent == (folder.ino if is_folder else 0)


def test_removing_a_name_changes_folder_and_file(state: Driver) -> None:
    """unlink sets the folder's mtime and ctime, and the ctime of a file that has other names."""
    state.mkdir(b"d")
    made = state.put(b"d/a")
    state.do(ops.MakeLink(ROOT_INO, b"d/a", ROOT_INO, b"b"))
    linked = state.stat(b"b")
    assert (linked.nlink, linked.ctime_ns, linked.mtime_ns) == (2, state.now_ns, made.mtime_ns)
    state.do(ops.Unlink(ROOT_INO, b"d/a"))
    left = state.stat(b"b")
    assert (left.nlink, left.ctime_ns, left.mtime_ns) == (1, state.now_ns, made.mtime_ns)
    assert times(state.stat(b"d"))[1:] == (state.now_ns, state.now_ns)


def test_rename_changes_both_folders_and_what_moves(state: Driver) -> None:
    """Both folders' mtime and ctime, the moved inode's ctime; a moved folder's `..` and link counts go along."""
    state.mkdir(b"from")
    state.mkdir(b"to")
    moved = state.mkdir(b"from/d")
    state.do(ops.Rename(ROOT_INO, b"from/d", ROOT_INO, b"to/e"))
    source, target, inode = state.stat(b"from"), state.stat(b"to"), state.stat(b"to/e")
    assert times(source)[1:] == times(target)[1:] == (state.now_ns, state.now_ns)
    assert (inode.ctime_ns, inode.mtime_ns) == (state.now_ns, moved.mtime_ns)
    assert (source.nlink, target.nlink, inode.parent) == (2, 3, target.ino)
    assert state.stat(b"to/e/..").ino == target.ino


def test_exchange_swaps_folder_and_file(state: Driver) -> None:
    """RENAME_EXCHANGE across folders moves the link of `..` with the folder."""
    state.mkdir(b"from")
    state.mkdir(b"from/d")
    state.put(b"f")
    state.do(ops.Rename(ROOT_INO, b"from/d", ROOT_INO, b"f", ops.RENAME_EXCHANGE))
    assert stat.S_ISREG(state.stat(b"from/d").mode)
    assert stat.S_ISDIR(state.stat(b"f").mode)
    assert (state.stat(b"from").nlink, state.stat(b"/").nlink) == (2, 4)


def test_a_replaced_file_is_an_orphan(state: Driver) -> None:
    """What a rename replaces can be read by its inode until it is reaped."""
    old = state.put(b"old", b"old")
    state.put(b"new", b"new")
    state.do(ops.Rename(ROOT_INO, b"new", ROOT_INO, b"old"))
    assert state.machine.orphans(0, 10) == [(old.ino, 0)]
    assert state.map(old.ino).inline == b"old"
    assert state.stat(b"", at=old.ino).nlink == 0


def test_rename_of_one_name_to_another_of_the_same_file(state: Driver) -> None:
    """Two names of one inode: rename does nothing and is no error (POSIX rename())."""
    state.put(b"a")
    state.do(ops.MakeLink(ROOT_INO, b"a", ROOT_INO, b"b"))
    state.do(ops.Rename(ROOT_INO, b"a", ROOT_INO, b"b"))
    assert state.names(b"/") == [b"a", b"b"]


@pytest.mark.parametrize(
    ("source", "target", "flags", "code"),
    [
        (b"missing", b"x", 0, errno.ENOENT),
        (b"d", b"d/sub/x", 0, errno.EINVAL),
        (b"d", b"full", 0, errno.ENOTEMPTY),
        (b"full/f", b"full", 0, errno.ENOTEMPTY),
        (b"d", b"f", 0, errno.ENOTDIR),
        (b"f", b"empty", 0, errno.EISDIR),
        (b"f/", b"x", 0, errno.ENOTDIR),
        (b"/", b"x", 0, errno.EBUSY),
        (b"d/.", b"x", 0, errno.EBUSY),
        (b"f", b"d/..", 0, errno.EBUSY),
        (b"f", b"empty", ops.RENAME_NOREPLACE, errno.EEXIST),
        (b"f", b"missing", ops.RENAME_EXCHANGE, errno.ENOENT),
        (b"d", b"d/sub", ops.RENAME_EXCHANGE, errno.EINVAL),
        (b"d/sub", b"d", ops.RENAME_EXCHANGE, errno.EINVAL),
        (b"f", b"x", ops.RENAME_NOREPLACE | ops.RENAME_EXCHANGE, errno.EINVAL),
        (b"f", b"x", 8, errno.EINVAL),
    ],
)
def test_rename_refuses(state: Driver, source: bytes, target: bytes, flags: int, code: int) -> None:
    """Each refusal of rename has the errno of Linux."""
    for folder in (b"d", b"d/sub", b"full", b"empty"):
        state.mkdir(folder)
    state.put(b"full/f")
    state.put(b"f")
    assert state.errno_of(ops.Rename(ROOT_INO, source, ROOT_INO, target, flags)) == code


def test_the_root_stays(state: Driver) -> None:
    """The root cannot be removed or made."""
    assert state.errno_of(ops.RemoveDirectory(ROOT_INO, b"/")) == errno.EBUSY
    assert state.errno_of(ops.MakeDirectory(ROOT_INO, b"/", 0o755)) == errno.EEXIST
    assert state.errno_of(ops.Unlink(ROOT_INO, b"/")) == errno.EISDIR


def test_a_sticky_folder_protects_its_files(state: Driver) -> None:
    """In a folder such as /tmp only the owner of a file, or of the folder, may rename or unlink it."""
    state.mkdir(b"tmp", 0o1777)
    state.do(ops.SetAttributes(ROOT_INO, b"tmp", mode=0o1777))
    state.put(b"tmp/a", who=ALICE)
    assert state.errno_of(ops.Unlink(ROOT_INO, b"tmp/a"), BOB) == errno.EPERM
    assert state.errno_of(ops.Rename(ROOT_INO, b"tmp/a", ROOT_INO, b"tmp/b"), BOB) == errno.EPERM
    assert state.errno_of(ops.Unlink(ROOT_INO, b"tmp/a"), ALICE) == 0


def test_links_are_bounded(state: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file and a folder have at most LINKS_MAX links: EMLINK."""
    monkeypatch.setattr("cairnfs.namenode.state.names.LINKS_MAX", 3)
    assert call.LINKS_MAX == 65_000
    state.mkdir(b"d")
    state.mkdir(b"d/1")
    assert state.errno_of(ops.MakeDirectory(ROOT_INO, b"d/2", 0o755)) == errno.EMLINK
    assert state.errno_of(ops.MakeDirectory(ROOT_INO, b"d/2/3", 0o755, True)) == errno.EMLINK
    state.mkdir(b"d/1/e")
    assert state.errno_of(ops.Rename(ROOT_INO, b"d/1/e", ROOT_INO, b"d/e")) == errno.EMLINK
    state.put(b"d/f")
    for name in (b"g", b"h"):
        state.do(ops.MakeLink(ROOT_INO, b"d/f", ROOT_INO, b"d/" + name))
    assert state.errno_of(ops.MakeLink(ROOT_INO, b"d/f", ROOT_INO, b"d/i")) == errno.EMLINK


def test_make_directory_with_parents(state: Driver) -> None:
    """All that is missing is made, what exists is no error, and a link to a folder is followed."""
    made = state.do(ops.MakeDirectory(ROOT_INO, b"/a/./b//c/", 0o700, True), ROOT)
    assert Attributes.unpack(made.record).ino == state.stat(b"a/b/c").ino
    assert state.errno_of(ops.MakeDirectory(ROOT_INO, b"a/b/c", 0o700, True)) == 0
    assert state.errno_of(ops.MakeDirectory(ROOT_INO, b"", 0o700, True)) == 0
    state.symlink(b"link", b"a/b")
    state.do(ops.MakeDirectory(ROOT_INO, b"link/new/er", 0o755, True))
    assert state.names(b"a/b") == [b"c", b"new"]
    assert stat.S_ISLNK(state.stat(b"link").mode)


def test_parents_can_be_entered_by_their_maker(state: Driver) -> None:
    """A mode without write and search permission is that of the last folder only."""
    state.mkdir(b"home", 0o777)
    state.do(ops.MakeDirectory(ROOT_INO, b"home/a/b", 0o000, True), ALICE)
    assert state.stat(b"home/a").mode & 0o777 == 0o300
    assert state.stat(b"home/a/b").mode & 0o777 == 0


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (b"f", errno.EEXIST),
        (b"f/a", errno.ENOTDIR),
        (b"a/../b", errno.ENOENT),
        (b"a/" + b"n" * 256, errno.ENAMETOOLONG),
        (b"n" * 256, errno.ENAMETOOLONG),
        (b"a/b\0c", errno.EINVAL),
        (b"a/" * 2048, errno.ENAMETOOLONG),
    ],
)
def test_make_directory_with_parents_refuses(state: Driver, path: bytes, code: int) -> None:
    """A refusal makes none of the folders."""
    state.put(b"f")
    assert state.errno_of(ops.MakeDirectory(ROOT_INO, path, 0o755, True)) == code
    assert state.names(b"/") == [b"f"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (b"", errno.ENOENT),
        (b".", errno.EEXIST),
        (b"..", errno.EEXIST),
        (b"a\0b", errno.EINVAL),
        (b"n" * 256, errno.ENAMETOOLONG),
        (b"n/" * 2048, errno.ENAMETOOLONG),
        (b"missing/x", errno.ENOENT),
    ],
)
def test_bad_names_are_refused(state: Driver, path: bytes, code: int) -> None:
    """Names and paths that cannot be."""
    assert state.errno_of(ops.MakeDirectory(ROOT_INO, path, 0o755)) == code


@pytest.mark.parametrize("name", [b"n" * 255, b"\xff\xfe\x80", b"new\nline", b" ", b"...", "é".encode("latin-1")])
def test_names_are_bytes(state: Driver, name: bytes) -> None:
    """Any byte but NUL and slash comes back as it was given."""
    state.put(name, b"content")
    assert state.names(b"/") == [name]
    assert state.stat(name).size == 7


def test_paths_start_at_an_inode(state: Driver) -> None:
    """`at` is where a relative path starts; a leading slash is the root; a missing inode is ESTALE."""
    folder = state.mkdir(b"d")
    made = state.put(b"d/f")
    assert state.stat(b"f", at=folder.ino).ino == made.ino
    assert state.stat(b"../d/f", at=folder.ino).ino == made.ino
    assert state.stat(b"/d", at=folder.ino).ino == folder.ino
    assert state.stat(b"", at=made.ino).ino == made.ino
    assert state.errno_of(ops.GetAttributes(99, b"f")) == errno.ESTALE
    assert state.errno_of(ops.GetAttributes(made.ino, b"x")) == errno.ENOTDIR


def test_links_are_followed_forty_times(state: Driver) -> None:
    """Forty links in a row are followed, one more is ELOOP."""
    state.put(b"0")
    for number in range(1, 42):
        state.symlink(b"%d" % number, b"%d" % (number - 1))
    assert state.stat(b"40", follow=True).size == 0
    assert state.errno_of(ops.GetAttributes(ROOT_INO, b"41")) == errno.ELOOP


def test_a_removed_folder_is_empty_and_stays_so(state: Driver) -> None:
    """Who still has a removed folder open finds nothing in it and can make nothing there."""
    folder = state.mkdir(b"d")
    state.do(ops.RemoveDirectory(ROOT_INO, b"d"))
    assert state.stat(b"", at=folder.ino).nlink == 0
    assert state.errno_of(ops.MakeDirectory(folder.ino, b"x", 0o755)) == errno.ENOENT
    assert state.errno_of(ops.GetAttributes(folder.ino, b"x")) == errno.ENOENT
    assert state.stat(b"..", at=folder.ino).ino == ROOT_INO
    state.internal(commands.ReapOrphans([folder.ino]))
    assert state.errno_of(ops.GetAttributes(folder.ino, b"")) == errno.ESTALE


def test_devices_are_made_by_root(state: Driver) -> None:
    """A device needs root and keeps its number; no other kind has one; folders are not made by mknod."""
    state.mkdir(b"d", 0o777)
    device = ops.MakeNode(ROOT_INO, b"d/dev", stat.S_IFCHR | 0o600, 0x501)
    assert state.errno_of(device, ALICE) == errno.EPERM
    state.do(device)
    assert state.stat(b"d/dev").rdev == 0x501
    state.do(ops.MakeNode(ROOT_INO, b"d/fifo", stat.S_IFIFO | 0o600, 7), ALICE)
    assert state.stat(b"d/fifo").rdev == 0
    assert state.errno_of(ops.MakeNode(ROOT_INO, b"d/x", stat.S_IFDIR | 0o755)) == errno.EPERM
    assert state.errno_of(ops.MakeNode(ROOT_INO, b"d/x", stat.S_IFLNK | 0o755)) == errno.EINVAL


def test_symlink_targets_are_bounded(state: Driver) -> None:
    """A target has 1 to 4,095 bytes, none of them NUL."""
    state.symlink(b"long", b"t" * 4095)
    assert state.stat(b"long").size == 4095
    for target, code in ((b"", errno.ENOENT), (b"t" * 4096, errno.ENAMETOOLONG), (b"a\0", errno.EINVAL)):
        assert state.errno_of(ops.MakeSymlink(ROOT_INO, b"x", target)) == code


def test_a_set_group_id_folder_hands_its_group_down(state: Driver) -> None:
    """New inodes take the folder's group; a new folder takes the bit as well."""
    state.mkdir(b"d")
    state.do(ops.SetAttributes(ROOT_INO, b"d", gid=2000, mode=0o2777))
    state.put(b"d/f", who=BOB)
    state.do(ops.MakeDirectory(ROOT_INO, b"d/sub", 0o755), BOB)
    assert state.stat(b"d/f").gid == 2000
    assert (state.stat(b"d/sub").gid, state.stat(b"d/sub").mode & 0o7777) == (2000, 0o2755)


def test_time_never_goes_back(state: Driver) -> None:
    """A leader whose clock is behind does not set times before those that were given already."""
    state.mkdir(b"a")
    state.now_ns -= 10_000_000_000
    assert state.mkdir(b"b").mtime_ns == state.stat(b"a").mtime_ns
