"""A namenode in this process: the real state machine, and as much of a leader as the client can tell apart."""

import errno
import threading
from collections import Counter
from pathlib import Path

import msgspec

from cairnfs.client.calls import Level
from cairnfs.common.attributes import Attributes
from cairnfs.common.errors import CairnError, Refused
from cairnfs.common.operations import (
    AllocateBlock,
    AllocateRange,
    Commit,
    CreateFile,
    CreateOrphan,
    Credentials,
    Done,
    FileMap,
    GetMap,
    Mutation,
    OpenFile,
    Operation,
    ReleaseFiles,
    SetAttributes,
    Write,
    decode_operation,
    encode,
)
from cairnfs.namenode.state.commands import CloseSession, ReapOrphans, RegisterDatanode
from tests.unit.client.memory_blocks import MemoryBlocks, MemoryNode
from tests.unit.state.driver import Driver


class Answered:
    """An answer that is there."""

    def __init__(self, body: bytes, error: CairnError | None) -> None:
        self._body = body
        self._error = error

    def result(self) -> bytes:
        """See calls.Answer."""
        if self._error is not None:
            raise self._error
        return self._body


class MemoryNamenode:
    """Implements calls.Namenode. `asked` lists the operations; `refusals` are raised, each once, with nothing done."""

    def __init__(self, directory: Path, blocks: MemoryBlocks) -> None:
        self.driver = Driver(directory)
        self.blocks = blocks
        self.epoch = 0
        self.cluster_id = "test"
        self.asked: list[Operation] = []
        self.refusals: dict[type, list[CairnError]] = {}
        self.held: Counter[int] = Counter()
        self.is_closed = False
        self._lock = threading.Lock()

    def call(
        self,
        operation: Operation,
        credentials: Credentials,
        *,
        level: Level = Level.SESSION,
        max_staleness_ms: int = 0,
        timeout_s: float | None = None,
    ) -> bytes:
        """See calls.Namenode."""
        return self.submit(operation, credentials).result()

    def submit(
        self,
        operation: Operation,
        credentials: Credentials,
        *,
        level: Level = Level.SESSION,
        max_staleness_ms: int = 0,
        timeout_s: float | None = None,
    ) -> Answered:
        """See calls.Namenode."""
        with self._lock:
            self.asked.append(operation)
            try:
                waiting = self.refusals.get(type(operation))
                if waiting:
                    raise waiting.pop(0)
                return Answered(self._do(decode_operation(encode(operation)), credentials), None)
            except CairnError as error:
                return Answered(b"", error)

    def release(self, ino: int, epoch: int) -> None:
        """See calls.Namenode."""
        if epoch == self.epoch:
            self.submit(ReleaseFiles((ino,)), Credentials(0, 0))

    def close(self) -> None:
        """See calls.Namenode."""
        self.is_closed = True

    def expire(self) -> None:
        """The session's lease has run out, and the client has a new one."""
        with self._lock:
            self.driver.internal(CloseSession(self.driver.session))
            self.epoch += 1
            self.held.clear()
            self._reap()
            self.driver.session = self.driver.open_session(b"nonce-%d" % self.epoch)

    def add_nodes(self, *numbers: int) -> None:
        """More datanodes, by their numbers, which follow on those there are."""
        for number in numbers:
            assert self.driver.internal(RegisterDatanode(f"uuid-{number}", f"{number}:1")).node == number
            self.blocks.nodes[number] = MemoryNode()

    def count(self, kind: type) -> int:
        """How many operations of a kind were asked for."""
        return sum(isinstance(operation, kind) for operation in self.asked)

    def _do(self, operation: Operation, who: Credentials) -> bytes:
        if isinstance(operation, ReleaseFiles):
            for ino in operation.inodes:
                assert self.held[ino] > 0, "only what is held is released"
                self.held[ino] -= 1
            self._reap()
            return encode(Done())
        self._check_hold(operation)
        if isinstance(operation, AllocateBlock):
            operation = msgspec.structs.replace(operation, placement=self._place(operation.excluded))
        if isinstance(operation, Mutation):
            outcome = self.driver.attempt(operation, who)  # type: ignore[arg-type]
            if outcome.errno:
                raise Refused(outcome.errno, outcome.message)
            body = outcome.body
        else:
            machine = self.driver.machine
            body = machine.query(self.driver.session, who, operation, 1_800_000_000)  # type: ignore[arg-type]
        if isinstance(operation, OpenFile | CreateFile | CreateOrphan):
            self.held[Attributes.unpack(msgspec.msgpack.decode(body, type=FileMap).record).ino] += 1
        return body

    def _check_hold(self, operation: Operation) -> None:
        ino = 0
        if isinstance(operation, Write | Commit | AllocateRange | AllocateBlock | GetMap):
            ino = operation.ino
        elif isinstance(operation, SetAttributes) and operation.by_handle:
            ino = operation.at
        if ino and not self.held[ino]:
            raise Refused(errno.EBADF, f"inode {ino} is not held")

    def _place(self, excluded: tuple[int, ...]) -> tuple[int, ...]:
        """As the leader does: nodes that it believes alive (here it believes in all), up to three of them."""
        return tuple(node for node in self.blocks.nodes if node not in excluded)[:3]

    def _reap(self) -> None:
        orphans = [ino for ino, _ in self.driver.machine.orphans(0, 1000) if not self.held[ino]]
        if orphans:
            self.driver.internal(ReapOrphans(orphans))
