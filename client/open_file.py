"""File objects of Python's `io` over a FileHandle: modes, buffering, text.

They differ from local ones in one thing: `flush` and `fsync` both make what was written durable and visible to
others; a local `flush` does neither.
"""

import abc
import errno
import io
import os
from typing import IO, Any, Self, cast

import msgspec

from cairnfs.client.file_handle import FileHandle

READ_BUFFER_BYTES = 64 << 10
WRITE_BUFFER_BYTES = 256 << 10


class File(IO[Any]):
    """What `open` gives, for type checkers: one of the classes below, chosen as builtin open chooses."""

    @abc.abstractmethod
    def fsync(self) -> None:
        """Make what was written durable and visible."""

    @abc.abstractmethod
    def __enter__(self) -> Self: ...


class Mode(msgspec.Struct, frozen=True):
    """What a mode string asks for: `action` is one of r, w, a, x."""

    text: str
    action: str
    is_binary: bool
    can_read: bool
    can_write: bool

    @classmethod
    def parse(cls, text: str) -> "Mode":
        """The meaning of a mode string, as of builtin open; ValueError for what is none."""
        letters = set(text)
        actions = letters & set("rwax")
        if len(letters) != len(text) or letters - set("rwaxbt+"):
            raise ValueError(f"invalid mode: {text!r}")
        if {"b", "t"} <= letters:
            raise ValueError("can't have text and binary mode at once")
        if len(actions) != 1:
            raise ValueError("must have exactly one of create/read/write/append mode")
        action = actions.pop()
        has_plus = "+" in letters
        return cls(text, action, "b" in letters, action == "r" or has_plus, action != "r" or has_plus)


class RawFile(io.RawIOBase):
    """Unbuffered bytes of an open file, as io.FileIO."""

    def __init__(self, handle: FileHandle, mode: Mode, name: str | bytes) -> None:
        super().__init__()
        self._handle = handle
        self._mode = mode
        self._position = handle.size if mode.action == "a" else 0
        self.name = name

    @property
    def mode(self) -> str:
        """The mode as FileIO tells it."""
        return self._mode.text

    def readable(self) -> bool:
        """Whether it may be read."""
        self._check_open()
        return self._mode.can_read

    def writable(self) -> bool:
        """Whether it may be written."""
        self._check_open()
        return self._mode.can_write

    def seekable(self) -> bool:
        """Always."""
        self._check_open()
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to an offset, from the start, the position or the end."""
        self._check_open()
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset += self._handle.size
        elif whence != os.SEEK_SET:
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = offset
        return offset

    def tell(self) -> int:
        """The position."""
        self._check_open()
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Read up to the buffer's length; less only at the end of the file."""
        self._check_open()
        if not self._mode.can_read:
            raise io.UnsupportedOperation("File not open for reading")
        with memoryview(buffer) as view, view.cast("B") as into:
            count = self._handle.read_into(self._position, into)
        self._position += count
        return count

    def readall(self) -> bytes:
        """Read to the end."""
        self._check_open()
        if not self._mode.can_read:
            raise io.UnsupportedOperation("File not open for reading")
        data = read_whole(self._handle, self._position)
        self._position += len(data)
        return data

    def write(self, data: Any, /) -> int:
        """Write all of the bytes."""
        self._check_open()
        if not self._mode.can_write:
            raise io.UnsupportedOperation("File not open for writing")
        with memoryview(data) as view, view.cast("B") as source:
            count = self._handle.write(self._position, source)
        if count:
            self._position = self._handle.size if self._mode.action == "a" else self._position + count
        return count

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size, to the position if not told."""
        self._check_open()
        if not self._mode.can_write:
            raise io.UnsupportedOperation("File not open for writing")
        size = self._position if size is None else size
        if size < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._handle.truncate(size)
        return size

    def flush(self) -> None:
        """Make what was written durable and visible."""
        super().flush()
        if not self._handle.is_closed:
            self._handle.flush()

    def fsync(self) -> None:
        """The same as flush."""
        self.flush()

    def close(self) -> None:
        """Flush and close; raises where something written could not be saved."""
        if self.closed:
            return
        try:
            self._handle.close()
        finally:
            super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")


class ReadFile(io.BufferedReader):
    """A file open for reading."""

    def fsync(self) -> None:
        """Nothing is to be saved."""
        self.flush()


class WriteFile(io.BufferedWriter):
    """A file open for writing."""

    _is_closing = False

    def flush(self) -> None:
        """Make what was written durable and visible."""
        super().flush()
        if not self._is_closing:
            self.raw.flush()

    def fsync(self) -> None:
        """The same as flush."""
        self.flush()

    def close(self) -> None:
        """Flush and close; raises where something written could not be saved."""
        self._is_closing = True  # the raw file's own close commits once, and ends the block with it
        super().close()


class UpdateFile(io.BufferedRandom):
    """A file open for reading and writing."""

    _is_closing = False

    def flush(self) -> None:
        """Make what was written durable and visible."""
        super().flush()
        if not self._is_closing:
            self.raw.flush()

    def fsync(self) -> None:
        """The same as flush."""
        self.flush()

    def close(self) -> None:
        """Flush and close; raises where something written could not be saved."""
        self._is_closing = True
        super().close()


class TextFile(io.TextIOWrapper):
    """A file open as text."""

    def fsync(self) -> None:
        """The same as flush."""
        self.flush()


def wrap(
    raw: RawFile, mode: Mode, *, buffering: int, encoding: str | None, errors: str | None, newline: str | None
) -> File:
    """The file object for a mode, as builtin open puts it together."""
    if buffering == 0:
        return cast(File, raw)
    is_line_buffered = buffering == 1 and not mode.is_binary
    size = buffering if buffering > 1 else WRITE_BUFFER_BYTES if mode.can_write else READ_BUFFER_BYTES
    buffered: ReadFile | WriteFile | UpdateFile
    if mode.can_read and mode.can_write:
        buffered = UpdateFile(raw, size)
    elif mode.can_write:
        buffered = WriteFile(raw, size)
    else:
        buffered = ReadFile(raw, size)
    if mode.is_binary:
        return cast(File, buffered)
    text = TextFile(buffered, encoding or "utf-8", errors, newline, is_line_buffered)
    text.mode = mode.text  # type: ignore[misc]  # as builtin open sets it
    return cast(File, text)


def check_arguments(
    mode: Mode, *, buffering: int, encoding: str | None, errors: str | None, newline: str | None
) -> None:
    """ValueError for combinations that builtin open refuses."""
    if mode.is_binary:
        for name, value in (("an encoding", encoding), ("an errors", errors), ("a newline", newline)):
            if value is not None:
                raise ValueError(f"binary mode doesn't take {name} argument")
    elif buffering == 0:
        raise ValueError("can't have unbuffered text I/O")


def read_whole(handle: FileHandle, start: int = 0, end: int | None = None) -> bytes:
    """The bytes of a range, or from `start` to the file's end."""
    last = handle.size if end is None else min(end, handle.size)
    if start >= last:
        return b""
    # BytesIO gives out the very bytes object it was filled in, where bytes(bytearray) would copy a whole file.
    memory = io.BytesIO(bytes(last - start))
    with memory.getbuffer() as view:
        count = handle.read_into(start, view)
    data = memory.getvalue()
    return data if count == len(data) else data[:count]
