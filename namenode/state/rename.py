"""rename(2) and renameat2(2), with all their refusals, in the order of Linux."""

import errno

from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.common.errors import Refused
from cairnfs.common.operations import RENAME_EXCHANGE, RENAME_NOREPLACE, WRITE, Done, Rename
from cairnfs.namenode.state.call import Call, touch_attributes
from cairnfs.namenode.state.names import check_is_name, check_links, drop_link, remove_name, set_name
from cairnfs.namenode.state.permissions import check_may, check_may_add, check_may_remove, is_folder
from cairnfs.namenode.state.resolve import Place, locate_name
from cairnfs.namenode.state.tables.update import Update
from cairnfs.namenode.state.tables.view import View


def rename(update: Update, call: Call, operation: Rename) -> Done:
    """Move a name, replace what the new name stands for, or exchange the two."""
    flags = operation.flags
    if flags not in (0, RENAME_NOREPLACE, RENAME_EXCHANGE):
        raise Refused(errno.EINVAL)
    source = locate_name(update, call.who, operation.at, operation.path)
    target = locate_name(update, call.who, operation.to_at, operation.to_path)
    check_is_name(source)
    check_is_name(target, errno.EEXIST if flags == RENAME_NOREPLACE else errno.EBUSY)
    if source.inode is None:
        raise Refused(errno.ENOENT)
    if flags == RENAME_EXCHANGE:
        if target.inode is None:
            raise Refused(errno.ENOENT)
        _exchange(update, call, source, source.inode, target, target.inode)
    else:
        _move(update, call, source, source.inode, target, flags)
    return Done()


def _move(update: Update, call: Call, source: Place, inode: Attributes, target: Place, flags: int) -> None:
    replaced = target.inode
    if replaced is not None and flags == RENAME_NOREPLACE:
        raise Refused(errno.EEXIST)
    if not is_folder(inode) and (source.has_slash or target.has_slash):
        raise Refused(errno.ENOTDIR)
    _check_no_loop(update, inode, target.folder)
    if replaced is not None and is_folder(replaced) and is_within(update, source.folder, replaced.ino):
        raise Refused(errno.ENOTEMPTY)
    if replaced is not None and replaced.ino == inode.ino:
        return
    check_may_remove(source.folder, inode, call.who)
    _check_may_take(call, inode, target)
    if is_folder(inode) and source.folder.ino != target.folder.ino:
        check_may(inode, call.who, WRITE)
        if replaced is None:
            check_links(target.folder)
    if replaced is not None and is_folder(replaced) and update.has_children(replaced.ino):
        raise Refused(errno.ENOTEMPTY)

    remove_name(update, call, source.folder, source.name)
    if replaced is not None:
        drop_link(update, call, target.folder, replaced)
    _put_under(update, call, source.folder, target, inode)


def _exchange(update: Update, call: Call, source: Place, inode: Attributes, target: Place, other: Attributes) -> None:
    if (source.has_slash and not is_folder(inode)) or (target.has_slash and not is_folder(other)):
        raise Refused(errno.ENOTDIR)
    _check_no_loop(update, inode, target.folder)
    _check_no_loop(update, other, source.folder)
    if other.ino == inode.ino:
        return
    check_may_remove(source.folder, inode, call.who)
    check_may_remove(target.folder, other, call.who)
    if source.folder.ino != target.folder.ino:
        for moved in (inode, other):
            if is_folder(moved):
                check_may(moved, call.who, WRITE)
        if is_folder(inode) and not is_folder(other):
            check_links(target.folder)
        if is_folder(other) and not is_folder(inode):
            check_links(source.folder)

    _put_under(update, call, source.folder, target, inode)
    _put_under(update, call, target.folder, source, other)


def _put_under(update: Update, call: Call, old_folder: Attributes, place: Place, inode: Attributes) -> None:
    """Give an inode from `old_folder` the name at `place`; a folder's `..` moves with it."""
    if is_folder(inode) and old_folder.ino != place.folder.ino:
        old_folder.nlink -= 1
        place.folder.nlink += 1
        inode.parent = place.folder.ino
        update.save_inode(old_folder)
    touch_attributes(inode, call.now_ns)
    update.save_inode(inode)
    set_name(update, call, place.folder, place.name, inode)


def _check_may_take(call: Call, inode: Attributes, target: Place) -> None:
    """Whether `inode` may have the name at `target`, in the place of what is there."""
    if target.inode is None:
        check_may_add(target.folder, call.who)
        return
    check_may_remove(target.folder, target.inode, call.who)
    if is_folder(inode) and not is_folder(target.inode):
        raise Refused(errno.ENOTDIR)
    if not is_folder(inode) and is_folder(target.inode):
        raise Refused(errno.EISDIR)


def _check_no_loop(view: View, inode: Attributes, folder: Attributes) -> None:
    """EINVAL where `inode` would come to lie within itself."""
    if is_folder(inode) and is_within(view, folder, inode.ino):
        raise Refused(errno.EINVAL, "a folder cannot be moved into itself")


def is_within(view: View, folder: Attributes, ino: int) -> bool:
    """Whether a folder is `ino` or lies somewhere below it."""
    above: Attributes | None = folder
    while above is not None and above.ino != ROOT_INO:
        if above.ino == ino:
            return True
        above = view.inode(above.parent)
    return ino == ROOT_INO and above is not None
