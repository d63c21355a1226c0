"""What every operation is told besides itself, and small steps that many of them share."""

import errno

import msgspec

from cairnfs.common.attributes import Attributes
from cairnfs.common.errors import Refused
from cairnfs.common.operations import Credentials
from cairnfs.namenode.state.permissions import is_file, is_folder
from cairnfs.namenode.state.schema import ClusterSettings
from cairnfs.namenode.state.tables.view import View

SIZE_MAX = (1 << 63) - 1
LINKS_MAX = 65_000


class Call(msgspec.Struct, gc=False):
    """Who calls and when; an operation that makes the session hold an inode says so in `holds`."""

    session: int
    who: Credentials
    now_ns: int
    holds: int = 0

    @property
    def now_s(self) -> int:
        """Seconds since the epoch."""
        return self.now_ns // 1_000_000_000


def touch(inode: Attributes, now_ns: int) -> None:
    """The content has changed: mtime, ctime and version follow."""
    inode.mtime_ns = inode.ctime_ns = now_ns
    inode.version += 1


def touch_attributes(inode: Attributes, now_ns: int) -> None:
    """Something beside the content has changed: ctime and version follow."""
    inode.ctime_ns = now_ns
    inode.version += 1


def settings_of(view: View) -> ClusterSettings:
    """The settings of the cluster; EAGAIN before it has been set up."""
    cluster = view.cluster()
    if cluster is None:
        raise Refused(errno.EAGAIN, "the cluster is still being set up: try again")
    return cluster


def file_held(view: View, ino: int) -> Attributes:
    """The regular file that a holder names by its inode: ESTALE where it is gone, EISDIR, EINVAL for other kinds."""
    inode = view.inode(ino)
    if inode is None:
        raise Refused(errno.ESTALE, f"inode {ino} is gone")
    if not is_file(inode):
        raise Refused(errno.EISDIR if is_folder(inode) else errno.EINVAL)
    return inode


def check_range(offset: int, length: int) -> None:
    """EINVAL unless both are numbers from 0 on, EFBIG where the range ends beyond what a file can hold."""
    if offset < 0 or length < 0:
        raise Refused(errno.EINVAL)
    if offset + length > SIZE_MAX:
        raise Refused(errno.EFBIG)
