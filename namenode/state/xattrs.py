"""Extended attributes, by the rules of xattr(7).

| namespace | set, remove                                           | get                          |
|-----------|-------------------------------------------------------|------------------------------|
| user      | files and folders, by write permission; in a sticky folder's own, by its owner | by read permission |
| trusted   | root                                                  | root; hidden from others     |
| security  | root                                                  | everybody                    |
| system    | not supported: an access control list that nobody enforces would be a false promise |       |
"""

import errno
import stat

from cairnfs.common.attributes import HAS_XATTRS, Attributes
from cairnfs.common.errors import Refused
from cairnfs.common.operations import (
    READ,
    WRITE,
    XATTR_CREATE,
    XATTR_REPLACE,
    Credentials,
    Done,
    GetXattr,
    ListXattrs,
    Names,
    RemoveXattr,
    SetXattr,
    Target,
)
from cairnfs.namenode.state.call import Call, touch_attributes
from cairnfs.namenode.state.permissions import check_may, is_file, is_folder, is_owner
from cairnfs.namenode.state.resolve import existing
from cairnfs.namenode.state.tables.update import Update
from cairnfs.namenode.state.tables.view import View

VALUE_BYTES_MAX = 65_536
NAMES_BYTES_MAX = 65_536
CAPABILITY = b"security.capability"
_NAME_BYTES_MAX = 255
_NAMESPACES = (b"user", b"trusted", b"security")


def set_xattr(update: Update, call: Call, operation: SetXattr) -> Done:
    """setxattr(2): E2BIG for too long a value, ENOSPC for too many names, EEXIST, ENODATA by flags."""
    if operation.flags not in (0, XATTR_CREATE, XATTR_REPLACE):
        raise Refused(errno.EINVAL)
    namespace = _namespace(operation.name)
    if len(operation.value) > VALUE_BYTES_MAX:
        raise Refused(errno.E2BIG, f"a value may have at most {VALUE_BYTES_MAX} bytes")
    inode = existing(update, call.who, operation.at, operation.path, follow=operation.follow)
    _check_write(inode, call.who, namespace)
    is_set = update.xattr(inode.ino, operation.name) is not None
    if is_set and operation.flags == XATTR_CREATE:
        raise Refused(errno.EEXIST)
    if not is_set:
        if operation.flags == XATTR_REPLACE:
            raise Refused(errno.ENODATA)
        names = update.xattr_names(inode.ino) if inode.flags & HAS_XATTRS else []
        if sum(len(name) + 1 for name in names) + len(operation.name) + 1 > NAMES_BYTES_MAX:
            raise Refused(errno.ENOSPC, f"the names of a file's attributes may have {NAMES_BYTES_MAX} bytes together")
    update.save_xattr(inode.ino, operation.name, operation.value)
    inode.flags |= HAS_XATTRS
    touch_attributes(inode, call.now_ns)
    update.save_inode(inode)
    return Done()


def remove_xattr(update: Update, call: Call, operation: RemoveXattr) -> Done:
    """removexattr(2): ENODATA where it is not set."""
    namespace = _namespace(operation.name)
    inode = existing(update, call.who, operation.at, operation.path, follow=operation.follow)
    _check_write(inode, call.who, namespace)
    if update.xattr(inode.ino, operation.name) is None:
        raise Refused(errno.ENODATA)
    _remove(update, inode, operation.name)
    touch_attributes(inode, call.now_ns)
    update.save_inode(inode)
    return Done()


def get_xattr(view: View, call: Call, operation: GetXattr) -> Target:
    """getxattr(2): ENODATA where it is not set, or not for the caller to see."""
    namespace = _namespace(operation.name)
    inode = existing(view, call.who, operation.at, operation.path, follow=operation.follow)
    if namespace == b"user":
        if not (is_file(inode) or is_folder(inode)):
            raise Refused(errno.ENODATA)
        check_may(inode, call.who, READ)
    elif namespace == b"trusted" and call.who.uid != 0:
        raise Refused(errno.ENODATA)
    value = view.xattr(inode.ino, operation.name) if inode.flags & HAS_XATTRS else None
    if value is None:
        raise Refused(errno.ENODATA)
    return Target(value)


def list_xattrs(view: View, call: Call, operation: ListXattrs) -> Names:
    """listxattr(2): without those that only root may see."""
    inode = existing(view, call.who, operation.at, operation.path, follow=operation.follow)
    names = view.xattr_names(inode.ino) if inode.flags & HAS_XATTRS else []
    if call.who.uid != 0:
        names = [name for name in names if not name.startswith(b"trusted.")]
    return Names(tuple(names))


def drop_capability(update: Update, inode: Attributes) -> None:
    """A changed or given-away program loses its capabilities, as it loses its set-ID bits (capabilities(7))."""
    if inode.flags & HAS_XATTRS and update.xattr(inode.ino, CAPABILITY) is not None:
        _remove(update, inode, CAPABILITY)


def _remove(update: Update, inode: Attributes, name: bytes) -> None:
    update.remove_xattr(inode.ino, name)
    if not update.xattr_names(inode.ino):
        inode.flags &= ~HAS_XATTRS


def _namespace(name: bytes) -> bytes:
    """The namespace of a name; ERANGE, EINVAL, EOPNOTSUPP where it cannot be a name."""
    if not 0 < len(name) <= _NAME_BYTES_MAX:
        raise Refused(errno.ERANGE, f"a name has 1 to {_NAME_BYTES_MAX} bytes")
    if b"\0" in name:
        raise Refused(errno.EINVAL, "a name cannot contain a NUL byte")
    namespace, dot, rest = name.partition(b".")
    if not dot or namespace not in _NAMESPACES:
        raise Refused(errno.EOPNOTSUPP, "a name begins with user., trusted. or security.")
    if not rest:
        raise Refused(errno.EINVAL)
    return namespace


def _check_write(inode: Attributes, who: Credentials, namespace: bytes) -> None:
    if namespace != b"user":
        if who.uid != 0:
            raise Refused(errno.EPERM)
        return
    if not (is_file(inode) or is_folder(inode)):
        raise Refused(errno.EPERM, "only files and folders have user attributes")
    if is_folder(inode) and inode.mode & stat.S_ISVTX and not is_owner(inode, who):
        raise Refused(errno.EPERM)
    check_may(inode, who, WRITE)
