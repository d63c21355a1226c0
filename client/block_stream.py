"""The bytes of one file on their way into blocks, whatever becomes of the datanodes meanwhile.

    append ──► runs (where in the file, where in which block)
       └─────► the open block's writer ──► datanodes            commit = barrier, then one Commit of all runs

The next block is allocated before the open one is full, and the one before it may still be
acknowledged while the next is filled. When a chain fails:

1. what the chain acknowledged stays where it is; the writer still has the rest;
2. if enough members survive, the block goes on with them under a new generation (RenewBlock);
3. else, or if nothing of the block was acknowledged yet, it is sealed at what was, and the rest goes into a new block
   elsewhere: the runs are rewritten, so nobody above notices;
4. only when no new block can be had within `datanode_timeout_s` does the stream fail, and then for good.
"""

import contextlib
import errno
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from cairnfs.client.block_access import Blocks, Writer
from cairnfs.client.block_writer import PipelineFailed
from cairnfs.client.caller import Caller, Later
from cairnfs.client.piece_buffers import PieceBuffers
from cairnfs.common.blocks import BLOCK_BYTES_MAX
from cairnfs.common.errors import CairnError, NoSpace, NotEnoughDatanodes
from cairnfs.common.logs import EventLogger
from cairnfs.common.operations import (
    AllocateBlock,
    Appended,
    BlockCommit,
    Commit,
    Extent,
    LocatedBlock,
    RenewBlock,
)

EXTENTS_PER_COMMIT = 1024
PAUSE_FIRST_S = 0.05
PAUSE_MAX_S = 1.0

_log = EventLogger("cairnfs.client.blocks")


class _Block:
    """A block that this stream writes, or has written and not yet committed."""

    __slots__ = ("is_full", "known_length", "length", "located", "writer")

    def __init__(self, located: LocatedBlock, writer: Writer | None) -> None:
        self.located = located
        self.writer = writer
        self.length = 0  # what has been given to it
        self.is_full = writer is None  # nothing more goes in: the next commit seals it
        self.known_length = 0  # what commits have told the namenode of


class _Run:
    """A stretch of the file that lies in one piece of a block."""

    __slots__ = ("block", "block_offset", "length", "offset")

    def __init__(self, offset: int, length: int, block: _Block, block_offset: int) -> None:
        self.offset = offset
        self.length = length
        self.block = block
        self.block_offset = block_offset


class BlockStream:
    """Writes one file's bytes. Not thread-safe. An error it raised once is raised by every later call."""

    def __init__(
        self,
        caller: Caller,
        blocks: Blocks,
        ino: int,
        buffers: PieceBuffers,
        *,
        datanode_timeout_s: float,
        bytes_expected: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._caller = caller
        self._service = blocks
        self._ino = ino
        self._buffers = buffers
        self._timeout_s = datanode_timeout_s
        self._bytes_left = bytes_expected
        self._sleep = sleep
        self._blocks: list[_Block] = []  # in the order of their making; only the last may be open
        self._ahead: Later[LocatedBlock] | None = None
        self._runs: list[_Run] = []
        self._excluded: set[int] = set()
        self._full_nodes: set[int] = set()
        self._stuck_since: float | None = None
        self._failure: OSError | None = None

    @property
    def run_count(self) -> int:
        """How many runs wait for a commit."""
        return len(self._runs)

    @property
    def span(self) -> tuple[int, int]:
        """The range of the file that the runs lie in; (0, 0) without any."""
        if not self._runs:
            return 0, 0
        return min(run.offset for run in self._runs), max(run.offset + run.length for run in self._runs)

    def append(self, piece: memoryview, placements: Iterable[tuple[int, int]]) -> None:
        """Take the next bytes, 1 to PIECE_BYTES_MAX, which must not change any more.

        `placements` say where in the file they go: (offset, length), one after the other, which cover them all.
        """
        with self._failing_for_good():
            left = deque(placements)
            at = 0
            while at < len(piece):
                block, block_offset, length = self._reserve(len(piece) - at)
                self._record(left, block, block_offset, length)
                self._send(block, piece[at : at + length])
                at += length

    def commit(self, *, append: bool = False, seal: bool = False) -> Appended | None:
        """Make everything durable and part of the file; with `append` the runs' offsets count from the file's end.

        With `seal` the open block is ended too. None where there was nothing to tell the namenode.
        """
        with self._failing_for_good():
            self._barrier()
            if seal:
                self._seal_all()
            if not self._runs and not any(block.is_full for block in self._blocks):
                return None
            appended = self._publish(append=append)
        self._blocks = [block for block in self._blocks if not block.is_full]
        return appended

    def abandon(self) -> None:
        """Give up what is not committed; the blocks' ends are told to the namenode without waiting."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            with contextlib.suppress(OSError):  # it was not got: nothing to give up
                self._blocks.append(_Block(ahead.result(), None))
        for block in self._blocks:
            if block.writer is not None:
                block.writer.close()
                block.writer = None
        ends = tuple(
            BlockCommit(each.located.block, each.located.generation, each.known_length, seal=True)
            for each in self._blocks
        )
        self._blocks = []
        self._runs = []
        if ends:
            with contextlib.suppress(CairnError):  # no session any more: with it the namenode ends its blocks
                self._caller.submit(Commit(self._ino, (), ends), Appended)

    # --- filling blocks --------------------------------------------------------------------------

    def _reserve(self, wanted: int) -> tuple[_Block, int, int]:
        """(block, offset in it, length) for the next bytes, at most `wanted`."""
        block = self._blocks[-1] if self._blocks else None
        if block is None or block.is_full:
            block = self._open_block()
        at = block.length
        length = min(wanted, BLOCK_BYTES_MAX - at)
        block.length += length
        block.is_full = block.length == BLOCK_BYTES_MAX
        if self._bytes_left is not None:
            self._bytes_left -= length
        if self._ahead is None and block.length > BLOCK_BYTES_MAX // 2 and self._needs_more(block):
            self._ahead = self._ask_for_block()
        return block, at, length

    def _needs_more(self, block: _Block) -> bool:
        return self._bytes_left is None or self._bytes_left > BLOCK_BYTES_MAX - block.length

    def _record(self, placements: deque[tuple[int, int]], block: _Block, block_offset: int, length: int) -> None:
        while length:
            offset, placed = placements.popleft()
            taken = min(placed, length)
            if taken < placed:
                placements.appendleft((offset + taken, placed - taken))
            last = self._runs[-1] if self._runs else None
            if (
                last is not None
                and last.block is block
                and last.block_offset + last.length == block_offset
                and last.offset + last.length == offset
            ):
                last.length += taken
            else:
                self._runs.append(_Run(offset, taken, block, block_offset))
            block_offset += taken
            length -= taken

    def _send(self, block: _Block, piece: memoryview) -> None:
        assert block.writer is not None
        try:
            block.writer.send(piece)
        except PipelineFailed as failure:
            self._recover(block, failure)

    def _barrier(self) -> None:
        """Wait until everything given is durable, and close the writers of full blocks."""
        while waiting := [block for block in self._blocks if block.writer is not None and not self._finish(block)]:
            _log.debug("barrier_again", blocks=len(waiting))
        self._stuck_since = None

    def _finish(self, block: _Block) -> bool:
        """Flush one block, and close it if it is full; False where its chain failed, and the bytes are on new ways."""
        assert block.writer is not None
        try:
            block.writer.flush()
        except PipelineFailed as failure:
            self._recover(block, failure)
            return False
        if block.is_full:
            block.writer.close()
            block.writer = None
        return True

    # --- blocks ----------------------------------------------------------------------------------

    def _open_block(self) -> _Block:
        for block in self._blocks[:-1]:  # the last one may still be acknowledged while the next is filled
            while block.writer is not None and not self._finish(block):
                pass
        if self._blocks and not self._blocks[-1].is_full:
            return self._blocks[-1]  # a failure on the way has brought it
        block = self._allocate()
        self._blocks.append(block)
        return block

    def _allocate(self) -> _Block:
        deadline = time.monotonic() + self._timeout_s
        pause_s = PAUSE_FIRST_S
        while True:
            try:
                located = self._next_located()
            except CairnError:
                raise
            except OSError as error:
                self._check_hope(error, has_time=time.monotonic() < deadline)
                self._excluded = set(self._full_nodes)
            else:
                try:
                    return _Block(located, self._service.open_writer(located, 0, self._buffers.give))
                except PipelineFailed as failure:
                    self._blocks.append(_Block(located, None))
                    is_news = not self._excluded.issuperset(failure.failed_nodes)
                    self._note(failure)
                    if time.monotonic() >= deadline:
                        raise NotEnoughDatanodes(f"no chain of datanodes takes a block: {failure}") from None
                    if is_news:
                        continue
            self._sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def _check_hope(self, error: OSError, *, has_time: bool) -> None:
        """Raise unless a block that was refused may be had later."""
        detail = "; ".join(getattr(error, "__notes__", ())) or error.strerror
        if error.errno == errno.ENOSPC or (error.errno == errno.EHOSTDOWN and self._full_nodes):
            raise NoSpace(f"no datanode has room for another block: {detail}") from None
        if error.errno != errno.EHOSTDOWN:
            raise error
        if not has_time:
            raise NotEnoughDatanodes(f"no block could be had within {self._timeout_s:g} s: {detail}") from None

    def _next_located(self) -> LocatedBlock:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            located = ahead.result()
            if not any(replica.node in self._excluded for replica in located.replicas):
                return located
            self._blocks.append(_Block(located, None))
        return self._ask_for_block().result()

    def _ask_for_block(self) -> Later[LocatedBlock]:
        return self._caller.submit(AllocateBlock(self._ino, tuple(sorted(self._excluded))), LocatedBlock)

    # --- when a chain fails ------------------------------------------------------------------------

    def _recover(self, block: _Block, failure: PipelineFailed) -> None:
        """Bring what `block`'s chain did not acknowledge to safety elsewhere; see the story above."""
        writer = block.writer
        assert writer is not None
        writer.close()
        acked, waiting = writer.acked_offset, _beyond(writer)
        while True:
            _log.warning("pipeline_failed", block=block.located.block, acked=acked, reason=str(failure))
            self._note(failure)
            self._check_progress(acked, failure)
            block.writer = None
            located = self._renew(block, failure, acked)
            if located is None:
                self._move(block, acked, waiting)
                return
            block.located = located
            sent = 0
            try:
                block.writer = writer = self._service.open_writer(located, acked, self._buffers.give)
                for piece in waiting:
                    sent += 1
                    writer.send(piece)
                return
            except PipelineFailed as another:
                failure = another
                if block.writer is not None:
                    writer.close()
                    acked, waiting = writer.acked_offset, _beyond(writer) + waiting[sent:]

    def _renew(self, block: _Block, failure: PipelineFailed, acked: int) -> LocatedBlock | None:
        """The block under a new generation with those who survive; None where a new block is the better way."""
        survivors = tuple(each.node for each in block.located.replicas if each.node not in failure.failed_nodes)
        is_worth_it = acked > 0
        if not is_worth_it or len(survivors) < self._caller.settings().min_replicas:
            return None
        try:
            operation = RenewBlock(block.located.block, block.located.generation, survivors)
            return self._caller.ask(operation, LocatedBlock)
        except CairnError:
            raise
        except OSError as error:
            _log.info("renewal_refused", block=block.located.block, reason=str(error))
            return None

    def _move(self, block: _Block, acked: int, waiting: list[memoryview]) -> None:
        """End `block` at what was acknowledged, and put the rest into other blocks."""
        block.length = acked
        block.is_full = True
        old_offset = acked
        for piece in waiting:
            at = 0
            while at < len(piece):
                new, new_offset, length = self._reserve(len(piece) - at)
                if self._bytes_left is not None:
                    self._bytes_left += length  # these bytes were counted when they came
                self._rewrite(block, old_offset, length, new, new_offset)
                self._send(new, piece[at : at + length])
                old_offset += length
                at += length

    def _rewrite(self, old: _Block, old_offset: int, length: int, new: _Block, new_offset: int) -> None:
        """What lay at `old_offset` of `old` lies at `new_offset` of `new`."""
        end = old_offset + length
        runs: list[_Run] = []
        for run in self._runs:
            run_end = run.block_offset + run.length
            if run.block is not old or run.block_offset >= end or run_end <= old_offset:
                runs.append(run)
                continue
            first, last = max(run.block_offset, old_offset), min(run_end, end)
            if run.block_offset < first:
                runs.append(_Run(run.offset, first - run.block_offset, old, run.block_offset))
            at = run.offset + first - run.block_offset
            runs.append(_Run(at, last - first, new, new_offset + first - old_offset))
            if last < run_end:
                runs.append(_Run(run.offset + last - run.block_offset, run_end - last, old, last))
        self._runs = runs

    def _note(self, failure: PipelineFailed) -> None:
        self._excluded.update(failure.failed_nodes)
        self._full_nodes.update(failure.full_nodes)

    def _check_progress(self, acked: int, failure: PipelineFailed) -> None:
        """Raise where chain after chain fails and nothing gets through."""
        now = time.monotonic()
        if self._stuck_since is None or acked > 0:
            self._stuck_since = now
        elif now - self._stuck_since > self._timeout_s:
            raise NotEnoughDatanodes(f"no chain of datanodes takes a block for {self._timeout_s:g} s: {failure}")

    # --- telling the namenode --------------------------------------------------------------------

    def _seal_all(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            with contextlib.suppress(OSError):  # it was not got: nothing to seal
                self._blocks.append(_Block(ahead.result(), None))
        for block in self._blocks:
            block.is_full = True
            if block.writer is not None:
                block.writer.close()
                block.writer = None

    def _publish(self, *, append: bool) -> Appended | None:
        extents = [Extent(run.offset, run.length, run.block.located.block, run.block_offset) for run in self._runs]
        if append:
            appended = self._ask_commit(extents, is_last=True, append=True)
        else:
            appended = None
            while len(extents) > EXTENTS_PER_COMMIT:
                self._ask_commit(extents[:EXTENTS_PER_COMMIT], is_last=False)
                del extents[:EXTENTS_PER_COMMIT]
            appended = self._ask_commit(extents, is_last=True)
        self._runs = []
        return appended

    def _ask_commit(self, extents: list[Extent], *, is_last: bool, append: bool = False) -> Appended:
        ends = tuple(
            BlockCommit(each.located.block, each.located.generation, each.length, seal=is_last and each.is_full)
            for each in self._blocks
        )
        appended = self._caller.ask(Commit(self._ino, tuple(extents), ends, append), Appended)
        for block in self._blocks:
            block.known_length = block.length
        return appended

    @contextlib.contextmanager
    def _failing_for_good(self) -> Iterator[None]:
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except OSError as error:
            self._failure = error
            raise
        except BaseException:
            self._failure = CairnError("an earlier write to this file was interrupted: what it wrote is lost")
            raise


def _beyond(writer: Writer) -> list[memoryview]:
    """The pieces that a closed writer did not get acknowledged, without what lies below its acknowledged offset."""
    acked = writer.acked_offset
    return [memoryview(piece)[max(acked - offset, 0) :] for offset, piece in writer.unacked()]
