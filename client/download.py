"""From the cluster to the local machine: whole files, each of which appears under its name at once.

A file is fetched into a temporary one next to its target, several stretches at a time, and renamed when
it is whole; whatever goes wrong before, the temporary one is removed. Holes stay holes.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections import deque
from collections.abc import Iterator
from functools import partial

from cairnfs.client.caller import Later
from cairnfs.client.content_map import Part
from cairnfs.client.file_handle import FileHandle
from cairnfs.client.listing import KIND_DIRECTORY, KIND_LINK
from cairnfs.client.paths import Path, encode, join
from cairnfs.client.services import Services
from cairnfs.client.transfers import Progress, TransferPool
from cairnfs.client.tree import Folder, top_folder, walk_pages
from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.common.errors import CorruptData, NoSpace, ReplicaUnavailable
from cairnfs.common.operations import READ, FileMap, OpenFile, ReadLink, Target

STRETCH_BYTES = 16 << 20
OPENS_AHEAD = 64
_RETRY_BYTES = 1 << 20
_NAME_BYTES_KEPT = 100  # of a temporary file's: with what is added it stays below 255
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def download_file(
    services: Services,
    remote: Path,
    local: Path,
    *,
    threads: int,
    preserve: bool,
    progress: Progress | None,
) -> None:
    """See FileSystem.get."""
    if os.path.isdir(local):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(local))
    epoch = services.caller.namenode.epoch
    opened = services.caller.ask(OpenFile(ROOT_INO, encode(remote), READ), FileMap, remote)
    with TransferPool(threads, progress) as pool:
        _save(services, opened, epoch, os.fspath(remote), os.fsdecode(local), pool, preserve=preserve)


def download_tree(
    services: Services,
    remote: Path,
    local: Path,
    *,
    threads: int,
    preserve: bool,
    progress: Progress | None,
) -> None:
    """See FileSystem.get."""
    with TransferPool(threads, progress) as pool:
        _TreeDownload(services, pool, preserve=preserve).run(remote, os.fsdecode(local))


def _save(
    services: Services,
    opened: FileMap,
    epoch: int,
    shown: str | bytes,
    local: str,
    pool: TransferPool,
    *,
    preserve: bool,
) -> None:
    """Fetch an opened file to its local name, and let it go."""
    handle = FileHandle(services, opened, epoch=epoch, shown=shown)
    try:
        attributes = Attributes.unpack(opened.record)
        if stat.S_ISDIR(attributes.mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), shown)
        with _temporary(local, attributes.mode & 0o777) as (descriptor, temporary):
            _fetch(services, handle, descriptor, pool)
            if preserve:
                os.fchmod(descriptor, attributes.mode & 0o7777)
                os.utime(descriptor, ns=(attributes.atime_ns, attributes.mtime_ns))
            os.rename(temporary[0], temporary[1])
    finally:
        handle.close()


@contextlib.contextmanager
def _temporary(local: str, mode: int) -> Iterator[tuple[int, tuple[str, str]]]:
    """A new file beside `local`: its descriptor, its name and the one it is to get; if it does not, it is removed."""
    target = os.path.realpath(local)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(target).st_mode):
            raise OSError(errno.EINVAL, "not a regular file: it will not be replaced", local)
    folder, name = os.path.split(target)
    shortened = os.fsdecode(os.fsencode(name)[:_NAME_BYTES_KEPT])
    temporary = os.path.join(folder, f".{shortened}.{secrets.token_hex(6)}.cairn")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), local) from None
    try:
        yield descriptor, (temporary, target)
    except OSError as error:
        if error.errno in _NO_ROOM and not isinstance(error, NoSpace):
            full = NoSpace(f"{local}: no space left on the local disk")
            full.filename = local
            raise full from None
        raise
    finally:
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):  # it has its name already
            os.unlink(temporary)


def _fetch(services: Services, handle: FileHandle, descriptor: int, pool: TransferPool) -> None:
    size = handle.size
    if not size:
        return
    content = handle.reader.content(size)
    os.ftruncate(descriptor, size)
    try:
        for part in content.parts(0, size):
            if part.located is None:
                if part.inline:
                    _write_all(descriptor, memoryview(part.inline), part.offset)
                pool.moved(part.length)
                continue
            for stretch in _stretches(part):
                pool.submit(partial(_fetch_stretch, services, handle, descriptor, stretch, pool))
        pool.finish()
    except BaseException:
        pool.stop()  # before the descriptor is closed, and its number another file's
        raise
    if handle.size < size:
        raise OSError(errno.ESTALE, "the file was cut while it was fetched: get it again", handle.shown)


def _stretches(part: Part) -> Iterator[Part]:
    for at in range(0, part.length, STRETCH_BYTES):
        length = min(STRETCH_BYTES, part.length - at)
        yield Part(part.offset + at, length, part.located, part.block_offset + at)


def _fetch_stretch(services: Services, handle: FileHandle, descriptor: int, part: Part, pool: TransferPool) -> None:
    assert part.located is not None
    at, end = part.offset, part.offset + part.length
    try:
        pieces = services.replicas.stream(part.located, part.block_offset, part.length)
        for piece in pieces:
            _write_all(descriptor, piece, at)
            at += len(piece)
            pool.moved(len(piece))
    except (ReplicaUnavailable, CorruptData):
        # The map may be old: go on through the handle, which asks again, and says for itself when there is no hope.
        buffer = memoryview(bytearray(_RETRY_BYTES))
        while at < end:
            piece = buffer[: min(len(buffer), end - at)]
            handle.reader.read_into(at, piece)
            _write_all(descriptor, piece, at)
            at += len(piece)
            pool.moved(len(piece))


def _write_all(descriptor: int, data: memoryview, offset: int) -> None:
    while len(data):
        count = os.pwrite(descriptor, data, offset)
        offset += count
        data = data[count:]


class _TreeDownload:
    """A folder on its way here. Small files are opened many at a time, large ones go through the pool."""

    def __init__(self, services: Services, pool: TransferPool, *, preserve: bool) -> None:
        self._services = services
        self._caller = services.caller
        self._pool = pool
        self._preserve = preserve
        self._opening: deque[tuple[Later[FileMap], int, str, str]] = deque()
        self._late: list[tuple[str, Attributes]] = []

    def run(self, remote: Path, local: str) -> None:
        """Copy the folder, its own name being `local`."""
        top = top_folder(self._caller, remote)
        locals_of = {top.path: local}
        os.makedirs(local, exist_ok=True)
        try:
            for folder, page in walk_pages(self._caller, top, with_attributes=True):
                here = locals_of[folder.path]
                for name, kind, attributes in zip(
                    page.text_names(), page.kinds, Attributes.unpack_many(page.records), strict=True
                ):
                    to = join(here, name)
                    shown = join(folder.path, name)
                    if kind == KIND_DIRECTORY:
                        locals_of[shown] = to
                        self._make_folder(to, attributes)
                    elif kind == KIND_LINK:
                        self._make_link(folder, name, shown, to)
                    else:
                        self._copy(folder, name, attributes, shown, to)
            self._save_opened(0)
        finally:
            self._let_go()
        self._pool.finish()
        for path, attributes in reversed(self._late):
            os.chmod(path, attributes.mode & (0o7777 if self._preserve else 0o777))
            if self._preserve:
                os.utime(path, ns=(attributes.atime_ns, attributes.mtime_ns))

    def _make_folder(self, path: str, attributes: Attributes) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, attributes.mode & 0o777 | 0o700)
        if self._preserve or attributes.mode & 0o700 != 0o700:
            self._late.append((path, attributes))

    def _make_link(self, folder: Folder, name: str, shown: str, to: str) -> None:
        target = self._caller.ask(ReadLink(folder.ino, os.fsencode(name)), Target, shown).value
        with contextlib.suppress(FileNotFoundError):
            os.unlink(to)
        os.symlink(os.fsdecode(target), to)

    def _copy(self, folder: Folder, name: str, attributes: Attributes, shown: str, to: str) -> None:
        if not stat.S_ISREG(attributes.mode):
            raise OSError(errno.EINVAL, "neither a file, a folder nor a link: it cannot be copied", shown)
        operation = OpenFile(folder.ino, os.fsencode(name), READ, follow=False)
        if attributes.size <= self._caller.settings().inline_max:
            epoch = self._caller.namenode.epoch
            self._opening.append((self._caller.submit(operation, FileMap, shown), epoch, shown, to))
            self._save_opened(OPENS_AHEAD)
            return

        def copy_large() -> None:
            epoch = self._caller.namenode.epoch
            opened = self._caller.ask(operation, FileMap, shown)
            with _InTurn(self._pool) as in_turn:
                _save(self._services, opened, epoch, shown, to, in_turn, preserve=self._preserve)

        self._pool.submit(copy_large)

    def _save_opened(self, left: int) -> None:
        """Save opened files until at most `left` are on their way."""
        while len(self._opening) > left:
            later, epoch, shown, to = self._opening.popleft()
            opened = later.result()
            with _InTurn(self._pool) as in_turn:
                _save(self._services, opened, epoch, shown, to, in_turn, preserve=self._preserve)

    def _let_go(self) -> None:
        """Release what was opened and is not wanted any more."""
        while self._opening:
            later, epoch, _, _ = self._opening.popleft()
            with contextlib.suppress(OSError):  # it was not opened: nothing to release
                self._caller.namenode.release(Attributes.unpack(later.result().record).ino, epoch)


class _InTurn(TransferPool):
    """The stretches of one of many files: in the thread that has the file, counted with all."""

    def __init__(self, whole: TransferPool) -> None:
        super().__init__(1, None)
        self._whole = whole

    def moved(self, count: int) -> None:
        """See TransferPool."""
        self._whole.moved(count)
