"""What uploads and downloads share: worker threads that stop at the first error, and progress."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType

from cairnfs.common.errors import CairnError

Progress = Callable[[int], None]

TRANSFER_THREADS = 4


class Stopped(CairnError):
    """Another part of the same transfer failed, or was interrupted."""


class TransferPool:
    """Threads for the parts of one transfer, in a `with`: leaving it waits for all parts and raises the first error.

    Each part calls `moved` with the bytes it has done; that stops it where the transfer has failed. With
    one thread the parts run at once, in the caller's.
    """

    def __init__(self, threads: int, progress: Progress | None) -> None:
        self._threads = threads
        self._progress = progress
        self._stop = threading.Event()
        self._executor: ThreadPoolExecutor | None = None
        self._parts: deque[Future[None]] = deque()

    def moved(self, count: int) -> None:
        """Count bytes; Stopped where there is no use in going on."""
        if self._stop.is_set():
            raise Stopped("the transfer was stopped")
        if self._progress is not None and count:
            self._progress(count)

    def submit(self, part: Callable[[], None]) -> None:
        """Run a part in one of the threads; where many wait, wait too, and raise what an earlier one failed with."""
        if self._threads <= 1:
            part()
            return
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="cairn-transfer")
        self._parts.append(self._executor.submit(self._run, part))
        while len(self._parts) > 2 * self._threads:
            if self._parts[0].exception() is not None:
                self.finish()  # what failed first may be any of them
            self._parts.popleft()

    def _run(self, part: Callable[[], None]) -> None:
        try:
            self.moved(0)
            part()
        except BaseException:
            self._stop.set()
            raise

    def __enter__(self) -> "TransferPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None or isinstance(error, Stopped):
                self.finish()
        finally:
            self.stop()
            if self._executor is not None:
                self._executor.shutdown()

    def stop(self) -> None:
        """Have no part go on, and wait until none does."""
        self._stop.set()
        for part in self._parts:
            part.cancel()
        wait(self._parts)

    def finish(self) -> None:
        """Wait for every part so far; raises the error that stopped the others, not what it stopped them with."""
        first: BaseException | None = None
        while self._parts:
            error = None if self._parts[0].cancelled() else self._parts[0].exception()
            self._parts.popleft()
            if error is not None and (first is None or isinstance(first, Stopped)):
                first = error
        if first is not None:
            raise first
