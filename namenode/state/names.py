"""Names and link counts: making inodes, giving them names, taking names away."""

import errno
import stat

from cairnfs.common.attributes import Attributes
from cairnfs.common.errors import Refused
from cairnfs.namenode.state.call import LINKS_MAX, Call, settings_of, touch, touch_attributes
from cairnfs.namenode.state.permissions import check_may_add, check_may_remove, group_of_new, is_folder, mode_of_new
from cairnfs.namenode.state.resolve import Ending, Place
from cairnfs.namenode.state.tables.update import Update

UNLINKED = 0  # the session of an orphan that had a name


def check_is_new(place: Place, call: Call) -> None:
    """EEXIST, EACCES, ENOENT unless the caller may make the name, which must not exist."""
    if place.inode is not None:
        raise Refused(errno.EEXIST)
    check_may_add(place.folder, call.who)


def check_is_name(place: Place, code: int = errno.EBUSY) -> None:
    """`code` unless the path ends in a name: not in `.`, `..` or the root."""
    if place.ending is not Ending.NAME:
        raise Refused(code)


def new_inode(update: Update, call: Call, mode: int, gid: int) -> Attributes:
    """An inode that has no name yet, of the caller, with one link counted; not yet in the tables."""
    now_ns = call.now_ns
    replication = settings_of(update).replication if mode & 0o170000 == stat.S_IFREG else 0
    return Attributes(
        update.next_ino(), mode, 1, call.who.uid, gid, 0, 0, 0, now_ns, now_ns, now_ns, now_ns, 1, 0, replication, 0, 0
    )


def make(update: Update, call: Call, folder: Attributes, name: bytes, mode: int) -> Attributes:
    """A new inode under a new name in a folder; `mode` has the type bits. The caller has made all checks."""
    full_mode = mode_of_new(mode & 0o170000, mode, folder, call.who)
    inode = new_inode(update, call, full_mode, group_of_new(folder, call.who))
    if is_folder(inode):
        inode.nlink = 2
        inode.parent = folder.ino
        folder.nlink += 1
    update.add_inode(inode)
    set_name(update, call, folder, name, inode)
    return inode


def set_name(update: Update, call: Call, folder: Attributes, name: bytes, inode: Attributes) -> None:
    """Make a name in a folder stand for an inode, and note that the folder has changed."""
    update.save_child(folder.ino, name, inode)
    touch(folder, call.now_ns)
    update.save_inode(folder)


def remove_name(update: Update, call: Call, folder: Attributes, name: bytes) -> None:
    """Take a name from a folder, and note that the folder has changed."""
    update.remove_child(folder.ino, name)
    touch(folder, call.now_ns)
    update.save_inode(folder)


def drop_link(update: Update, call: Call, folder: Attributes, inode: Attributes) -> None:
    """Count off the link that `inode` had from `folder`; with the last one it becomes an orphan."""
    if is_folder(inode):
        folder.nlink -= 1
        update.save_inode(folder)
        inode.nlink = 0
    else:
        inode.nlink -= 1
    touch_attributes(inode, call.now_ns)
    update.save_inode(inode)
    if inode.nlink == 0:
        update.save_orphan(inode.ino, UNLINKED)


def check_links(inode: Attributes) -> None:
    """EMLINK where the inode can have no more links."""
    if inode.nlink >= LINKS_MAX:
        raise Refused(errno.EMLINK)


def check_replaceable_file(place: Place, call: Call) -> None:
    """Whether a new regular file may take the name: EACCES, EPERM, EISDIR, ENOENT; EINVAL for other kinds."""
    inode = place.inode
    if inode is None:
        check_may_add(place.folder, call.who)
        return
    if is_folder(inode):
        raise Refused(errno.EISDIR)
    if not stat.S_ISREG(inode.mode):
        raise Refused(errno.EINVAL, "only a regular file can be replaced by one")
    check_may_remove(place.folder, inode, call.who)
