"""Drives a state machine as the leader would, one command at a time, for tests."""

import itertools
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.common.errors import Refused
from cairnfs.common.operations import Credentials
from cairnfs.namenode.state import commands
from cairnfs.namenode.state.commands import AnyInternal, InitializeCluster, Item, LogBatch, OpenSession
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.sessions import Outcome

MAP_BYTES = 1 << 30
INLINE_MAX = 1000
BLOCK_SIZE = 1 << 20
CLUSTER = InitializeCluster("test", b"k" * 32, 3, 2, INLINE_MAX, BLOCK_SIZE)
ROOT = Credentials(0, 0)
ALICE = Credentials(1000, 1000, (2000,))
BOB = Credentials(1001, 1001)
START_NS = 1_700_000_000_000_000_000

_MEMORY = Path("/dev/shm")


def fast_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder for a state, in memory where there is such a place: what is tested does not depend on the disk."""
    return tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)


ANSWERS: dict[type, type] = {
    ops.MakeDirectory: ops.Node,
    ops.CreateFile: ops.FileMap,
    ops.CreateOrphan: ops.FileMap,
    ops.Publish: ops.Node,
    ops.WriteFile: ops.Node,
    ops.MakeNode: ops.Node,
    ops.MakeSymlink: ops.Node,
    ops.MakeLink: ops.Node,
    ops.Unlink: ops.Done,
    ops.RemoveDirectory: ops.Done,
    ops.Rename: ops.Done,
    ops.SetAttributes: ops.Node,
    ops.SetXattr: ops.Done,
    ops.RemoveXattr: ops.Done,
    ops.Write: ops.Appended,
    ops.AllocateBlock: ops.LocatedBlock,
    ops.RenewBlock: ops.LocatedBlock,
    ops.Commit: ops.Appended,
    ops.AllocateRange: ops.Node,
    ops.CopyFile: ops.Node,
    ops.ReportCorrupt: ops.Done,
    ops.GetAttributes: ops.Node,
    ops.OpenFile: ops.FileMap,
    ops.GetMap: ops.FileMap,
    ops.ReleaseFiles: ops.Done,
    ops.Access: ops.Node,
    ops.ReadLink: ops.Target,
    ops.ListDirectory: ops.Listing,
    ops.GetXattr: ops.Target,
    ops.ListXattrs: ops.Names,
    ops.GetFileSystemStatus: ops.FileSystemStatus,
    commands.OpenSession: commands.SessionOpened,
    commands.RegisterDatanode: commands.NodeRegistered,
}


class Driver:
    """A state machine with a cluster set up, three datanodes and one session; time rises by a second per entry."""

    def __init__(self, directory: Path, *, is_set_up: bool = True) -> None:
        self.directory = directory
        self.machine = StateMachine.open(directory, map_size_bytes=MAP_BYTES)
        self.log: list[tuple[int, int, bytes]] = []
        self.now_ns = START_NS
        self.sequences: dict[int, itertools.count[int]] = {}
        self.session = 0
        if is_set_up:
            self.internal(CLUSTER)
            for name in ("a", "b", "c"):
                self.internal(commands.RegisterDatanode(f"uuid-{name}", f"{name}:1"))
            self.session = self.open_session(b"first")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.machine.close()

    # --- the log

    def entry(self, items: Iterable[Item]) -> tuple[int, int, bytes]:
        """The next entry of the log, not yet applied."""
        self.now_ns += 1_000_000_000
        data = commands.encode_batch(LogBatch(1, self.now_ns, list(items)))
        self.log.append((len(self.log) + 1, 1, data))
        return self.log[-1]

    def apply(self, *items: Item) -> list[Outcome]:
        """Apply the items as one entry."""
        return self.machine.apply([self.entry(items)])[0]

    def item(
        self,
        operation: ops.AnyMutation,
        who: Credentials = ROOT,
        *,
        session: int = 0,
        sequence: int = 0,
        answered: int = 0,
    ) -> Item:
        """An item with the session's next sequence."""
        session = session or self.session
        sequence = sequence or next(self.sequences[session])
        return Item(session, sequence, answered, who, ops.encode(operation))

    def attempt(self, operation: ops.AnyMutation, who: Credentials = ROOT, *, session: int = 0) -> Outcome:
        """Apply one mutation, whatever comes of it."""
        return self.apply(self.item(operation, who, session=session))[0]

    def internal(self, command: AnyInternal) -> Any:
        """Apply an internal command; its answer, or Refused."""
        return answer_of(command, self.apply(commands.internal_item(command))[0])

    def open_session(self, nonce: bytes) -> int:
        """A new session."""
        session = int(self.internal(OpenSession(nonce, "tester")).session)
        self.sequences.setdefault(session, itertools.count(1))
        return session

    def do(self, operation: ops.AnyOperation, who: Credentials = ROOT, *, session: int = 0) -> Any:
        """The answer to an operation, or Refused."""
        if isinstance(operation, ops.Query):
            now_s = self.now_ns // 1_000_000_000
            body = self.machine.query(session or self.session, who, operation, now_s)
            return msgspec.msgpack.decode(body, type=ANSWERS[type(operation)])
        return answer_of(operation, self.attempt(operation, who, session=session))

    def errno_of(self, operation: ops.AnyOperation, who: Credentials = ROOT, *, session: int = 0) -> int:
        """The errno that an operation is refused with, 0 where it is done."""
        try:
            self.do(operation, who, session=session)
        except Refused as refusal:
            return refusal.errno or -1
        return 0

    # --- short forms

    def stat(self, path: bytes, *, at: int = ROOT_INO, follow: bool = False, who: Credentials = ROOT) -> Attributes:
        """The attributes at a path, a final symbolic link not followed."""
        return Attributes.unpack(self.do(ops.GetAttributes(at, path, follow), who).record)

    def mkdir(self, path: bytes, mode: int = 0o755, who: Credentials = ROOT) -> Attributes:
        """Make a folder."""
        return Attributes.unpack(self.do(ops.MakeDirectory(ROOT_INO, path, mode), who).record)

    def put(self, path: bytes, content: bytes = b"", mode: int = 0o644, who: Credentials = ROOT) -> Attributes:
        """Write a small file."""
        return Attributes.unpack(self.do(ops.WriteFile(ROOT_INO, path, mode, content), who).record)

    def symlink(self, path: bytes, target: bytes, who: Credentials = ROOT) -> Attributes:
        """Make a symbolic link."""
        return Attributes.unpack(self.do(ops.MakeSymlink(ROOT_INO, path, target), who).record)

    def names(self, path: bytes, *, limit: int = 4096) -> list[bytes]:
        """All names in a folder, page by page."""
        found: list[bytes] = []
        while True:
            page = self.do(ops.ListDirectory(ROOT_INO, path, found[-1] if found else b"", limit))
            found += page.names.split(b"/") if page.names else []
            if page.is_last:
                return found

    def allocate(self, ino: int, placement: tuple[int, ...] = (1, 2, 3), *, session: int = 0) -> ops.LocatedBlock:
        """A new block."""
        located = self.do(ops.AllocateBlock(ino, (), placement), session=session)
        assert isinstance(located, ops.LocatedBlock)
        return located

    def write_block(self, ino: int, offset: int, length: int, *, seal: bool = False, who: Credentials = ROOT) -> int:
        """A new block with `length` bytes, committed to a file; its number."""
        block = self.allocate(ino).block
        extents = (ops.Extent(offset, length, block, 0),) if length else ()
        self.do(ops.Commit(ino, extents, (ops.BlockCommit(block, 1, length, seal),)), who)
        return block

    def map(self, ino: int) -> ops.FileMap:
        """The content map of a file."""
        answer = self.do(ops.GetMap(ino))
        assert isinstance(answer, ops.FileMap)
        return answer

    def extents(self, ino: int) -> list[tuple[int, int, int, int]]:
        """(offset, length, block, block offset) of the extents of a file."""
        return [(e.offset, e.length, e.block, e.block_offset) for e in self.map(ino).extents]


def answer_of(command: object, outcome: Outcome) -> Any:
    """The answer in an outcome, or Refused."""
    if outcome.errno:
        raise Refused(outcome.errno, outcome.message)
    return msgspec.msgpack.decode(outcome.body, type=ANSWERS.get(type(command), ops.Done))
