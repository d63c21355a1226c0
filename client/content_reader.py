"""Reading a file by its content map, which is asked for again when the replicas it names have all failed."""

import threading
import time
from collections.abc import Callable

from cairnfs.client.content_map import ContentMap
from cairnfs.client.replica_reader import ReplicaReader
from cairnfs.common.errors import CorruptData, ReplicaUnavailable
from cairnfs.common.operations import FileMap

PAUSE_FIRST_S = 0.05
PAUSE_MAX_S = 1.0


class ContentReader:
    """Fills memory with a file's bytes. Safe for many threads.

    `fetch` asks the namenode for the map's page from an offset on.
    """

    def __init__(
        self,
        replicas: ReplicaReader,
        fetch: Callable[[int], FileMap],
        first: FileMap | None = None,
        *,
        timeout_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._replicas = replicas
        self._fetch = fetch
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._lock = threading.Lock()
        self._content = None if first is None else ContentMap(first)

    def content(self, end: int = 0) -> ContentMap:
        """The map, with at least the pages that tell of what lies before `end`."""
        with self._lock:
            content = self._content
            if content is None:
                content = self._content = ContentMap(self._fetch(0))
            while 0 <= content.next_offset < end:
                content.add(self._fetch(content.next_offset))
            return content

    def forget(self, old: ContentMap | None = None) -> None:
        """Ask the namenode again before the next read, unless somebody has done so since `old` was got."""
        with self._lock:
            if old is None or self._content is old:
                self._content = None

    def read_into(self, offset: int, into: memoryview) -> None:
        """Fill `into` from `offset` on, zeros beyond the end; CorruptData, ReplicaUnavailable after the timeout."""
        started_s = time.monotonic()
        pause_s = 0.0
        while True:
            content = self.content(offset + len(into))
            try:
                self._fill(content, offset, into)
                return
            except (ReplicaUnavailable, CorruptData) as error:
                is_late = time.monotonic() - started_s + pause_s > self._timeout_s
                if is_late or (isinstance(error, CorruptData) and pause_s):
                    raise
            self._sleep(pause_s)
            pause_s = min(max(2 * pause_s, PAUSE_FIRST_S), PAUSE_MAX_S)
            self.forget(content)

    def _fill(self, content: ContentMap, offset: int, into: memoryview) -> None:
        at = 0
        for part in content.parts(offset, offset + len(into)):
            target = into[at : at + part.length]
            if part.located is not None:
                self._replicas.read_into(part.located, part.block_offset, target)
            else:
                target[:] = part.inline or bytes(part.length)
            at += part.length
        if at < len(into):
            into[at:] = bytes(len(into) - at)
