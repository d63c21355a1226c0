"""Queries: listings, access, links, status."""

import errno

import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.namenode.state import commands
from cairnfs.namenode.state.commands import InitializeCluster, internal_item
from tests.unit.state.driver import ALICE, BOB, CLUSTER, INLINE_MAX, Driver


def test_a_listing_is_complete_and_in_order(state: Driver) -> None:
    """All names by pages of any size, in the order of bytes, nothing of the folders next to it."""
    for folder in (b"a", b"b", b"c"):
        state.mkdir(folder)
    names = [*sorted(b"%d" % number for number in range(300)), b"\xff" * 255]
    for name in names:
        state.put(b"b/" + name)
    state.put(b"c/other")
    for limit in (1, 7, 64, 65, 301, 302, 100_000):
        assert state.names(b"b", limit=limit) == names
    assert state.names(b"a") == []
    assert state.names(b"c") == [b"other"]


def test_a_page_says_whether_it_is_the_last(state: Driver) -> None:
    """Exactly when nothing follows."""
    for name in (b"x", b"y"):
        state.put(name)
    assert state.do(ops.ListDirectory(ROOT_INO, b"/", b"", 2)).is_last
    assert not state.do(ops.ListDirectory(ROOT_INO, b"/", b"", 1)).is_last
    assert state.do(ops.ListDirectory(ROOT_INO, b"/", b"x", 1)).is_last
    assert state.do(ops.ListDirectory(ROOT_INO, b"/", b"z", 1)).names == b""


@pytest.mark.parametrize("after", [b"m" * 255, b"m" * 256, b"m" * 70_000])
def test_a_listing_continues_after_any_name(state: Driver, after: bytes) -> None:
    """`after` need not exist, nor be a name that can."""
    for name in (b"m" * 254, b"m" * 255, b"n"):
        state.put(name)
    assert state.do(ops.ListDirectory(ROOT_INO, b"/", after)).names == b"n"


def test_a_listing_tells_kinds_inodes_and_attributes(state: Driver) -> None:
    """Parallel columns, the records as stat gives them."""
    state.mkdir(b"d")
    state.put(b"f", b"abc")
    state.symlink(b"l", b"f")
    page = state.do(ops.ListDirectory(ROOT_INO, b"/", with_attributes=True))
    assert page.kinds == b"\x04\x08\x0a"
    records = list(Attributes.unpack_many(page.records))
    assert records == [state.stat(name) for name in (b"d", b"f", b"l")]
    assert page.inodes == b"".join(record.ino.to_bytes(8, "little") for record in records)
    assert state.do(ops.ListDirectory(ROOT_INO, b"/")).records == b""


def test_listing_needs_a_folder_that_can_be_read(state: Driver) -> None:
    """ENOTDIR, EACCES, ENOENT."""
    state.put(b"f")
    state.mkdir(b"d", 0o711)
    assert state.errno_of(ops.ListDirectory(ROOT_INO, b"f")) == errno.ENOTDIR
    assert state.errno_of(ops.ListDirectory(ROOT_INO, b"d"), ALICE) == errno.EACCES
    assert state.errno_of(ops.ListDirectory(ROOT_INO, b"x")) == errno.ENOENT


def test_open_checks_kind_and_access(state: Driver) -> None:
    """EISDIR for writing to a folder, ELOOP for a link not followed, EACCES by the mode bits, ENXIO for a fifo."""
    state.mkdir(b"d")
    state.put(b"f", b"abc", 0o640)
    state.symlink(b"l", b"f")
    state.do(ops.MakeNode(ROOT_INO, b"p", 0o010666))
    assert state.errno_of(ops.OpenFile(ROOT_INO, b"d", ops.WRITE)) == errno.EISDIR
    assert state.errno_of(ops.OpenFile(ROOT_INO, b"l", follow=False)) == errno.ELOOP
    assert state.errno_of(ops.OpenFile(ROOT_INO, b"f"), BOB) == errno.EACCES
    assert state.errno_of(ops.OpenFile(ROOT_INO, b"p")) == errno.ENXIO
    assert state.do(ops.OpenFile(ROOT_INO, b"l")).inline == b"abc"
    assert Attributes.unpack(state.do(ops.OpenFile(ROOT_INO, b"d")).record) == state.stat(b"d")


def test_access_asks_for_all_bits(state: Driver) -> None:
    """EACCES unless all of the mask is granted; root executes only what somebody may."""
    state.put(b"f", mode=0o640)
    state.do(ops.SetAttributes(ROOT_INO, b"f", uid=1000, gid=1001))
    for who, mask, code in (
        (ALICE, ops.READ | ops.WRITE, 0),
        (ALICE, ops.EXECUTE, errno.EACCES),
        (BOB, ops.READ, 0),
        (BOB, ops.READ | ops.WRITE, errno.EACCES),
        (BOB, 0, 0),
    ):
        assert state.errno_of(ops.Access(ROOT_INO, b"f", mask), who) == code
    assert state.errno_of(ops.Access(ROOT_INO, b"f", ops.EXECUTE)) == errno.EACCES
    assert state.errno_of(ops.Access(ROOT_INO, b"f", 8)) == errno.EINVAL


def test_links_are_read(state: Driver) -> None:
    """The target as it was given; EINVAL for what is no link."""
    state.symlink(b"l", b"\xff/../x")
    assert state.do(ops.ReadLink(ROOT_INO, b"l")).value == b"\xff/../x"
    assert state.errno_of(ops.ReadLink(ROOT_INO, b"/")) == errno.EINVAL


def test_status_counts_inodes(state: Driver) -> None:
    """Room is not known to the state, and 0; all else is."""
    state.put(b"f")
    assert state.do(ops.GetFileSystemStatus()) == ops.FileSystemStatus(0, 0, 2, CLUSTER.block_size, 2, 3, INLINE_MAX)
    assert state.do(ops.ReleaseFiles((1, 2))) == ops.Done()


def test_nothing_works_before_the_cluster_is_set_up(state: Driver, tmp_path_factory: pytest.TempPathFactory) -> None:
    """EAGAIN for what needs settings; ESTALE for what needs the root."""
    with Driver(tmp_path_factory.mktemp("raw"), is_set_up=False) as raw:
        assert raw.machine.cluster() is None
        for command in (commands.OpenSession(b"n", "c"), commands.RegisterDatanode("u", "a:1")):
            assert raw.apply(internal_item(command))[0].errno == errno.EAGAIN
        assert raw.errno_of(ops.GetFileSystemStatus(), session=1) == errno.EAGAIN
        assert raw.errno_of(ops.GetAttributes(ROOT_INO, b"/"), session=1) == errno.ESTALE


def test_a_cluster_is_set_up_once(state: Driver) -> None:
    """Again with the same id is no error and changes nothing; another id is EEXIST."""
    state.put(b"f")
    again = InitializeCluster("test", b"other", 1, 1, 5, 5)
    assert state.apply(internal_item(again))[0].errno == 0
    settings = state.machine.cluster()
    assert settings is not None
    assert settings.token_key == CLUSTER.token_key
    assert state.names(b"/") == [b"f"]
    assert state.apply(internal_item(InitializeCluster("x", b"k", 1, 1, 5, 5)))[0].errno == errno.EEXIST


@pytest.mark.parametrize(
    "command",
    [
        InitializeCluster("", b"k", 3, 2, 5, 5),
        InitializeCluster("x", b"", 3, 2, 5, 5),
        InitializeCluster("x", b"k", 2, 3, 5, 5),
        InitializeCluster("x", b"k", 3, 0, 5, 5),
        InitializeCluster("x", b"k", 3, 2, -1, 5),
        InitializeCluster("x", b"k", 3, 2, 5, 1 << 26),
    ],
)
def test_settings_must_fit(tmp_path_factory: pytest.TempPathFactory, command: InitializeCluster) -> None:
    """Settings that cannot work are EINVAL, with a message that says which."""
    with Driver(tmp_path_factory.mktemp("raw"), is_set_up=False) as raw:
        outcome = raw.apply(internal_item(command))[0]
        assert outcome.errno == errno.EINVAL
        assert len(outcome.message) > 20
