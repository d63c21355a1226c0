"""The queue before a volume's commit thread: what waits is taken as one batch and becomes one transaction."""

import threading
import time
from collections import deque
from typing import Protocol

from cairnfs.common.errors import CairnError
from cairnfs.datanode.mutation import Mutation


class Change(Protocol):
    """One thing to do in a write transaction."""

    size_bytes: int
    needs_space: bool

    def apply(self, mutation: Mutation) -> None:
        """Do it within the transaction. A CairnError refuses it and leaves the transaction as it was."""

    def finish(self, error: CairnError | None) -> None:
        """The transaction has been synced, or this change refused or lost; called exactly once."""


class CommitQueue:
    """A first-in, first-out queue, bounded in bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._condition = threading.Condition()
        self._changes: deque[Change] = deque()
        self._bytes_max = bytes_max
        self._bytes = 0
        self._is_closed = False

    def put(self, change: Change, timeout_s: float) -> bool:
        """Add a change, waiting while the queue is full; False once the queue is closed. TimeoutError."""
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while self._bytes and self._bytes + change.size_bytes > self._bytes_max and not self._is_closed:
                if not self._condition.wait(max(deadline - time.monotonic(), 0)):
                    raise TimeoutError(f"the volume took nothing for {timeout_s:g} s")
            if self._is_closed:
                return False
            self._changes.append(change)
            self._bytes += change.size_bytes
            self._condition.notify_all()
            return True

    def take(self, bytes_max: int) -> list[Change]:
        """What waits, up to `bytes_max` but at least one; blocks while nothing does; nothing once closed and empty."""
        with self._condition:
            while not self._changes and not self._is_closed:
                self._condition.wait()
            batch: list[Change] = []
            taken = 0
            while self._changes and (not batch or taken + self._changes[0].size_bytes <= bytes_max):
                change = self._changes.popleft()
                taken += change.size_bytes
                batch.append(change)
            self._bytes -= taken
            self._condition.notify_all()
            return batch

    def close(self) -> None:
        """Take no more; what waits is still handed out."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
