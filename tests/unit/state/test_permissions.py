"""Permission checks, as pure functions."""

import errno
import stat

import pytest

from cairnfs.common.attributes import Attributes
from cairnfs.common.errors import Refused
from cairnfs.common.operations import EXECUTE, READ, WRITE, Credentials
from cairnfs.namenode.state import permissions
from tests.unit.state.driver import ALICE, BOB, ROOT


def inode(mode: int, uid: int = 1000, gid: int = 2000, kind: int = stat.S_IFREG) -> Attributes:
    return Attributes(2, kind | mode, 1, uid, gid, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0)


@pytest.mark.parametrize(
    ("mode", "who", "granted"),
    [
        (0o700, ALICE, READ | WRITE | EXECUTE),
        (0o077, ALICE, 0),
        (0o070, Credentials(5, 2000), READ | WRITE | EXECUTE),
        (0o040, Credentials(5, 5, (7, 2000)), READ),
        (0o707, Credentials(5, 2000), 0),
        (0o005, BOB, READ | EXECUTE),
        (0o000, ROOT, READ | WRITE),
        (0o001, ROOT, READ | WRITE | EXECUTE),
    ],
)
def test_the_first_class_that_fits_decides(mode: int, who: Credentials, granted: int) -> None:
    """Owner, then group, then others; root executes what somebody may."""
    for mask in range(8):
        assert permissions.may(inode(mode), who, mask) == (mask & granted == mask)


def test_root_enters_every_folder() -> None:
    """Search permission on folders is root's always."""
    assert permissions.may(inode(0, kind=stat.S_IFDIR), ROOT, EXECUTE)


@pytest.mark.parametrize(
    ("who", "uid", "gid", "is_allowed"),
    [
        (ROOT, 5, 5, True),
        (ALICE, 1000, -1, True),
        (ALICE, -1, 2000, True),
        (ALICE, -1, 1000, True),
        (ALICE, 1001, -1, False),
        (ALICE, -1, 1001, False),
        (BOB, -1, 1001, False),
        (BOB, 1000, -1, False),
    ],
)
def test_chown_rules(who: Credentials, uid: int, gid: int, is_allowed: bool) -> None:
    """Owners give their files to groups of theirs; only root gives them away."""
    if is_allowed:
        permissions.check_chown(inode(0o644), who, uid, gid)
    else:
        with pytest.raises(Refused) as caught:
            permissions.check_chown(inode(0o644), who, uid, gid)
        assert caught.value.errno == errno.EPERM


def test_chmod_drops_a_foreign_group_id() -> None:
    """Who is not in the file's group cannot make it set-group-ID; root can."""
    assert permissions.mode_after_chmod(inode(0, gid=3000), ALICE, 0o2755, 3000) & 0o7777 == 0o755
    assert permissions.mode_after_chmod(inode(0), ALICE, 0o2755, 2000) & 0o7777 == 0o2755
    assert permissions.mode_after_chmod(inode(0), ROOT, 0o6755, 2000) & 0o7777 == 0o6755


@pytest.mark.parametrize(("before", "after"), [(0o6755, 0o755), (0o4644, 0o644), (0o2644, 0o2644), (0o2654, 0o654)])
def test_mandatory_locking_survives_a_write(before: int, after: int) -> None:
    """S_ISGID without group execution is no set-group-ID, for a member of the group."""
    assert permissions.mode_after_write(inode(before), ALICE) & 0o7777 == after
    assert permissions.mode_after_write(inode(before), ROOT) & 0o7777 == before


def test_new_inodes_in_a_set_group_id_folder() -> None:
    """Folders inherit the bit, files lose theirs where the group is foreign, sticky stays a folder's."""
    folder = inode(0o2777, gid=3000, kind=stat.S_IFDIR)
    assert permissions.group_of_new(folder, BOB) == 3000
    assert permissions.mode_of_new(stat.S_IFDIR, 0o5755, folder, BOB) & 0o7777 == 0o3755
    assert permissions.mode_of_new(stat.S_IFREG, 0o2755, folder, BOB) & 0o7777 == 0o755
    assert permissions.mode_of_new(stat.S_IFREG, 0o2755, folder, ROOT) & 0o7777 == 0o2755
