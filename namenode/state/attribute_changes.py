"""chmod, chown, truncate and utimens: SetAttributes."""

import errno

from cairnfs.common.attributes import Attributes
from cairnfs.common.errors import Refused
from cairnfs.common.operations import TIME_NOW, TIME_OMIT, WRITE, Node, SetAttributes
from cairnfs.namenode.state import files
from cairnfs.namenode.state.call import SIZE_MAX, Call, touch_attributes
from cairnfs.namenode.state.permissions import (
    check_chown,
    check_may,
    is_file,
    is_folder,
    is_owner,
    is_symlink,
    may,
    mode_after_chmod,
    without_set_ids,
)
from cairnfs.namenode.state.resolve import existing
from cairnfs.namenode.state.schema import U32_MAX
from cairnfs.namenode.state.tables.update import Update
from cairnfs.namenode.state.xattrs import drop_capability

_TIME_MIN_NS = -(1 << 63)
_TIME_MAX_NS = (1 << 63) - 1


def set_attributes(update: Update, call: Call, operation: SetAttributes) -> Node:
    """All checks first, then all changes: chown, chmod, truncate, utimens."""
    who = call.who
    inode = existing(update, who, operation.at, operation.path, follow=operation.follow)
    is_chown = operation.uid != -1 or operation.gid != -1
    is_timed = operation.atime_ns != TIME_OMIT or operation.mtime_ns != TIME_OMIT
    if not (is_chown or is_timed) and operation.mode == -1 and operation.size == -1:
        return Node(inode.pack())
    if is_chown:
        _check_ids(operation)
        check_chown(inode, who, operation.uid, operation.gid)
    gid = inode.gid if operation.gid == -1 else operation.gid
    mode = inode.mode
    if is_chown and not is_folder(inode):
        mode = without_set_ids(inode, who)
    if operation.mode != -1:
        if is_symlink(inode):
            raise Refused(errno.EOPNOTSUPP, "a symbolic link has no mode of its own")
        mode = mode_after_chmod(inode, who, operation.mode, gid)
    if operation.size != -1:
        _check_truncate(inode, call, operation)
    if is_timed:
        _check_times(inode, call, operation)

    if is_chown:
        drop_capability(update, inode)
    inode.uid = inode.uid if operation.uid == -1 else operation.uid
    inode.gid = gid
    inode.mode = mode
    if operation.size != -1:
        files.truncate(update, call, inode, operation.size)
    inode.atime_ns = _time(operation.atime_ns, inode.atime_ns, call.now_ns)
    inode.mtime_ns = _time(operation.mtime_ns, inode.mtime_ns, call.now_ns)
    touch_attributes(inode, call.now_ns)
    update.save_inode(inode)
    return Node(inode.pack())


def _check_ids(operation: SetAttributes) -> None:
    if not (-1 <= operation.uid < U32_MAX and -1 <= operation.gid < U32_MAX):
        raise Refused(errno.EINVAL, "a user or group is a number below 4294967295")


def _check_truncate(inode: Attributes, call: Call, operation: SetAttributes) -> None:
    """EISDIR, EINVAL for other kinds and negative sizes, EFBIG, EACCES."""
    if is_folder(inode):
        raise Refused(errno.EISDIR)
    if not is_file(inode) or operation.size < 0:
        raise Refused(errno.EINVAL)
    if operation.size > SIZE_MAX:
        raise Refused(errno.EFBIG)
    if not operation.by_handle:
        check_may(inode, call.who, WRITE)


def _check_times(inode: Attributes, call: Call, operation: SetAttributes) -> None:
    """EPERM, EACCES: now needs ownership or write permission, any other time ownership (Linux utimes_common())."""
    for time_ns in (operation.atime_ns, operation.mtime_ns):
        if not _TIME_MIN_NS <= time_ns <= _TIME_MAX_NS:
            raise Refused(errno.EINVAL, "a time is nanoseconds in 64 bits")
    if is_owner(inode, call.who):
        return
    if operation.atime_ns != TIME_NOW or operation.mtime_ns != TIME_NOW:
        raise Refused(errno.EPERM)
    if not may(inode, call.who, WRITE):
        raise Refused(errno.EACCES)


def _time(wanted_ns: int, old_ns: int, now_ns: int) -> int:
    if wanted_ns == TIME_OMIT:
        return old_ns
    return now_ns if wanted_ns == TIME_NOW else wanted_ns
