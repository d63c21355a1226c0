"""POSIX permission checks, as pure functions of attributes and credentials. They raise Refused."""

import errno
import stat

from cairnfs.common.attributes import Attributes
from cairnfs.common.errors import Refused
from cairnfs.common.operations import EXECUTE, WRITE, Credentials

_SUID_SGID = stat.S_ISUID | stat.S_ISGID


def is_folder(inode: Attributes) -> bool:
    """Whether the inode is a folder."""
    return inode.mode & 0o170000 == stat.S_IFDIR


def is_file(inode: Attributes) -> bool:
    """Whether the inode is a regular file."""
    return inode.mode & 0o170000 == stat.S_IFREG


def is_symlink(inode: Attributes) -> bool:
    """Whether the inode is a symbolic link."""
    return inode.mode & 0o170000 == stat.S_IFLNK


def is_member(who: Credentials, gid: int) -> bool:
    """Whether the caller is in a group; root is in all."""
    return who.uid == 0 or who.gid == gid or gid in who.groups


def is_owner(inode: Attributes, who: Credentials) -> bool:
    """Whether the caller owns the inode; root owns all."""
    return who.uid in (0, inode.uid)


def may(inode: Attributes, who: Credentials, mask: int) -> bool:
    """Whether the mode bits grant all of `mask` (READ, WRITE, EXECUTE) to the caller.

    The first class that fits decides: owner, then group, then others. Root reads and writes
    everything, and executes what anybody may execute.
    """
    mode = inode.mode
    if who.uid == 0:
        return not mask & EXECUTE or mode & 0o170000 == stat.S_IFDIR or mode & 0o111 != 0
    if who.uid == inode.uid:
        mode >>= 6
    elif who.gid == inode.gid or inode.gid in who.groups:
        mode >>= 3
    return mode & mask == mask


def check_may(inode: Attributes, who: Credentials, mask: int) -> None:
    """EACCES unless the mode bits grant all of `mask`."""
    if not may(inode, who, mask):
        raise Refused(errno.EACCES)


def check_may_add(folder: Attributes, who: Credentials) -> None:
    """Whether the caller may make a new name in a folder: EACCES, ENOENT where the folder has been removed."""
    if folder.nlink == 0:
        raise Refused(errno.ENOENT)
    if not may(folder, who, WRITE | EXECUTE):
        raise Refused(errno.EACCES)


def check_may_remove(folder: Attributes, inode: Attributes, who: Credentials) -> None:
    """Whether the caller may remove the name of `inode` from a folder: EACCES, EPERM for a sticky folder."""
    if not may(folder, who, WRITE | EXECUTE):
        raise Refused(errno.EACCES)
    if folder.mode & stat.S_ISVTX and who.uid not in (0, inode.uid, folder.uid):
        raise Refused(errno.EPERM)


def group_of_new(folder: Attributes, who: Credentials) -> int:
    """The group of a new inode: that of the folder where it has the set-group-ID bit, else the caller's."""
    return folder.gid if folder.mode & stat.S_ISGID else who.gid


def mode_of_new(kind: int, mode: int, folder: Attributes, who: Credentials) -> int:
    """Type and permission bits of a new inode of type `kind` (S_IF…).

    A folder inherits the set-group-ID bit and takes no set-ID bit of its own; a file loses it
    where its group is not the caller's (Linux inode_init_owner()).
    """
    inherited = folder.mode & stat.S_ISGID
    if kind == stat.S_IFDIR:
        return kind | mode & 0o1777 | inherited
    mode &= 0o7777
    if inherited and mode & (stat.S_ISGID | stat.S_IXGRP) == stat.S_ISGID | stat.S_IXGRP:
        mode = mode if is_member(who, folder.gid) else mode & ~stat.S_ISGID
    return kind | mode


def mode_after_write(inode: Attributes, who: Credentials) -> int:
    """The mode after the caller changed the content: set-ID bits do not survive a write by others than root."""
    return inode.mode if who.uid == 0 or not inode.mode & _SUID_SGID else without_set_ids(inode, who)


def without_set_ids(inode: Attributes, who: Credentials) -> int:
    """The mode without S_ISUID, and without S_ISGID where it means set-group-ID and not mandatory locking."""
    mode = inode.mode & ~stat.S_ISUID
    if mode & stat.S_IXGRP or not is_member(who, inode.gid):
        mode &= ~stat.S_ISGID
    return mode


def mode_after_chmod(inode: Attributes, who: Credentials, mode: int, gid: int) -> int:
    """The mode after chmod(2) to `mode` of an inode of group `gid`: EPERM unless the caller owns it."""
    if not is_owner(inode, who):
        raise Refused(errno.EPERM)
    mode &= 0o7777
    if not is_member(who, gid):
        mode &= ~stat.S_ISGID
    return inode.mode & 0o170000 | mode


def check_chown(inode: Attributes, who: Credentials, uid: int, gid: int) -> None:
    """EPERM unless the caller may give the inode to `uid` and `gid` (-1: as it is)."""
    if who.uid == 0:
        return
    is_allowed = who.uid == inode.uid and uid in (-1, inode.uid) and (gid in (-1, inode.gid) or is_member(who, gid))
    if not is_allowed:
        raise Refused(errno.EPERM)
