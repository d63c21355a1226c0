"""Reading ahead: while an application reads a file from front to back, the next chunks are fetched by other threads.

The second read that starts where the last one ended begins it; every further one doubles the
chunks that are under way, up to CHUNKS_MAX; a read elsewhere ends it.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

CHUNK_BYTES = 4 << 20
CHUNKS_MAX = 4

ReadInto = Callable[[int, memoryview], None]


class ReadAhead:
    """Chunks of one file, in memory or on their way. Not thread-safe."""

    def __init__(self, read_into: ReadInto, threads: Callable[[], ThreadPoolExecutor]) -> None:
        self._read_into = read_into
        self._threads = threads
        self._expected = 0
        self._streak = 0
        self._chunks: dict[int, tuple[Future[None], bytearray, int]] = {}  # what comes, into what, and how much
        self._free: list[bytearray] = []

    def read_into(self, offset: int, into: memoryview, size: int) -> None:
        """Fill `into` from `offset` on, all of it within the file's `size`."""
        is_next = offset == self._expected
        self._expected = offset + len(into)
        if not is_next:
            self.drop()
        self._streak = self._streak + 1 if is_next else 0
        if self._streak < 2 or size <= CHUNK_BYTES:
            self._read_into(offset, into)
            return
        done = 0
        while done < len(into):
            at = offset + done
            index = at // CHUNK_BYTES
            first = at - index * CHUNK_BYTES
            length = min(CHUNK_BYTES - first, len(into) - done)
            if index in self._chunks and self._chunks[index][2] < first + length:
                self.drop()  # the file has grown since
            self._fetch(index, size)
            future, chunk, _ = self._chunks[index]
            try:
                future.result()
            except BaseException:
                del self._chunks[index]
                raise
            into[done : done + length] = memoryview(chunk)[first : first + length]
            done += length
            if first + length == CHUNK_BYTES:
                del self._chunks[index]
                self._free.append(chunk)

    def drop(self) -> None:
        """Forget the chunks: the file has changed, or is read elsewhere."""
        for future, chunk, _ in self._chunks.values():
            if future.cancel() or future.done():
                self._free.append(chunk)
        self._chunks.clear()
        del self._free[CHUNKS_MAX:]

    def _fetch(self, index: int, size: int) -> None:
        """See that chunk `index` and those after it are under way."""
        count = min(2 ** (self._streak - 2), CHUNKS_MAX)
        for each in range(index, index + count):
            start = each * CHUNK_BYTES
            if start >= size:
                return
            if each not in self._chunks:
                chunk = self._free.pop() if self._free else bytearray(CHUNK_BYTES)
                part = memoryview(chunk)[: min(CHUNK_BYTES, size - start)]
                self._chunks[each] = (self._threads().submit(self._read_into, start, part), chunk, len(part))
