"""The progress bar of `put` and `get`: bytes and rate on a terminal, nothing elsewhere."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

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
