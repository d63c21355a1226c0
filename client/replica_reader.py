"""Reading bytes of blocks from whichever replica will do: the choice, the failover, the memory of what failed.

Reads are spread over the replicas by block. A node that did not answer is tried last for a
while; a replica whose bytes fail their checksum is reported to the namenode, and another one is read.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator

from cairnfs.client.block_access import Blocks
from cairnfs.client.block_reader import ReplicaFailed
from cairnfs.client.caller import Caller
from cairnfs.common.errors import CorruptData, ReplicaUnavailable
from cairnfs.common.logs import EventLogger
from cairnfs.common.operations import Done, LocatedBlock, Replica, ReportCorrupt

SUSPECT_S = 30.0

_log = EventLogger("cairnfs.client.replicas")


class ReplicaReader:
    """Reads for one file system. Safe for many threads."""

    def __init__(self, caller: Caller, blocks: Blocks, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._caller = caller
        self._blocks = blocks
        self._clock = clock
        self._spread = os.getpid()
        self._lock = threading.Lock()
        self._suspects: dict[int, float] = {}

    def read_into(self, located: LocatedBlock, offset: int, into: memoryview) -> None:
        """Fill `into` with verified bytes of a block; CorruptData or ReplicaUnavailable where no replica has them."""
        failures: list[ReplicaFailed] = []
        for replica in self.order(located):
            try:
                self._blocks.read_into(located, replica, offset, into)
                return
            except ReplicaFailed as failure:
                failures.append(failure)
                self._note(located, failure)
        raise _give_up(located, failures)

    def stream(self, located: LocatedBlock, offset: int, length: int) -> Iterator[memoryview]:
        """Verified bytes of a block, piece by piece, each valid until the next is asked for; errors as read_into."""
        at, end = offset, offset + length
        failures: list[ReplicaFailed] = []
        for replica in self.order(located):
            with contextlib.closing(_as_generator(self._blocks.stream(located, replica, at, end - at))) as pieces:
                try:
                    for piece in pieces:
                        at += len(piece)
                        yield piece
                    return
                except ReplicaFailed as failure:
                    failures.append(failure)
                    self._note(located, failure)
        raise _give_up(located, failures)

    def order(self, located: LocatedBlock) -> list[Replica]:
        """The replicas in the order to try them."""
        replicas = located.replicas
        turn = (located.block + self._spread) % max(len(replicas), 1)
        rotated = [*replicas[turn:], *replicas[:turn]]
        with self._lock:
            now = self._clock()
            suspects = {node for node, until in self._suspects.items() if until > now}
        return sorted(rotated, key=lambda replica: (replica.is_corrupt, replica.node in suspects))

    def _note(self, located: LocatedBlock, failure: ReplicaFailed) -> None:
        _log.warning("replica_failed", block=located.block, node=failure.node, reason=str(failure))
        if failure.is_corrupt:
            self._caller.submit(ReportCorrupt(located.block, located.generation, failure.node), Done)
            return
        with self._lock:
            self._suspects[failure.node] = self._clock() + SUSPECT_S


def _as_generator(pieces: Iterator[memoryview]) -> Generator[memoryview, None, None]:
    """Something that can be closed, which closes what it came from."""
    yield from pieces


def _give_up(located: LocatedBlock, failures: list[ReplicaFailed]) -> OSError:
    reasons = "; ".join(str(failure) for failure in failures) or "the block has no replica"
    if any(failure.is_corrupt for failure in failures):
        return CorruptData(f"block {located.block} has no good replica that can be read: {reasons}")
    return ReplicaUnavailable(f"no replica of block {located.block} can be read: {reasons}")
