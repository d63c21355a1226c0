"""The progress bar of `put` and `get`: bytes and rate on a terminal, nothing elsewhere."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress:
    """Counts bytes; shows them where there is a bar."""

    def __init__(self, bar: "Bar | None" = None, task: "TaskID | None" = None) -> None:
        self._bar = bar
        self._task = task

    def advance(self, count: int) -> None:
        """`count` more bytes have been moved. Safe for many threads."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, count)

    def expect(self, total: int) -> None:
        """So many bytes will be moved in all."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total)


class CountingReader(io.RawIOBase):
    """A stream to read, which tells of every byte that was taken from it."""

    def __init__(self, source: IO[bytes], advance: Callable[[int], None]) -> None:
        super().__init__()
        self._source = source
        self._advance = advance

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """As the stream's own: exactly `size` bytes, fewer only at its end."""
        data = self._source.read(size)
        self._advance(len(data))
        return data

    def readinto(self, buffer: Any, /) -> int:
        """As the stream's own."""
        view = memoryview(buffer).cast("B")
        data = self._source.read(len(view))
        view[: len(data)] = data
        self._advance(len(data))
        return len(data)


@contextlib.contextmanager
def progress_bar(title: str, *, is_shown: bool) -> Iterator[Progress]:
    """A bar on standard error, if that is a terminal and it is wanted."""
    if not is_shown or not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(title), BarColumn(), DownloadColumn(True), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Progress(bar, bar.add_task(title, total=None))
