"""Walking a path to the inode it names: `.`, `..`, symbolic links, trailing slashes, search permission."""

import errno
from enum import Enum, auto
from stat import S_IFDIR, S_IFLNK

import msgspec

from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.common.errors import Refused
from cairnfs.common.operations import EXECUTE, NAME_MAX, PATH_MAX, SYMLINK_HOPS_MAX, Credentials
from cairnfs.namenode.state.permissions import may
from cairnfs.namenode.state.tables.view import View

_S_IFMT = 0o170000


class Ending(Enum):
    """How a path ends: with a name, with `.` or `..`, or without any (the empty path, and `/`)."""

    NAME = auto()
    DOT = auto()
    DOT_DOT = auto()
    NOTHING = auto()


class Place(msgspec.Struct, gc=False):
    """Where a path leads: a name in a folder, and the inode it stands for, if there is one.

    `name` counts only where `ending` is NAME. `has_slash`: the path ended with a slash, and so
    asks for a folder.
    """

    folder: Attributes
    name: bytes
    ending: Ending
    inode: Attributes | None
    has_slash: bool


def locate(view: View, who: Credentials, at: int, path: bytes, *, follow: bool, makes_file: bool = False) -> Place:
    """Where `path` leads from the inode `at`; a symbolic link at the end is followed if `follow`.

    `makes_file`: what is there is to be opened as a file or made, so that a slash after the last name is EISDIR.
    A path that begins with a slash starts at the root. Refused with ESTALE (no inode `at`), ENOENT
    (a folder on the way is missing), ENOTDIR, EACCES, ELOOP, ENAMETOOLONG, EINVAL (NUL).
    """
    if len(path) >= PATH_MAX:
        raise Refused(errno.ENAMETOOLONG, f"a path may have at most {PATH_MAX - 1} bytes")
    if b"\0" in path:
        raise Refused(errno.EINVAL, "a path cannot contain a NUL byte")
    folder = view.inode(ROOT_INO if path[:1] == b"/" else at)
    if folder is None:
        raise Refused(errno.ESTALE, f"inode {at} is gone")
    names = [name for name in path.split(b"/") if name]
    names.reverse()
    has_slash = path[-1:] == b"/"
    hops = 0
    while names:
        name = names.pop()
        if folder.mode & _S_IFMT != S_IFDIR:
            raise Refused(errno.ENOTDIR)
        if not may(folder, who, EXECUTE):
            raise Refused(errno.EACCES)
        if makes_file and has_slash and not names and name not in (b".", b".."):
            raise Refused(errno.EISDIR)
        ending, inode = _step(view, folder, name)
        if inode is None:
            if names or ending is not Ending.NAME:
                raise Refused(errno.ENOENT)
            return Place(folder, name, ending, None, has_slash)
        if inode.mode & _S_IFMT == S_IFLNK and (names or follow):
            hops += 1
            if hops > SYMLINK_HOPS_MAX:
                raise Refused(errno.ELOOP)
            target = view.content(inode.ino)
            has_slash = has_slash or (not names and target[-1:] == b"/")
            names += [part for part in reversed(target.split(b"/")) if part]
            folder = _root(view) if target[:1] == b"/" else folder
            continue
        if not names:
            return Place(folder, name, ending, inode, has_slash)
        folder = inode
    return Place(folder, b"", Ending.NOTHING, folder, has_slash)


def existing(view: View, who: Credentials, at: int, path: bytes, *, follow: bool) -> Attributes:
    """The inode that `path` names: as `locate`, and ENOENT where there is none, ENOTDIR for a slash after a file."""
    place = locate(view, who, at, path, follow=follow or path[-1:] == b"/")
    inode = place.inode
    if inode is None:
        raise Refused(errno.ENOENT)
    if place.has_slash and inode.mode & _S_IFMT != S_IFDIR:
        raise Refused(errno.ENOTDIR)
    return inode


def locate_name(
    view: View, who: Credentials, at: int, path: bytes, *, follow: bool = False, makes_file: bool = False
) -> Place:
    """As `locate`, for operations that make or remove a name: the empty path is ENOENT."""
    if not path:
        raise Refused(errno.ENOENT)
    return locate(view, who, at, path, follow=follow, makes_file=makes_file)


def _step(view: View, folder: Attributes, name: bytes) -> tuple[Ending, Attributes | None]:
    """What `name` leads to from a folder that may be searched."""
    if name == b".":
        return Ending.DOT, folder
    if name == b"..":
        return Ending.DOT_DOT, view.inode(folder.parent)
    if len(name) > NAME_MAX:
        raise Refused(errno.ENAMETOOLONG, f"a name may have at most {NAME_MAX} bytes")
    ino = view.child(folder.ino, name)
    return Ending.NAME, view.inode(ino) if ino else None


def _root(view: View) -> Attributes:
    root = view.inode(ROOT_INO)
    assert root is not None, "the root is never removed"
    return root
