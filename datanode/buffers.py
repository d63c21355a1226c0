"""The memory that pieces are received into: bounded for the whole process, without a deadlock between chains.

Each write stream may always have one buffer, so a stream never waits for another one's progress
(two datanodes that are each other's successor in two chains would otherwise wait for each
other). What a stream has beyond its first comes out of a budget shared by all.
"""

import threading
import time
from collections.abc import Callable

from cairnfs.common.blocks import PIECE_BYTES_MAX

SMALL_BYTES = 64 * 1024


class BufferBudget:
    """How many buffers beyond their first all streams may hold together, and those ready to be used again."""

    def __init__(self, extra: int) -> None:
        self._lock = threading.Lock()
        self._extra = extra
        self._kept: list[bytearray] = []
        self._kept_max = extra

    def try_take_extra(self) -> bool:
        """Take one out of the budget, if any is left."""
        with self._lock:
            if not self._extra:
                return False
            self._extra -= 1
            return True

    def give_back_extra(self) -> None:
        """Return what try_take_extra gave."""
        with self._lock:
            self._extra += 1

    def allocate(self) -> bytearray:
        """A buffer of PIECE_BYTES_MAX bytes, with whatever is in it."""
        with self._lock:
            if self._kept:
                return self._kept.pop()
        return bytearray(PIECE_BYTES_MAX)

    def recycle(self, buffer: bytearray) -> None:
        """Keep a buffer that nobody uses any more: its memory has been touched, which a new one's has not."""
        with self._lock:
            if len(self._kept) < self._kept_max:
                self._kept.append(buffer)


class StreamBuffers:
    """The buffers of one write stream."""

    def __init__(self, budget: BufferBudget) -> None:
        self._budget = budget
        self._condition = threading.Condition()
        self._held = 0

    def take(self, length: int, timeout_s: float) -> tuple[memoryview, Callable[[], None]]:
        """Room for `length` bytes, and what to call, once, when they are no longer needed; TimeoutError."""
        if length <= SMALL_BYTES:
            return memoryview(bytearray(length)), _nothing
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while self._held and not self._budget.try_take_extra():
                if not self._condition.wait(max(deadline - time.monotonic(), 0)):
                    raise TimeoutError(f"the disk took no piece for {timeout_s:g} s")
            self._held += 1
        buffer = self._budget.allocate()
        return memoryview(buffer)[:length], lambda: self._release(buffer)

    def _release(self, buffer: bytearray) -> None:
        self._budget.recycle(buffer)
        with self._condition:
            self._held -= 1
            if self._held:
                self._budget.give_back_extra()
            self._condition.notify()


def _nothing() -> None:
    """Small buffers are left to the garbage collector."""
