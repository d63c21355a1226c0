"""From the local machine into the cluster: whole files, each of which appears under its name at once.

Up to inline_max bytes travel in one WriteFile. More go into a file without a name, that gets its name when
all of it is durable: CreateOrphan → blocks → Commit → Publish. Whatever goes wrong before, the
session lets the orphan go, and the namenode drops it.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import BinaryIO

from cairnfs.client.paths import Path, absolute, encode, join, parent_of
from cairnfs.client.services import Services
from cairnfs.client.transfers import Progress, TransferPool
from cairnfs.client.tree import Window
from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.errors import SessionExpired
from cairnfs.common.operations import (
    EXECUTE,
    TIME_OMIT,
    WRITE,
    Access,
    CreateOrphan,
    Done,
    FileMap,
    GetAttributes,
    MakeDirectory,
    MakeSymlink,
    Node,
    Publish,
    SetAttributes,
    Unlink,
    WriteFile,
)


class Upload:
    """A file on its way, without a name; `close` it, be it published or not."""

    def __init__(self, services: Services, permissions: int, *, bytes_expected: int | None = None) -> None:
        self._services = services
        self._caller = services.caller
        self._epoch = self._caller.namenode.epoch
        opened = self._caller.ask(CreateOrphan(permissions), FileMap)
        self.ino = Attributes.unpack(opened.record).ino
        self._stream = services.new_stream(self.ino, bytes_expected=bytes_expected)
        self._offset = 0
        self._size = 0

    def append(self, piece: memoryview) -> None:
        """Take the next bytes, which must not change any more."""
        self._stream.append(piece, ((self._offset, len(piece)),))
        self._offset += len(piece)
        self._size = self._offset

    def seek(self, offset: int) -> None:
        """Leave a hole up to `offset`."""
        self._offset = offset

    def publish(self, path: Path, *, size: int, exclusive: bool, times_ns: tuple[int, int] | None) -> None:
        """Make all of it durable and give it its name."""
        self._stream.commit(seal=True)
        if self._caller.namenode.epoch != self._epoch:
            raise SessionExpired(f"the session expired before {os.fsdecode(path)!r} was whole: put it again")
        is_short = size > self._size
        if is_short or times_ns is not None:
            atime_ns, mtime_ns = times_ns or (TIME_OMIT, TIME_OMIT)
            operation = SetAttributes(
                self.ino,
                b"",
                size=size if is_short else -1,
                atime_ns=atime_ns,
                mtime_ns=mtime_ns,
                by_handle=True,
            )
            self._caller.ask(operation, Node, path)
        self._caller.ask(Publish(self.ino, ROOT_INO, encode(path), exclusive), Node, path)

    def close(self) -> None:
        """Let it go: what has no name is dropped."""
        try:
            self._stream.abandon()
        finally:
            self._caller.namenode.release(self.ino, self._epoch)


def upload_bytes(services: Services, data: memoryview, path: Path, permissions: int, *, exclusive: bool) -> None:
    """See FileSystem.pipe_file."""
    if len(data) <= services.caller.settings().inline_max:
        _write_small(services, data, path, permissions, exclusive=exclusive)
        return
    check_target(services, path, exclusive=exclusive)
    upload = Upload(services, permissions, bytes_expected=len(data))
    try:
        for at in range(0, len(data), PIECE_BYTES_MAX):
            upload.append(data[at : at + PIECE_BYTES_MAX])
        upload.publish(path, size=len(data), exclusive=exclusive, times_ns=None)
    finally:
        upload.close()


def upload_stream(services: Services, source: BinaryIO, path: Path, permissions: int, *, exclusive: bool) -> None:
    """See FileSystem.pipe_file."""
    with TransferPool(1, None) as pool:
        _send(services, source, path, permissions, pool, exclusive=exclusive)


def upload_file(
    services: Services,
    local: Path,
    remote: Path,
    *,
    umask: int,
    preserve: bool,
    progress: Progress | None,
) -> None:
    """See FileSystem.put."""
    with TransferPool(1, progress) as pool:
        _upload_local(services, local, remote, pool, umask=umask, preserve=preserve, is_checked=False)


def upload_tree(
    services: Services,
    local: Path,
    remote: Path,
    *,
    umask: int,
    threads: int,
    preserve: bool,
    progress: Progress | None,
) -> None:
    """See FileSystem.put."""
    with TransferPool(threads, progress) as pool:
        _TreeUpload(services, pool, umask=umask, preserve=preserve).run(os.fsdecode(local), absolute(remote))


def check_target(services: Services, path: Path, *, exclusive: bool) -> None:
    """Refuse early what Publish would refuse after all bytes have been sent."""
    caller = services.caller
    encoded = encode(path)
    above = caller.submit(Access(ROOT_INO, parent_of(encoded) + b"/", WRITE | EXECUTE), Node, path)
    there = caller.submit(GetAttributes(ROOT_INO, encoded, not exclusive), Node, path)
    above.result()
    try:
        attributes = Attributes.unpack(there.result().record)
    except FileNotFoundError:
        return
    if exclusive:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))
    if stat.S_ISDIR(attributes.mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))


def _write_small(services: Services, data: memoryview, path: Path, permissions: int, *, exclusive: bool) -> None:
    operation = WriteFile(ROOT_INO, encode(path), permissions, bytes(data), exclusive)
    services.caller.ask(operation, Node, path)


def _send(
    services: Services,
    source: BinaryIO,
    path: Path,
    permissions: int,
    pool: TransferPool,
    *,
    exclusive: bool = False,
    is_checked: bool = False,
    times_ns: tuple[int, int] | None = None,
    bytes_expected: int | None = None,
) -> None:
    """Send a stream to its end, and publish it."""
    piece = memoryview(services.buffers.take())
    count = fill(source, piece)
    if count <= services.caller.settings().inline_max:
        _write_small(services, piece[:count], path, permissions, exclusive=exclusive)
        pool.moved(count)
        return
    if not is_checked:
        check_target(services, path, exclusive=exclusive)
    upload = Upload(services, permissions, bytes_expected=bytes_expected)
    size = 0
    try:
        while count:
            upload.append(piece[:count])
            size += count
            pool.moved(count)
            if count < len(piece):
                break
            piece = memoryview(services.buffers.take())
            count = fill(source, piece)
        upload.publish(path, size=size, exclusive=exclusive, times_ns=times_ns)
    finally:
        upload.close()


def fill(source: BinaryIO, into: memoryview) -> int:
    """Read until `into` is full or the source ends; how much that was. BlockingIOError where it will not wait."""
    readinto = getattr(source, "readinto", None)
    done = 0
    while done < len(into):
        if readinto is not None:
            count = readinto(into[done:])
        else:
            read: Callable[[int], bytes | None] = source.read  # None: as RawIOBase has it, where that does not block
            data = read(len(into) - done)
            count = None if data is None else len(data)
            into[done : done + (count or 0)] = data or b""
        if count is None:  # not its end: taken for that, a part would pass for the whole
            raise BlockingIOError(errno.EAGAIN, "the source has no bytes yet and does not wait: make it blocking")
        if not count:
            break
        done += count
    return done


def _upload_local(
    services: Services, local: Path, remote: Path, pool: TransferPool, *, umask: int, preserve: bool, is_checked: bool
) -> None:
    """Send one local file."""
    with open(local, "rb", buffering=0) as source:
        status = os.fstat(source.fileno())
        permissions = status.st_mode & (0o7777 if preserve else 0o777 & ~umask)
        times_ns = (status.st_atime_ns, status.st_mtime_ns) if preserve else None
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
        if size is not None and size > services.caller.settings().inline_max and status.st_blocks * 512 < size:
            _send_sparse(services, source.fileno(), remote, permissions, pool, size=size, times_ns=times_ns)
            return
        _send(
            services,
            source,
            remote,
            permissions,
            pool,
            is_checked=is_checked,
            times_ns=times_ns,
            bytes_expected=size or None,
        )
    if preserve and size is not None and size <= services.caller.settings().inline_max:
        services.caller.ask(_attributes_of(encode(remote), permissions, times_ns), Node, remote)


def _send_sparse(
    services: Services,
    descriptor: int,
    path: Path,
    permissions: int,
    pool: TransferPool,
    *,
    size: int,
    times_ns: tuple[int, int] | None,
) -> None:
    """Send a local file with holes: they stay holes."""
    upload = Upload(services, permissions)
    try:
        done = 0
        for start, end in _data_ranges(descriptor, size):
            pool.moved(start - done)
            upload.seek(start)
            done = start
            while done < end:
                piece = memoryview(services.buffers.take())
                count = os.preadv(descriptor, [piece[: min(len(piece), end - done)]], done)
                if not count:
                    break
                upload.append(piece[:count])
                pool.moved(count)
                done += count
        pool.moved(size - done)
        upload.publish(path, size=size, exclusive=False, times_ns=times_ns)
    finally:
        upload.close()


def _data_ranges(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end
                return
            raise
        at = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        yield start, at


def _attributes_of(path: bytes, permissions: int, times_ns: tuple[int, int] | None) -> SetAttributes:
    assert times_ns is not None
    return SetAttributes(ROOT_INO, path, mode=permissions, atime_ns=times_ns[0], mtime_ns=times_ns[1])


class _TreeUpload:
    """A local folder on its way. Small files are submitted many at a time, large ones go through the pool."""

    def __init__(self, services: Services, pool: TransferPool, *, umask: int, preserve: bool) -> None:
        self._services = services
        self._caller = services.caller
        self._pool = pool
        self._umask = umask
        self._preserve = preserve
        self._window = Window()
        self._late: list[tuple[str, os.stat_result]] = []

    def run(self, local: str, remote: str) -> None:
        """Copy the folder, its own name being `remote`."""
        try:
            waiting = [(local, remote)]
            self._make_folder(remote, os.stat(local))
            while waiting:
                folder, to_folder = waiting.pop()
                with os.scandir(folder) as entries:
                    for entry in sorted(entries, key=lambda each: each.name):
                        to = join(to_folder, entry.name)
                        if entry.is_dir(follow_symlinks=False):
                            self._make_folder(to, entry.stat(follow_symlinks=False))
                            waiting.append((entry.path, to))
                        else:
                            self._copy(entry, to)
        finally:
            self._window.settle()
        self._pool.finish()
        for path, status in reversed(self._late):
            operation = SetAttributes(ROOT_INO, os.fsencode(path), mode=self._mode_of(status))
            if self._preserve:
                operation = _attributes_of(
                    os.fsencode(path), self._mode_of(status), (status.st_atime_ns, status.st_mtime_ns)
                )
            self._window.add(self._caller.submit(operation, Node, path))
        self._window.settle()

    def _mode_of(self, status: os.stat_result) -> int:
        return status.st_mode & (0o7777 if self._preserve else 0o777 & ~self._umask)

    def _make_folder(self, path: str, status: os.stat_result) -> None:
        mode = self._mode_of(status)
        if self._preserve or mode & 0o700 != 0o700:
            self._late.append((path, status))
        operation = MakeDirectory(ROOT_INO, os.fsencode(path), mode | 0o700, parents=True)
        self._window.add(self._caller.submit(operation, Node, path))

    def _copy(self, entry: os.DirEntry[str], to: str) -> None:
        if entry.is_symlink():
            self._window.add(self._caller.submit(Unlink(ROOT_INO, os.fsencode(to)), Done, to), forgive=(errno.ENOENT,))
            target = os.fsencode(os.readlink(entry.path))
            self._window.add(self._caller.submit(MakeSymlink(ROOT_INO, os.fsencode(to), target), Node, to))
            return
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "neither a file, a folder nor a link: it cannot be copied", entry.path)
        if status.st_size > self._caller.settings().inline_max:
            local = entry.path
            self._pool.submit(
                lambda: _upload_local(
                    self._services,
                    local,
                    to,
                    self._pool,
                    umask=self._umask,
                    preserve=self._preserve,
                    is_checked=True,  # a folder that was just asked for may not be there to look at yet
                )
            )
            return
        self._copy_small(entry.path, to, status)

    def _copy_small(self, local: str, to: str, status: os.stat_result) -> None:
        with open(local, "rb", buffering=0) as source:
            content = source.read(self._caller.settings().inline_max + 1) or b""
        if len(content) > self._caller.settings().inline_max:  # it grew
            _upload_local(
                self._services, local, to, self._pool, umask=self._umask, preserve=self._preserve, is_checked=True
            )
            return
        operation = WriteFile(ROOT_INO, os.fsencode(to), self._mode_of(status), content)
        self._window.add(self._caller.submit(operation, Node, to))
        self._pool.moved(len(content))
        if self._preserve:
            times_ns = (status.st_atime_ns, status.st_mtime_ns)
            attributes = _attributes_of(os.fsencode(to), self._mode_of(status), times_ns)
            self._window.add(self._caller.submit(attributes, Node, to))
