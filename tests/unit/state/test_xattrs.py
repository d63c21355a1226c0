"""Extended attributes, by xattr(7)."""

import errno
import stat

import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import HAS_XATTRS, ROOT_INO
from cairnfs.namenode.state import xattrs
from tests.unit.state.driver import ALICE, BOB, Driver


def test_attributes_are_kept(state: Driver) -> None:
    """Set, replaced, listed in order, removed; ctime and version follow, mtime does not."""
    made = state.put(b"f")
    state.do(ops.SetXattr(ROOT_INO, b"f", b"user.b", b""))
    state.do(ops.SetXattr(ROOT_INO, b"f", b"user.a", b"one"))
    state.do(ops.SetXattr(ROOT_INO, b"f", b"user.a", b"\0two"))
    after = state.stat(b"f")
    assert (after.mtime_ns, after.ctime_ns) == (made.mtime_ns, state.now_ns)
    assert after.version > made.version
    assert state.do(ops.ListXattrs(ROOT_INO, b"f")).names == (b"user.a", b"user.b")
    assert state.do(ops.GetXattr(ROOT_INO, b"f", b"user.a")).value == b"\0two"
    assert state.do(ops.GetXattr(ROOT_INO, b"f", b"user.b")).value == b""
    for name in (b"user.a", b"user.b"):
        state.do(ops.RemoveXattr(ROOT_INO, b"f", name))
    assert not state.stat(b"f").flags & HAS_XATTRS
    assert state.errno_of(ops.GetXattr(ROOT_INO, b"f", b"user.a")) == errno.ENODATA
    assert state.errno_of(ops.RemoveXattr(ROOT_INO, b"f", b"user.a")) == errno.ENODATA


def test_flags_ask_for_new_or_old(state: Driver) -> None:
    """XATTR_CREATE is EEXIST on what is set, XATTR_REPLACE ENODATA on what is not."""
    state.put(b"f")
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"f", b"user.a", b"", ops.XATTR_REPLACE)) == errno.ENODATA
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"f", b"user.a", b"", ops.XATTR_CREATE)) == 0
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"f", b"user.a", b"", ops.XATTR_CREATE)) == errno.EEXIST
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"f", b"user.a", b"", 3)) == errno.EINVAL


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (b"", errno.ERANGE),
        (b"user." + b"n" * 251, errno.ERANGE),
        (b"user.", errno.EINVAL),
        (b"user.a\0b", errno.EINVAL),
        (b"plain", errno.EOPNOTSUPP),
        (b"other.a", errno.EOPNOTSUPP),
        (b"system.posix_acl_access", errno.EOPNOTSUPP),
    ],
)
def test_bad_names_are_refused(state: Driver, name: bytes, code: int) -> None:
    """Names that cannot be, and namespaces that are not supported, for every operation."""
    state.put(b"f")
    for operation in (
        ops.SetXattr(ROOT_INO, b"f", name, b"v"),
        ops.GetXattr(ROOT_INO, b"f", name),
        ops.RemoveXattr(ROOT_INO, b"f", name),
    ):
        assert state.errno_of(operation) == code


def test_sizes_are_bounded(state: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of 65,536 bytes is kept, one more is E2BIG; names beyond the bound are ENOSPC."""
    state.put(b"f")
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"f", b"user.a", b"v" * 65_537)) == errno.E2BIG
    state.do(ops.SetXattr(ROOT_INO, b"f", b"user.a", b"v" * 65_536))
    assert len(state.do(ops.GetXattr(ROOT_INO, b"f", b"user.a")).value) == 65_536
    monkeypatch.setattr(xattrs, "NAMES_BYTES_MAX", 13)
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"f", b"user.b", b"")) == errno.ENOSPC
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"f", b"user.a", b"")) == 0


def test_user_attributes_are_of_files_and_folders(state: Driver) -> None:
    """Other kinds have none: EPERM to set, ENODATA to get."""
    state.symlink(b"l", b"x")
    state.do(ops.MakeNode(ROOT_INO, b"p", stat.S_IFIFO | 0o666))
    for path in (b"l", b"p"):
        assert state.errno_of(ops.SetXattr(ROOT_INO, path, b"user.a", b"", follow=False)) == errno.EPERM
        assert state.errno_of(ops.GetXattr(ROOT_INO, path, b"user.a", follow=False)) == errno.ENODATA
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"/", b"user.a", b"")) == 0


def test_user_attributes_follow_the_mode_bits(state: Driver) -> None:
    """Write permission to set, read permission to get; in a sticky folder only its owner sets the folder's."""
    state.put(b"f", mode=0o640)
    state.do(ops.SetXattr(ROOT_INO, b"f", b"user.a", b""))
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"f", b"user.a", b""), BOB) == errno.EACCES
    assert state.errno_of(ops.RemoveXattr(ROOT_INO, b"f", b"user.a"), BOB) == errno.EACCES
    assert state.errno_of(ops.GetXattr(ROOT_INO, b"f", b"user.a"), BOB) == errno.EACCES
    state.mkdir(b"tmp")
    state.do(ops.SetAttributes(ROOT_INO, b"tmp", mode=0o1777, uid=1000))
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"tmp", b"user.a", b""), BOB) == errno.EPERM
    assert state.errno_of(ops.SetXattr(ROOT_INO, b"tmp", b"user.a", b""), ALICE) == 0


def test_trusted_attributes_are_for_root(state: Driver) -> None:
    """Others can neither set nor see them; security attributes they can see."""
    state.put(b"f", mode=0o666)
    for name in (b"trusted.a", b"security.a"):
        state.do(ops.SetXattr(ROOT_INO, b"f", name, b"v"))
        assert state.errno_of(ops.SetXattr(ROOT_INO, b"f", name, b""), ALICE) == errno.EPERM
        assert state.errno_of(ops.RemoveXattr(ROOT_INO, b"f", name), ALICE) == errno.EPERM
    assert state.errno_of(ops.GetXattr(ROOT_INO, b"f", b"trusted.a"), ALICE) == errno.ENODATA
    assert state.do(ops.GetXattr(ROOT_INO, b"f", b"security.a"), ALICE).value == b"v"
    assert state.do(ops.ListXattrs(ROOT_INO, b"f"), ALICE).names == (b"security.a",)
    assert state.do(ops.ListXattrs(ROOT_INO, b"f")).names == (b"security.a", b"trusted.a")
