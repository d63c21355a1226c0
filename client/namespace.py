"""The verbs that need the namenode only: folders, names, attributes, links, extended attributes."""

import errno
import os
from typing import Literal, overload

from cairnfs.client.caller import Caller
from cairnfs.client.file_info import Info, kind_of, make_info, make_infos
from cairnfs.client.listing import FolderPages
from cairnfs.client.paths import Path, absolute, encode, join, parent_of
from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.common.operations import (
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    TIME_NOW,
    XATTR_CREATE,
    XATTR_REPLACE,
    CopyFile,
    CreateFile,
    Done,
    FileMap,
    FileSystemStatus,
    GetAttributes,
    GetFileSystemStatus,
    GetXattr,
    ListXattrs,
    MakeDirectory,
    MakeLink,
    MakeSymlink,
    Names,
    Node,
    ReadLink,
    RemoveDirectory,
    RemoveXattr,
    Rename,
    SetAttributes,
    SetXattr,
    Target,
    Unlink,
)

_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Namespace:
    """Everything about files but their content. Safe for many threads; errors are those of `os`, paths included.

    `umask` is taken off the modes of what is made (it is that of the process when it connected, and may be set).
    """

    def __init__(self, caller: Caller, *, umask: int) -> None:
        self._caller = caller
        self.umask = umask

    # --- looking ---------------------------------------------------------------------------------

    def info(self, path: Path, *, follow: bool = False) -> Info:
        """What there is to tell of `path`, as stat(2) with `follow`, else as lstat(2) and as `ls` has it.

        A dict: name (the whole path) · size · type ("file", "directory", "link" or "other") · mode · uid · gid ·
        nlink · ino · mtime_ns, atime_ns, ctime_ns, btime_ns · allocated (bytes) · replication · rdev · version.
        """
        return make_info(absolute(path), self._record(path, follow=follow))

    def exists(self, path: Path) -> bool:
        """Whether `path` leads to something, links followed; PermissionError where that cannot be told."""
        return self._mode(path, follow=True) is not None

    def isdir(self, path: Path) -> bool:
        """Whether `path` is a folder, or a link to one."""
        return self._is_kind(path, "directory", follow=True)

    def isfile(self, path: Path) -> bool:
        """Whether `path` is a regular file, or a link to one."""
        return self._is_kind(path, "file", follow=True)

    def islink(self, path: Path) -> bool:
        """Whether `path` is a symbolic link."""
        return self._is_kind(path, "link", follow=False)

    @overload
    def ls(self, path: Path, detail: Literal[False] = False) -> list[str]: ...

    @overload
    def ls(self, path: Path, detail: Literal[True]) -> list[Info]: ...

    def ls(self, path: Path, detail: bool = False) -> list[str] | list[Info]:
        """The paths of what is in a folder, in the order of their bytes; with `detail` an `info` of each.

        The path of what is no folder gives itself.
        """
        folder = absolute(path)
        try:
            if detail:
                return self._ls_infos(path, folder)
            return self._ls_names(path, folder)
        except NotADirectoryError:
            info = self.info(path)
            return [info] if detail else [folder]

    def _ls_names(self, path: Path, folder: str) -> list[str]:
        prefix = join(folder, "")
        found: list[str] = []
        for page in FolderPages(self._caller, ROOT_INO, encode(path), path, with_attributes=False):
            found += [prefix + name for name in page.text_names()]
        return found

    def _ls_infos(self, path: Path, folder: str) -> list[Info]:
        prefix = join(folder, "")
        found: list[Info] = []
        for page in FolderPages(self._caller, ROOT_INO, encode(path), path, with_attributes=True):
            found += make_infos([prefix + name for name in page.text_names()], page.records)
        return found

    def readlink(self, path: Path) -> str:
        """Where a symbolic link points; OSError with EINVAL for what is none."""
        return os.fsdecode(self._caller.ask(ReadLink(ROOT_INO, encode(path)), Target, path).value)

    def statvfs(self) -> FileSystemStatus:
        """Room and sizes of the whole cluster, in bytes (capacity and free count every replica)."""
        return self._caller.ask(GetFileSystemStatus(), FileSystemStatus)

    # --- folders and names -----------------------------------------------------------------------

    def mkdir(self, path: Path, mode: int = 0o777) -> None:
        """Make a folder (POSIX mkdir)."""
        self._caller.ask(MakeDirectory(ROOT_INO, encode(path), mode & ~self.umask), Node, path)

    def makedirs(self, path: Path, mode: int = 0o777, exist_ok: bool = False) -> None:
        """Make a folder, and those missing above it; FileExistsError where it exists, unless `exist_ok`."""
        encoded = encode(path)
        if exist_ok:
            self._caller.ask(MakeDirectory(ROOT_INO, encoded, mode & ~self.umask, parents=True), Node, path)
            return
        above = parent_of(encoded)
        if above:
            self._caller.ask(MakeDirectory(ROOT_INO, above, 0o777 & ~self.umask, parents=True), Node, path)
        self.mkdir(path, mode)

    def rmdir(self, path: Path) -> None:
        """Remove an empty folder (POSIX rmdir)."""
        self._caller.ask(RemoveDirectory(ROOT_INO, encode(path)), Done, path)

    def unlink(self, path: Path) -> None:
        """Remove a name of a file or a link (POSIX unlink)."""
        self._caller.ask(Unlink(ROOT_INO, encode(path)), Done, path)

    def mv(self, source: Path, target: Path, *, exclusive: bool = False, exchange: bool = False) -> None:
        """Rename, in one step, as rename(2): a file that has the name `target` is replaced, as is an empty folder.

        FileExistsError instead with `exclusive`; with `exchange` both must exist, and swap their names.
        """
        flags = RENAME_NOREPLACE * exclusive | RENAME_EXCHANGE * exchange
        self._caller.ask(Rename(ROOT_INO, encode(source), ROOT_INO, encode(target), flags), Done, source, target)

    def cp_file(self, source: Path, target: Path, *, exclusive: bool = False) -> None:
        """Make `target` a copy of a file, in one step and without moving a byte: the copies share their blocks."""
        self._caller.ask(CopyFile(ROOT_INO, encode(source), ROOT_INO, encode(target), exclusive), Node, source, target)

    def symlink(self, target: Path, path: Path) -> None:
        """Make a symbolic link at `path` that contains `target`, which need not exist."""
        self._caller.ask(MakeSymlink(ROOT_INO, encode(path), encode(target)), Node, target, path)

    def link(self, source: Path, path: Path, *, follow: bool = False) -> None:
        """Give the file at `source` another name (POSIX link)."""
        self._caller.ask(MakeLink(ROOT_INO, encode(source), ROOT_INO, encode(path), follow), Node, source, path)

    # --- attributes ------------------------------------------------------------------------------

    def touch(self, path: Path, mode: int = 0o666) -> None:
        """Set the times of a file or folder to now, or make an empty file where there is nothing."""
        try:
            self.utime(path)
        except FileNotFoundError:
            epoch = self._caller.namenode.epoch
            create = CreateFile(ROOT_INO, encode(path), mode & ~self.umask, access=0)
            opened = self._caller.ask(create, FileMap, path)
            self._caller.namenode.release(Attributes.unpack(opened.record).ino, epoch)

    def chmod(self, path: Path, mode: int, *, follow: bool = True) -> None:
        """Set the permission bits."""
        self._set(path, SetAttributes(ROOT_INO, encode(path), mode=mode & 0o7777, follow=follow))

    def chown(self, path: Path, uid: int = -1, gid: int = -1, *, follow: bool = True) -> None:
        """Set owner and group; -1 leaves one as it is."""
        self._set(path, SetAttributes(ROOT_INO, encode(path), uid=uid, gid=gid, follow=follow))

    def utime(self, path: Path, *, ns: tuple[int, int] | None = None, follow: bool = True) -> None:
        """Set the times of access and modification, in nanoseconds since the epoch; both to now without `ns`."""
        atime_ns, mtime_ns = (TIME_NOW, TIME_NOW) if ns is None else ns
        self._set(path, SetAttributes(ROOT_INO, encode(path), atime_ns=atime_ns, mtime_ns=mtime_ns, follow=follow))

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file to `size` bytes, or make it longer with zeros that take no room."""
        if size < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), os.fspath(path))
        self._set(path, SetAttributes(ROOT_INO, encode(path), size=size))

    def getxattr(self, path: Path, name: str | bytes, *, follow: bool = True) -> bytes:
        """The value of an extended attribute; OSError with ENODATA where it is not set."""
        return self._caller.ask(GetXattr(ROOT_INO, encode(path), os.fsencode(name), follow), Target, path).value

    def setxattr(
        self,
        path: Path,
        name: str | bytes,
        value: bytes,
        *,
        create: bool = False,
        replace: bool = False,
        follow: bool = True,
    ) -> None:
        """Set an extended attribute; with `create` it must not exist, with `replace` it must."""
        flags = XATTR_CREATE * create | XATTR_REPLACE * replace
        self._caller.ask(SetXattr(ROOT_INO, encode(path), os.fsencode(name), value, flags, follow), Done, path)

    def listxattr(self, path: Path, *, follow: bool = True) -> list[str]:
        """The names of the extended attributes."""
        names = self._caller.ask(ListXattrs(ROOT_INO, encode(path), follow), Names, path).names
        return [os.fsdecode(name) for name in names]

    def removexattr(self, path: Path, name: str | bytes, *, follow: bool = True) -> None:
        """Remove an extended attribute."""
        self._caller.ask(RemoveXattr(ROOT_INO, encode(path), os.fsencode(name), follow), Done, path)

    # --- what these share ------------------------------------------------------------------------

    def _set(self, path: Path, operation: SetAttributes) -> None:
        self._caller.ask(operation, Node, path)

    def _record(self, path: Path, *, follow: bool) -> bytes:
        return self._caller.ask(GetAttributes(ROOT_INO, encode(path), follow), Node, path).record

    def _mode(self, path: Path, *, follow: bool) -> int | None:
        try:
            return Attributes.unpack(self._record(path, follow=follow)).mode
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise

    def _is_kind(self, path: Path, kind: str, *, follow: bool) -> bool:
        mode = self._mode(path, follow=follow)
        return mode is not None and kind_of(mode) == kind
