"""The changes that streams and orders ask of a volume: open a replica for writing, append, release, delete.

All run in the volume's commit thread, in the order they were queued, and that order makes fencing
right: what an older writer queued before a takeover is committed before it, what it queues after is refused.
"""

from collections.abc import Callable
from concurrent.futures import Future

from cairnfs.common.errors import CairnError
from cairnfs.common.transfer import Bytes
from cairnfs.datanode.errors import StaleGeneration
from cairnfs.datanode.mutation import Mutation
from cairnfs.datanode.replica_writer import ReplicaWriter


class Possession:
    """Which writer may append to which replica; changed by the commit thread only."""

    def __init__(self) -> None:
        self._writers: dict[int, ReplicaWriter] = {}

    def holder(self, block: int) -> ReplicaWriter | None:
        """The writer in possession of the replica."""
        return self._writers.get(block)

    def take(self, writer: ReplicaWriter) -> None:
        """Put `writer` in possession and fence who was."""
        before = self._writers.get(writer.block)
        self._writers[writer.block] = writer
        if before is not None and before is not writer:
            before.fail(StaleGeneration(f"block {writer.block}: a later writer has taken over"))

    def release(self, writer: ReplicaWriter) -> None:
        """End the possession, if `writer` has it."""
        if self._writers.get(writer.block) is writer:
            del self._writers[writer.block]

    def fence(self, block: int, generation: int) -> None:
        """The replica is deleted: a writer of `generation` or older is done for."""
        holder = self._writers.get(block)
        if holder is not None and holder.generation <= generation:
            del self._writers[block]
            holder.fail(StaleGeneration(f"block {block} has been deleted"))


class OpenReplica:
    """Put a writer in possession, cutting and raising the generation as needed."""

    size_bytes = 0
    needs_space = False

    def __init__(self, possession: Possession, writer: ReplicaWriter, offset: int) -> None:
        self._possession = possession
        self._writer = writer
        self._offset = offset
        self.done: Future[ReplicaWriter] = Future()

    def apply(self, mutation: Mutation) -> None:
        """Check against who has the replica, then take over."""
        writer = self._writer
        holder = self._possession.holder(writer.block)
        if holder is not None and holder.generation > writer.generation:
            raise StaleGeneration(f"block {writer.block} is being written with generation {holder.generation}")
        must_sync = mutation.take_over(writer.block, writer.generation, self._offset)
        self._possession.take(writer)
        if not must_sync and not self.done.done():
            self.done.set_result(writer)

    def finish(self, error: CairnError | None) -> None:
        """Hand the writer over."""
        if error is not None:
            self._writer.fail(error)
            self._possession.release(self._writer)
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(self._writer)


class AppendPiece:
    """Add one piece of a writer."""

    needs_space = True

    def __init__(
        self,
        possession: Possession,
        writer: ReplicaWriter,
        offset: int,
        data: Bytes,
        sums: bytes,
        release: Callable[[], None],
    ) -> None:
        self._possession = possession
        self._writer = writer
        self._offset = offset
        self._end = offset + len(data)
        self._data: Bytes = data
        self._sums = sums
        self._release: Callable[[], None] | None = release
        self.size_bytes = len(data)

    def apply(self, mutation: Mutation) -> None:
        """Put the piece into the transaction; its buffer is free again from then on.

        A writer whose piece is refused loses possession, so that none of its next pieces can slip in.
        """
        writer = self._writer
        try:
            if writer.error is not None:
                raise writer.error
            if self._possession.holder(writer.block) is not writer:
                raise StaleGeneration(f"block {writer.block}: the writer has lost possession of it")
            mutation.append(writer.block, writer.generation, self._offset, self._data, self._sums)
        except CairnError:
            self._possession.release(writer)
            raise
        finally:
            self._let_go()

    def finish(self, error: CairnError | None) -> None:
        """Tell the writer."""
        self._let_go()
        if error is not None:
            self._writer.fail(error)
        else:
            self._writer.advance(self._end)

    def _let_go(self) -> None:
        release, self._release, self._data = self._release, None, b""
        if release is not None:
            release()


class ReleaseReplica:
    """End a writer's possession."""

    size_bytes = 0
    needs_space = False

    def __init__(self, possession: Possession, writer: ReplicaWriter) -> None:
        self._possession = possession
        self._writer = writer

    def apply(self, _mutation: Mutation) -> None:
        """Nothing on the disk changes."""
        self._possession.release(self._writer)

    def finish(self, error: CairnError | None) -> None:
        """Nobody waits for it."""


class DeleteReplica:
    """Delete a replica of at most one generation."""

    size_bytes = 0
    needs_space = False

    def __init__(self, possession: Possession, block: int, generation: int) -> None:
        self._possession = possession
        self._block = block
        self._generation = generation
        self._was_there = False
        self.done: Future[bool] = Future()

    def apply(self, mutation: Mutation) -> None:
        """Delete it; a writer of a newer generation that has no piece yet is left alone."""
        self._possession.fence(self._block, self._generation)
        self._was_there = mutation.delete(self._block, self._generation)

    def finish(self, error: CairnError | None) -> None:
        """Tell whether there was one."""
        if error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(self._was_there)
