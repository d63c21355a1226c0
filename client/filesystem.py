"""FileSystem: the verbs of the library, as fsspec names them."""

import errno
import hashlib
import os
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Literal, overload

from cairnfs.client import tree, upload
from cairnfs.client.download import download_file, download_tree
from cairnfs.client.file_handle import FileHandle
from cairnfs.client.file_info import Info
from cairnfs.client.namespace import Namespace
from cairnfs.client.open_file import File, Mode, RawFile, check_arguments, read_whole, wrap
from cairnfs.client.paths import Path, encode
from cairnfs.client.services import Services
from cairnfs.client.transfers import TRANSFER_THREADS, Progress
from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.common.operations import READ, WRITE, CreateFile, FileMap, OpenFile

HASH_CHUNK_BYTES = 1 << 20
_DIRECTORY = 0o040000
_FORMAT_MASK = 0o170000


class FileSystem(Namespace):
    """A cluster's files. Safe for many threads; use it in a `with`, or `close` it. Not to be used after fork().

    Paths are str, bytes or os.PathLike, and count from the root. Errors are those of `os`: FileNotFoundError,
    PermissionError, … with errno and path; besides them the CairnErrors of cairnfs.common.errors,
    all OSErrors too: ClusterUnavailable, NotEnoughDatanodes, NoSpace, CorruptData, …
    """

    def __init__(self, services: Services, *, umask: int) -> None:
        super().__init__(services.caller, umask=umask)
        self._services = services

    def close(self) -> None:
        """End the session: files that are still open are lost to their users."""
        try:
            self._services.close()
        finally:
            self._caller.namenode.close()

    def __enter__(self) -> "FileSystem":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- open files ------------------------------------------------------------------------------

    def open(
        self,
        path: Path,
        mode: str = "r",
        *,
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        permissions: int = 0o666,
    ) -> File:
        """Open a file as builtin open does: modes r, w, a, x with b, t and +; text is UTF-8 unless told.

        A file that is made gets `permissions`, less the umask. What is written is visible to others, and
        durable, after flush, fsync (a method) or close, each of which raises if that fails. Appends of
        several clients never overwrite each other.
        """
        parsed = Mode.parse(mode)
        check_arguments(parsed, buffering=buffering, encoding=encoding, errors=errors, newline=newline)
        handle = self.open_handle(path, parsed, permissions=permissions)
        try:
            raw = RawFile(handle, parsed, os.fspath(path))
            return wrap(raw, parsed, buffering=buffering, encoding=encoding, errors=errors, newline=newline)
        except BaseException:
            handle.close()
            raise

    def open_handle(self, path: Path, mode: Mode, *, permissions: int = 0o666) -> FileHandle:
        """An open file that is read and written by offset: what `open` puts a file object around."""
        access = READ * mode.can_read | WRITE * mode.can_write
        operation: OpenFile | CreateFile
        if mode.action == "r":
            operation = OpenFile(ROOT_INO, encode(path), access)
        else:
            operation = CreateFile(
                ROOT_INO,
                encode(path),
                permissions & 0o7777 & ~self.umask,
                exclusive=mode.action == "x",
                truncate=mode.action == "w",
                access=access,
            )
        namenode = self._caller.namenode
        epoch = namenode.epoch
        opened = self._caller.ask(operation, FileMap, path)
        attributes = Attributes.unpack(opened.record)
        if attributes.mode & _FORMAT_MASK == _DIRECTORY:
            namenode.release(attributes.ino, epoch)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        return FileHandle(self._services, opened, epoch=epoch, shown=os.fspath(path), append=mode.action == "a")

    # --- whole files -----------------------------------------------------------------------------

    def cat_file(self, path: Path, start: int | None = None, end: int | None = None) -> bytes:
        """The content of a file, or of a range of it; negative numbers count from the end."""
        handle = self.open_handle(path, _READ_MODE)
        try:
            size = handle.size
            first = _offset(start, size, 0)
            last = _offset(end, size, size)
            return read_whole(handle, first, last)
        finally:
            handle.close()

    def pipe_file(
        self,
        path: Path,
        data: bytes | bytearray | memoryview | BinaryIO,
        *,
        exclusive: bool = False,
        mode: int = 0o666,
    ) -> None:
        """Make a file with this content (bytes, or a binary file object to read to its end), in one step.

        Nobody ever sees a part of it under its name: a file that had the name is replaced when all is safe,
        or FileExistsError with `exclusive`.
        """
        permissions = mode & 0o7777 & ~self.umask
        if isinstance(data, bytes | bytearray | memoryview):
            upload.upload_bytes(self._services, memoryview(data).cast("B"), path, permissions, exclusive=exclusive)
        else:
            upload.upload_stream(self._services, data, path, permissions, exclusive=exclusive)

    def checksum(self, path: Path) -> str:
        """The SHA-256 of a file's content, in hexadecimal as `sha256sum` has it; how its blocks lie plays no part."""
        digest = hashlib.sha256()
        handle = self.open_handle(path, _READ_MODE)
        try:
            chunk = memoryview(bytearray(HASH_CHUNK_BYTES))
            offset = 0
            while count := handle.read_into(offset, chunk):
                digest.update(chunk[:count])
                offset += count
        finally:
            handle.close()
        return digest.hexdigest()

    # --- to and from the local machine -----------------------------------------------------------

    def put(
        self,
        local: Path,
        remote: Path,
        *,
        recursive: bool = False,
        threads: int = TRANSFER_THREADS,
        preserve: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Copy a local file to the name `remote`, or with `recursive` a folder with everything in it.

        Files appear whole or not at all. They get the permission bits of the local ones less the umask; with `preserve`
        all bits and the times. A folder that exists is filled; IsADirectoryError for a file over a folder.
        Symbolic links inside of a folder are copied as links. `progress` is called with numbers of bytes done, from
        several threads.
        """
        if recursive and os.path.isdir(local):
            upload.upload_tree(
                self._services,
                local,
                remote,
                umask=self.umask,
                threads=threads,
                preserve=preserve,
                progress=progress,
            )
        else:
            upload.upload_file(self._services, local, remote, umask=self.umask, preserve=preserve, progress=progress)

    def get(
        self,
        remote: Path,
        local: Path,
        *,
        recursive: bool = False,
        threads: int = TRANSFER_THREADS,
        preserve: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Copy a file to the local name `local`, or with `recursive` a folder with everything in it.

        Permissions, links, folders and `progress` as in `put`. A local file appears whole or not at all; NoSpace where
        the local disk is full.
        """
        if recursive and self.isdir(remote):
            download_tree(
                self._services,
                remote,
                local,
                threads=threads,
                preserve=preserve,
                progress=progress,
            )
        else:
            download_file(
                self._services,
                remote,
                local,
                threads=threads,
                preserve=preserve,
                progress=progress,
            )

    # --- trees within the cluster ----------------------------------------------------------------

    def rm(self, path: Path, recursive: bool = False) -> None:
        """Remove a file or a link, or with `recursive` a folder with everything in it; IsADirectoryError without."""
        if recursive and self._is_kind(path, "directory", follow=False):
            tree.remove(self._caller, path)
        else:
            self.unlink(path)

    def copy(self, source: Path, target: Path, recursive: bool = False) -> None:
        """Copy a file, or with `recursive` a folder with everything in it, within the cluster; no bytes move."""
        if recursive and self.isdir(source):
            tree.copy(self._caller, source, target)
        else:
            self.cp_file(source, target)

    @overload
    def find(
        self, path: Path, maxdepth: int | None = None, withdirs: bool = False, detail: Literal[False] = False
    ) -> list[str]: ...

    @overload
    def find(
        self, path: Path, maxdepth: int | None = None, withdirs: bool = False, *, detail: Literal[True]
    ) -> dict[str, Info]: ...

    def find(
        self, path: Path, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False
    ) -> list[str] | dict[str, Info]:
        """The paths of all that is below a folder but no folder itself, sorted; with `detail` a dict of their infos.

        With `withdirs` folders too. `maxdepth` 1 is the folder itself. Links are not followed.
        """
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        if detail:
            return tree.find(self._caller, path, maxdepth=maxdepth, withdirs=withdirs)
        return tree.find_names(self._caller, path, maxdepth=maxdepth, withdirs=withdirs)

    def walk(self, path: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        """(path, names of folders, names of all else) of a folder and of each below it, as os.walk."""
        return tree.walk(self._caller, path)

    @overload
    def du(self, path: Path, total: Literal[True] = True) -> int: ...

    @overload
    def du(self, path: Path, total: Literal[False]) -> dict[str, int]: ...

    def du(self, path: Path, total: bool = True) -> int | dict[str, int]:
        """The size of all files below a folder, a file with several names counted once; without `total` each one's."""
        if not self._is_kind(path, "directory", follow=True):
            size: int = self.info(path)["size"]
            return size if total else {os.fsdecode(path): size}
        sizes: dict[str, int] = {}
        seen: set[int] = set()
        for name, info in tree.find(self._caller, path, maxdepth=None, withdirs=False).items():
            if info["nlink"] > 1 and info["ino"] in seen:
                continue
            seen.add(info["ino"])
            sizes[name] = info["size"]
        return sum(sizes.values()) if total else sizes


_READ_MODE = Mode.parse("rb")


def _offset(value: int | None, size: int, default: int) -> int:
    if value is None:
        return default
    return max(0, size + value) if value < 0 else min(value, size)
