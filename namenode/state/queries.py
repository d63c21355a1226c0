"""Operations that read: attributes, maps, listings."""

import errno
from array import array
from bisect import bisect_left

from cairnfs.common.errors import Refused
from cairnfs.common.operations import (
    EXECUTE,
    NAME_MAX,
    READ,
    WRITE,
    Access,
    Done,
    FileMap,
    FileSystemStatus,
    GetAttributes,
    GetFileSystemStatus,
    GetMap,
    ListDirectory,
    Listing,
    Node,
    OpenFile,
    ReadLink,
    ReleaseFiles,
    Target,
)
from cairnfs.namenode.state.call import SIZE_MAX, Call, file_held, settings_of
from cairnfs.namenode.state.filemap import file_map
from cairnfs.namenode.state.permissions import check_may, is_file, is_folder, is_symlink
from cairnfs.namenode.state.resolve import existing
from cairnfs.namenode.state.schema import dentry_key, u64_key
from cairnfs.namenode.state.tables.store import Row
from cairnfs.namenode.state.tables.view import View

LISTED_MAX = 10_000
_FIRST_PAGE = 64


def get_attributes(view: View, call: Call, operation: GetAttributes) -> Node:
    """stat(2), lstat(2)."""
    return Node(existing(view, call.who, operation.at, operation.path, follow=operation.follow).pack())


def open_file(view: View, call: Call, operation: OpenFile) -> FileMap:
    """open(2) without O_CREAT."""
    inode = existing(view, call.who, operation.at, operation.path, follow=operation.follow)
    if is_symlink(inode):
        raise Refused(errno.ELOOP)
    if is_folder(inode) and operation.access & WRITE:
        raise Refused(errno.EISDIR)
    check_may(inode, call.who, operation.access & (READ | WRITE))
    if is_folder(inode):
        return FileMap(inode.pack(), b"", (), ())
    if not is_file(inode):
        raise Refused(errno.ENXIO, "neither a file nor a folder")
    return file_map(view, inode, 0, call.now_s)


def get_map(view: View, call: Call, operation: GetMap) -> FileMap:
    """More of the content map."""
    if not 0 <= operation.offset <= SIZE_MAX:
        raise Refused(errno.EINVAL)
    return file_map(view, file_held(view, operation.ino), operation.offset, call.now_s)


def release_files(_view: View, _call: Call, _operation: ReleaseFiles) -> Done:
    """What a session holds is the leader's to know: nothing is read here."""
    return Done()


def access(view: View, call: Call, operation: Access) -> Node:
    """Whether the caller may do all that the mask names, by its effective ids."""
    if not 0 <= operation.mask <= READ | WRITE | EXECUTE:
        raise Refused(errno.EINVAL)
    inode = existing(view, call.who, operation.at, operation.path, follow=True)
    check_may(inode, call.who, operation.mask)
    return Node(inode.pack())


def read_link(view: View, call: Call, operation: ReadLink) -> Target:
    """readlink(2): EINVAL for what is no symbolic link."""
    inode = existing(view, call.who, operation.at, operation.path, follow=False)
    if not is_symlink(inode):
        raise Refused(errno.EINVAL)
    return Target(view.content(inode.ino))


def list_directory(view: View, call: Call, operation: ListDirectory) -> Listing:
    """A page of a folder."""
    folder = existing(view, call.who, operation.at, operation.path, follow=True)
    if not is_folder(folder):
        raise Refused(errno.ENOTDIR)
    check_may(folder, call.who, READ)
    limit = min(max(operation.limit, 1), LISTED_MAX)
    rows = _dentries(view, folder.ino, operation.after, limit + 1)
    is_last = len(rows) <= limit
    del rows[limit:]
    names = b"/".join([key[8:] for key, _ in rows])
    inos = [value[:8] for _, value in rows]
    kinds = b"".join([value[8:] for _, value in rows])
    records = b"".join(map(view.rows.getter(view.tables.inodes), inos)) if operation.with_attributes else b""
    return Listing(names, _little_endian(b"".join(inos)), kinds, records, is_last)


def _dentries(view: View, folder: int, after: bytes, wanted: int) -> list[Row]:
    """The rows of a folder after a name, at most `wanted`; little is read of what follows the folder."""
    prefix = u64_key(folder)
    start = dentry_key(folder, after[: NAME_MAX + 1] + b"\0") if after else prefix
    rows: list[Row] = []
    page_size = _FIRST_PAGE
    while len(rows) < wanted:
        size = min(page_size, wanted - len(rows))
        page = view.rows.page(view.tables.dentries, start, size)
        if page and not page[-1][0].startswith(prefix):
            return rows + page[: bisect_left(page, u64_key(folder + 1), key=lambda row: row[0])]
        rows += page
        if len(page) < size:
            break
        start = page[-1][0] + b"\0"
        page_size *= 16
    return rows


def _little_endian(keys: bytes) -> bytes:
    """Big-endian u64s end to end, turned into little-endian ones."""
    numbers = array("Q", keys)
    numbers.byteswap()  # the order of bytes is turned round, whatever the machine's own is
    return numbers.tobytes()


def get_file_system_status(view: View, _call: Call, _operation: GetFileSystemStatus) -> FileSystemStatus:
    """What the state knows of statvfs(3): room is 0 here, for only the leader knows it."""
    cluster = settings_of(view)
    inodes = view.counters().inodes
    return FileSystemStatus(
        0, 0, inodes, cluster.block_size, cluster.min_replicas, cluster.replication, cluster.inline_max
    )
