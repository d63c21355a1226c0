"""The right to append to one replica, and how far what was appended is synced.

A writer is made by PieceStore.open_replica and is in possession of the replica until a later
writer of the same or a newer generation takes over (is then fenced) or it fails. `append` hands pieces to the
volume's commit thread; `durable_offset` follows as they are synced. Once failed, always failed.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from cairnfs.common.errors import CairnError
from cairnfs.common.transfer import Bytes


class Appends(Protocol):
    """Where a writer's pieces go: the store that made it."""

    def append(
        self, writer: "ReplicaWriter", offset: int, data: Bytes, sums: bytes, release: Callable[[], None]
    ) -> None:
        """Queue a piece."""

    def release_writer(self, writer: "ReplicaWriter") -> None:
        """Queue the end of the writer's possession."""


class ReplicaWriter:
    """An append-only handle on one replica; its methods may be called from any thread."""

    def __init__(self, store: Appends, block: int, generation: int, offset: int) -> None:
        self.block = block
        self.generation = generation
        self._store = store
        self._condition = threading.Condition()
        self._durable_offset = offset
        self._error: CairnError | None = None
        self._is_closed = False

    @property
    def durable_offset(self) -> int:
        """Everything of the replica below this is synced."""
        with self._condition:
            return self._durable_offset

    @property
    def error(self) -> CairnError | None:
        """Why nothing more can be appended, if so."""
        with self._condition:
            return self._error

    def append(self, offset: int, data: Bytes, sums: bytes, release: Callable[[], None]) -> None:
        """Queue one piece, which `sums` fit; blocks while the volume's queue is full. Raises what made the writer fail.

        `data` must not change until `release` is called, once, from another thread.
        """
        self._store.append(self, offset, data, sums, release)

    def wait_durable(self, offset: int, timeout_s: float) -> int:
        """Wait until the replica is synced up to `offset`; how far it is. TimeoutError, the writer's error.

        A writer that has been closed answers at once.
        """
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while self._durable_offset < offset and not self._is_closed:
                if self._error is not None:
                    raise self._error
                if not self._condition.wait(max(deadline - time.monotonic(), 0)):
                    raise TimeoutError(f"block {self.block}: not synced within {timeout_s:g} s")
            return self._durable_offset

    def advance(self, offset: int) -> None:
        """The store tells that all below `offset` is synced."""
        with self._condition:
            self._durable_offset = max(self._durable_offset, offset)
            self._condition.notify_all()

    def fail(self, error: CairnError) -> None:
        """Nothing more will be appended; the first reason stays."""
        with self._condition:
            self._error = self._error or error
            self._condition.notify_all()

    def close(self) -> None:
        """Give up the replica; what is queued is still written."""
        with self._condition:
            if self._is_closed:
                return
            self._is_closed = True
            self._condition.notify_all()
        self._store.release_writer(self)
