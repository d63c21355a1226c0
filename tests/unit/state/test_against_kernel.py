"""The kernel as the oracle: the same random operations on a local file system and on the state machine.

Names, links, symbolic links, `..`, trailing slashes: every errno and the resulting tree must be the
kernel's. As root, the operations are also made as other users, to compare permission checks.
"""

import ctypes
import errno
import os
import random
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO
from cairnfs.common.operations import Credentials
from tests.unit.state.driver import Driver

DEPTH = b"1/2/3/4/5/6"  # paths begin below this, so that `..` never leaves the tree
STEPS = 400
NAMES = (b"a", b"b", b"c", b"d")
AT_FDCWD = -100
AT_SYMLINK_FOLLOW = 0x400
MODES = (0o755, 0o700, 0o777, 0o644, 0o600, 0o750, 0o640, 0o1775, 0o2775, 0o2755, 0o4755, 0o000, 0o111, 0o444)

Walk = tuple[ops.AnyOperation, Callable[[bytes], object]]

_libc = ctypes.CDLL(None, use_errno=True)


def linkat(source: bytes, target: bytes, flags: int) -> None:
    if _libc.linkat(AT_FDCWD, source, AT_FDCWD, target, flags):
        raise OSError(ctypes.get_errno(), "linkat")


def renameat2(source: bytes, target: bytes, flags: int) -> None:
    if _libc.renameat2(AT_FDCWD, source, AT_FDCWD, target, flags):
        raise OSError(ctypes.get_errno(), "renameat2")


def create(path: bytes, mode: int, exclusive: bool, truncate: bool, access: int) -> None:
    flags = os.O_CREAT | os.O_NONBLOCK | {4: os.O_RDONLY, 2: os.O_WRONLY, 6: os.O_RDWR}[access]
    flags |= os.O_EXCL * exclusive | os.O_TRUNC * truncate
    os.close(os.open(path, flags, mode))


def truncate(path: bytes, size: int) -> None:
    os.truncate(path, size)


class Walker:
    """Draws operations, each for both sides."""

    def __init__(self, seed: int, base: bytes) -> None:
        self.random = random.Random(seed)
        self.base = base

    def path(self) -> bytes:
        parts = [self.random.choice(NAMES) for _ in range(self.random.choice((1, 1, 1, 2, 2, 3)))]
        if self.random.random() < 0.15:
            parts.insert(self.random.randrange(len(parts) + 1), self.random.choice((b".", b"..", b"..", b"")))
        slash = b"/" if self.random.random() < 0.1 else b""
        return DEPTH + b"/" + b"/".join(parts) + slash

    def target(self) -> bytes:
        parts = [self.random.choice((*NAMES, b".."))] + [
            self.random.choice(NAMES) for _ in range(self.random.choice((0, 0, 1)))
        ]
        return b"/".join(parts) + (b"/" if self.random.random() < 0.05 else b"")

    def draw(self) -> tuple[ops.AnyOperation, Callable[[], object]]:
        """An operation of ours, and the system call that is the same."""
        path, other = self.path(), self.path()
        here, there = self.base + b"/" + path, self.base + b"/" + other
        flip, flop = self.random.random() < 0.3, self.random.random() < 0.3
        mode = self.random.choice(MODES)
        target = self.target()
        access = self.random.choice((4, 2, 6))
        flags = self.random.choice((0, 0, 0, 1, 2))
        size = self.random.choice((0, 10, 5000))
        mask = self.random.randrange(8)
        uid, gid = self.random.choice(((-1, 1000), (-1, 2000), (-1, 1001), (0, -1), (1000, -1), (1001, 2000)))
        times = self.random.choice((None, (5, 7)))
        ours = (ops.TIME_NOW, ops.TIME_NOW) if times is None else times
        choices: list[tuple[int, ops.AnyOperation, Callable[[], object]]] = [
            (4, ops.MakeDirectory(ROOT_INO, path, mode), lambda: os.mkdir(here, mode)),
            (1, ops.MakeNode(ROOT_INO, path, stat.S_IFSOCK | mode), lambda: os.mknod(here, stat.S_IFSOCK | mode)),
            (3, ops.MakeSymlink(ROOT_INO, path, target), lambda: os.symlink(target, here)),
            (
                2,
                ops.MakeLink(ROOT_INO, path, ROOT_INO, other, flip),
                lambda: linkat(here, there, AT_SYMLINK_FOLLOW * flip),
            ),
            (2, ops.Unlink(ROOT_INO, path), lambda: os.unlink(here)),
            (2, ops.RemoveDirectory(ROOT_INO, path), lambda: os.rmdir(here)),
            (6, ops.Rename(ROOT_INO, path, ROOT_INO, other, flags), lambda: renameat2(here, there, flags)),
            (
                5,
                ops.CreateFile(ROOT_INO, path, mode, flip, flop and access != 4, access),
                lambda: create(here, mode, flip, flop and access != 4, access),
            ),
            (1, ops.SetAttributes(ROOT_INO, path, size=size), lambda: truncate(here, size)),
            (2, ops.SetAttributes(ROOT_INO, path, mode=mode), lambda: os.chmod(here, mode)),
            (
                2,
                ops.SetAttributes(ROOT_INO, path, uid=uid, gid=gid, follow=flip),
                lambda: os.chown(here, uid, gid, follow_symlinks=flip),
            ),
            (
                2,
                ops.SetAttributes(ROOT_INO, path, atime_ns=ours[0], mtime_ns=ours[1], follow=flip),
                lambda: (
                    os.utime(here, ns=times, follow_symlinks=flip) if times else os.utime(here, follow_symlinks=flip)
                ),
            ),
            (1, ops.GetAttributes(ROOT_INO, path, flip), lambda: os.stat(here, follow_symlinks=flip)),
            (1, ops.ListDirectory(ROOT_INO, path), lambda: os.listdir(here)),
            (1, ops.ReadLink(ROOT_INO, path), lambda: os.readlink(here)),
            (1, ops.Access(ROOT_INO, path, mask), lambda: check_access(here, mask)),
        ]
        chosen = self.random.choices(choices, [weight for weight, _, _ in choices])[0]
        return chosen[1], chosen[2]


def check_access(path: bytes, mask: int) -> None:
    os.stat(path)
    if not os.access(path, mask, effective_ids=True):
        raise PermissionError(errno.EACCES, "access")


def errno_of(call: Callable[[], object]) -> int:
    try:
        call()
    except OSError as error:
        return error.errno or -1
    return 0


def kernel_tree(base: bytes) -> dict[bytes, tuple[object, ...]]:
    """What is at each path: type and mode, owner, links and size where they mean something, target."""
    found: dict[bytes, tuple[object, ...]] = {}
    for folder, folders, names in os.walk(base):
        for name in folders + names:
            path = folder + b"/" + name
            status = os.lstat(path)
            target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else b""
            is_folder = stat.S_ISDIR(status.st_mode)
            size = 0 if is_folder else status.st_size
            links = 0 if is_folder else status.st_nlink
            found[path[len(base) + 1 :]] = (oct(status.st_mode), status.st_uid, status.st_gid, links, size, target)
    return found


def state_tree(driver: Driver, folder: bytes = b"") -> dict[bytes, tuple[object, ...]]:
    """The same of the state machine."""
    found: dict[bytes, tuple[object, ...]] = {}
    for name in driver.names(folder or b"/"):
        path = folder + b"/" + name if folder else name
        inode = driver.stat(path)
        is_folder = stat.S_ISDIR(inode.mode)
        target = driver.do(ops.ReadLink(ROOT_INO, path)).value if stat.S_ISLNK(inode.mode) else b""
        links = 0 if is_folder else inode.nlink
        found[path] = (oct(inode.mode), inode.uid, inode.gid, links, inode.size, target)
        if is_folder:
            found |= state_tree(driver, path)
    return found


@contextmanager
def acting_as(who: Credentials) -> Iterator[None]:
    """The effective user and groups of this process, for a while; root only, unless it is who we are."""
    if who.uid == os.geteuid():
        yield
        return
    groups = os.getgroups()
    os.setgroups(list(who.groups))
    os.setegid(who.gid)
    os.seteuid(who.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.fixture
def base() -> Iterator[bytes]:
    """A folder that every user can reach, and no umask."""
    old_mask = os.umask(0)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        try:
            yield folder.encode()
        finally:
            os.umask(old_mask)


def walk(state: Driver, base: bytes, seed: int, users: list[Credentials], mode: int) -> None:
    """Make the same steps on both sides; the first that differs fails."""
    walker = Walker(seed, base)
    me = Credentials(os.geteuid(), os.getegid(), tuple(os.getgroups()))
    state.do(ops.SetAttributes(ROOT_INO, b"", uid=me.uid, gid=me.gid))
    made = b""
    for part in DEPTH.split(b"/"):
        made = made + b"/" + part
        os.mkdir(base + made, mode)
        state.do(ops.MakeDirectory(ROOT_INO, made, mode), me)
    done = 0
    for step in range(STEPS):
        operation, call = walker.draw()
        who = walker.random.choice(users)
        if isinstance(operation, ops.MakeLink):
            who = me  # the kernel may restrict links to files of others (fs.protected_hardlinks)
        with acting_as(who):
            expected = errno_of(call)
        found = state.errno_of(operation, who)
        assert errno.errorcode.get(found) == errno.errorcode.get(expected), (step, who, operation)
        done += expected == 0
    assert done > 0
    assert state_tree(state) == kernel_tree(base)


@pytest.mark.parametrize("seed", range(12))
def test_names_behave_as_in_the_kernel(state: Driver, base: bytes, seed: int) -> None:
    """Every errno of a random walk, and the tree at its end, are the kernel's."""
    walk(state, base, seed, [Credentials(os.geteuid(), os.getegid(), tuple(os.getgroups()))], 0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as other users")
@pytest.mark.parametrize("seed", range(12))
def test_permissions_behave_as_in_the_kernel(state: Driver, base: bytes, seed: int) -> None:
    """The same with root and two users who share a group."""
    users = [Credentials(0, 0, ()), Credentials(1000, 1000, (2000,)), Credentials(1001, 2000, (1001,))]
    walk(state, base, seed, users, 0o777)
