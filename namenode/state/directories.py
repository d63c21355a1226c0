"""Operations on names: mkdir, mknod, symlink, link, unlink, rmdir."""

import errno
import stat

from cairnfs.common.attributes import Attributes
from cairnfs.common.errors import Refused
from cairnfs.common.operations import (
    NAME_MAX,
    PATH_MAX,
    Done,
    MakeDirectory,
    MakeLink,
    MakeNode,
    MakeSymlink,
    Node,
    RemoveDirectory,
    Unlink,
)
from cairnfs.namenode.state.call import Call, touch_attributes
from cairnfs.namenode.state.names import (
    check_is_name,
    check_is_new,
    check_links,
    drop_link,
    make,
    remove_name,
    set_name,
)
from cairnfs.namenode.state.permissions import check_may_add, check_may_remove, is_folder
from cairnfs.namenode.state.resolve import Ending, Place, existing, locate, locate_name
from cairnfs.namenode.state.schema import U64_MAX
from cairnfs.namenode.state.tables.update import Update

_KINDS_MADE = (stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK)
_OWNER_ENTERS = stat.S_IWUSR | stat.S_IXUSR


def make_directory(update: Update, call: Call, operation: MakeDirectory) -> Node:
    """mkdir(2)."""
    if operation.parents:
        return Node(_make_path(update, call, operation).pack())
    place = locate_name(update, call.who, operation.at, operation.path)
    check_is_new(place, call)
    check_links(place.folder)
    return Node(make(update, call, place.folder, place.name, stat.S_IFDIR | operation.mode & 0o7777).pack())


def _make_path(update: Update, call: Call, operation: MakeDirectory) -> Attributes:
    """The folder at the path, made with all that is missing on the way; those on the way the caller can enter."""
    if len(operation.path) >= PATH_MAX:
        raise Refused(errno.ENAMETOOLONG, f"a path may have at most {PATH_MAX - 1} bytes")
    place = locate(update, call.who, operation.at, b"/" if operation.path[:1] == b"/" else b"", follow=True)
    folder = place.folder
    names = [name for name in operation.path.split(b"/") if name]
    while names:
        place = locate(update, call.who, folder.ino, names[0], follow=True)
        if place.inode is None:
            return _make_missing(update, call, place, names[1:], operation.mode)
        folder = place.inode
        names.pop(0)
    if not is_folder(folder):
        raise Refused(errno.EEXIST)
    return folder


def _make_missing(update: Update, call: Call, place: Place, below: list[bytes], mode: int) -> Attributes:
    """Make the folder at `place`, and those with the names `below` it, one in the other."""
    check_may_add(place.folder, call.who)
    check_links(place.folder)
    below = [name for name in below if name != b"."]
    if b".." in below:
        raise Refused(errno.ENOENT)
    if any(len(name) > NAME_MAX for name in below):
        raise Refused(errno.ENAMETOOLONG, f"a name may have at most {NAME_MAX} bytes")
    if any(b"\0" in name for name in below):
        raise Refused(errno.EINVAL, "a path cannot contain a NUL byte")
    folder = place.folder
    for depth, name in enumerate([place.name, *below]):
        own_mode = mode & 0o7777 | (_OWNER_ENTERS if depth < len(below) else 0)
        folder = make(update, call, folder, name, stat.S_IFDIR | own_mode)
    return folder


def make_node(update: Update, call: Call, operation: MakeNode) -> Node:
    """mknod(2): EPERM for a device unless by root, EINVAL for a type that it cannot make."""
    kind = operation.mode & 0o170000 or stat.S_IFREG
    if kind not in _KINDS_MADE or not 0 <= operation.rdev <= U64_MAX:
        raise Refused(errno.EPERM if kind == stat.S_IFDIR else errno.EINVAL)
    place = _place_of_new_file(update, call, operation.at, operation.path)
    is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
    if is_device and call.who.uid != 0:
        raise Refused(errno.EPERM, "only root can make a device")
    inode = make(update, call, place.folder, place.name, kind | operation.mode & 0o7777)
    inode.rdev = operation.rdev if is_device else 0
    return Node(inode.pack())


def make_symlink(update: Update, call: Call, operation: MakeSymlink) -> Node:
    """symlink(2): ENOENT for an empty target, ENAMETOOLONG for one of 4,096 bytes or more."""
    target = operation.target
    if not target:
        raise Refused(errno.ENOENT, "a symbolic link needs a target")
    if len(target) >= PATH_MAX:
        raise Refused(errno.ENAMETOOLONG, f"a target may have at most {PATH_MAX - 1} bytes")
    if b"\0" in target:
        raise Refused(errno.EINVAL, "a target cannot contain a NUL byte")
    place = _place_of_new_file(update, call, operation.at, operation.path)
    inode = make(update, call, place.folder, place.name, stat.S_IFLNK | 0o777)
    update.save_content(inode.ino, target)
    inode.size = len(target)
    return Node(inode.pack())


def make_link(update: Update, call: Call, operation: MakeLink) -> Node:
    """linkat(2): EPERM for a folder, ENOENT for an inode without a name."""
    inode = existing(update, call.who, operation.at, operation.path, follow=operation.follow)
    place = _place_of_new_file(update, call, operation.to_at, operation.to_path)
    if is_folder(inode):
        raise Refused(errno.EPERM, "a folder can have only one name")
    if inode.nlink == 0:
        raise Refused(errno.ENOENT)
    check_links(inode)
    inode.nlink += 1
    touch_attributes(inode, call.now_ns)
    update.save_inode(inode)
    set_name(update, call, place.folder, place.name, inode)
    return Node(inode.pack())


def _place_of_new_file(update: Update, call: Call, at: int, path: bytes) -> Place:
    """Where a new inode that is no folder goes: EEXIST, and ENOENT for a trailing slash."""
    place = locate_name(update, call.who, at, path)
    if place.inode is None and place.has_slash:
        raise Refused(errno.ENOENT)
    check_is_new(place, call)
    return place


def unlink(update: Update, call: Call, operation: Unlink) -> Done:
    """Take a name from a file, as POSIX has it: EISDIR for a folder."""
    place = locate_name(update, call.who, operation.at, operation.path)
    check_is_name(place, errno.EISDIR)
    inode = place.inode
    if inode is None:
        raise Refused(errno.ENOENT)
    if place.has_slash:
        raise Refused(errno.EISDIR if is_folder(inode) else errno.ENOTDIR)
    check_may_remove(place.folder, inode, call.who)
    if is_folder(inode):
        raise Refused(errno.EISDIR)
    remove_name(update, call, place.folder, place.name)
    drop_link(update, call, place.folder, inode)
    return Done()


def remove_directory(update: Update, call: Call, operation: RemoveDirectory) -> Done:
    """rmdir(2): ENOTEMPTY, ENOTDIR, EBUSY for the root, EINVAL for `.`."""
    place = locate_name(update, call.who, operation.at, operation.path)
    if place.ending is not Ending.NAME:
        codes = {Ending.DOT: errno.EINVAL, Ending.DOT_DOT: errno.ENOTEMPTY, Ending.NOTHING: errno.EBUSY}
        raise Refused(codes[place.ending])
    inode = place.inode
    if inode is None:
        raise Refused(errno.ENOENT)
    check_may_remove(place.folder, inode, call.who)
    if not is_folder(inode):
        raise Refused(errno.ENOTDIR)
    if update.has_children(inode.ino):
        raise Refused(errno.ENOTEMPTY)
    remove_name(update, call, place.folder, place.name)
    drop_link(update, call, place.folder, inode)
    return Done()
