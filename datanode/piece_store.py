"""One volume: replicas as pieces in an LMDB environment, with grouped, synced commits.

Owns the commit thread (the only one that writes) and what happens when a commit fails. Reads are
short LMDB read transactions in the caller's thread. Knows nothing of sockets or of other volumes.

What a failed transaction means:

    MapFull, ENOSPC     nothing of it has happened: what wanted room is refused (NoSpace), the rest is done again
    anything else       the disk cannot be trusted: the volume fails for good (VolumeFailed); an fsync is never retried
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import lmdb

from cairnfs.common.errors import CairnError, CorruptData, NoSpace
from cairnfs.common.logs import EventLogger
from cairnfs.common.transfer import Bytes, checksums
from cairnfs.datanode.changes import AppendPiece, DeleteReplica, OpenReplica, Possession, ReleaseReplica
from cairnfs.datanode.commit_queue import Change, CommitQueue
from cairnfs.datanode.environment import Environment, Limits
from cairnfs.datanode.errors import BadRange, ReplicaMissing, VolumeFailed
from cairnfs.datanode.layout import (
    Replica,
    block_key,
    block_of,
    piece_key,
    split_piece_key,
    unpack_replica,
    unpack_sums,
)
from cairnfs.datanode.mutation import Mutation
from cairnfs.datanode.replica_writer import ReplicaWriter

_QUEUE_TIMEOUT_S = 60.0

log = EventLogger("store")


class PieceView(NamedTuple):
    """A piece as it lies in the map: `data` is valid only within its transaction."""

    offset: int
    data: memoryview
    checksums: bytes


class Usage(NamedTuple):
    """What the heartbeat tells of a volume."""

    uuid: str
    capacity_bytes: int
    free_bytes: int
    blocks: int
    is_failed: bool


class PieceStore:
    """The replicas on one volume."""

    def __init__(self, folder: Path, cluster_id: str, limits: Limits | None = None) -> None:
        """Open or make the volume in `folder`; BadConfig, VolumeLocked."""
        self._environment = Environment(folder, cluster_id, limits or Limits())
        self.folder = folder
        self._limits = self._environment.limits
        self._possession = Possession()
        self._queue = CommitQueue(self._limits.queue_bytes)
        self._failure: VolumeFailed | None = None
        self._used_bytes = self._environment.used_bytes()
        self._thread = threading.Thread(target=self._commit_loop, name=f"commit-{folder.name}")
        self._thread.start()

    @property
    def uuid(self) -> str:
        """The volume's own id."""
        return self._environment.volume_uuid

    @property
    def datanode_uuid(self) -> str:
        """The datanode the volume belongs to; empty while it is new."""
        return self._environment.datanode_uuid

    @property
    def failure(self) -> VolumeFailed | None:
        """Why the volume has stopped, if it has."""
        return self._failure

    def adopt(self, datanode_uuid: str) -> None:
        """Make the volume that of this datanode, for good; before anything is written."""
        self._environment.adopt(datanode_uuid)

    def open_replica(self, block: int, generation: int, offset: int) -> "Future[ReplicaWriter]":
        """A writer that appends from `offset` on; refusals as Mutation.take_over's. Fences an older writer."""
        writer = ReplicaWriter(self, block, generation, offset)
        change = OpenReplica(self._possession, writer, offset)
        self._put(change)
        return change.done

    def delete(self, block: int, generation: int) -> "Future[bool]":
        """Delete the replica if it is of `generation` or older; whether there was one."""
        change = DeleteReplica(self._possession, block, generation)
        self._put(change)
        return change.done

    def append(self, writer: ReplicaWriter, offset: int, data: Bytes, sums: bytes, release: Callable[[], None]) -> None:
        """ReplicaWriter.append."""
        if writer.error is not None:
            release()
            raise writer.error
        self._put(AppendPiece(self._possession, writer, offset, data, sums, release))

    def release_writer(self, writer: ReplicaWriter) -> None:
        """ReplicaWriter.close."""
        self._put(ReleaseReplica(self._possession, writer))

    def find(self, block: int) -> Replica | None:
        """Generation and length of the replica, as last synced; VolumeFailed."""
        with self._reading() as txn:
            row = txn.get(block_key(block), db=self._environment.blocks)
            return None if row is None else unpack_replica(bytes(row))

    def is_writing(self, block: int) -> bool:
        """Whether a writer is in possession of the block's replica, which may have nothing on the disk yet."""
        return self._possession.holder(block) is not None

    @contextmanager
    def piece_at(self, block: int, offset: int) -> Iterator[PieceView]:
        """The piece that `offset` lies within.

        ReplicaMissing, BadRange, CorruptData (a piece is gone), VolumeFailed.
        """
        environment = self._environment
        with self._reading() as txn:
            row = txn.get(block_key(block), db=environment.blocks)
            if row is None:
                raise ReplicaMissing(f"block {block} is not here")
            replica = unpack_replica(row)
            if offset >= replica.length:
                raise BadRange(f"block {block} has {replica.length} bytes here: nothing at {offset}")
            found = _sums_across(txn, environment, block, offset)
            if found is None:
                raise CorruptData(f"block {block} has no piece across {offset}")
            start, length, sums = found
            data = txn.get(piece_key(block, start), db=environment.pieces)
            if data is None or len(data) != length:
                raise CorruptData(f"block {block}: the piece at {start} is gone or cut")
            yield PieceView(start, memoryview(data), sums)

    def replicas(self, page: int = 4096) -> Iterator[list[tuple[int, Replica]]]:
        """All replicas in the order of their blocks, in lists of at most `page`, each from a transaction of its own."""
        after = b""
        while True:
            with self._reading() as txn, txn.cursor(db=self._environment.blocks) as cursor:
                found = cursor.set_range(after) if after else cursor.first()
                rows: list[tuple[int, Replica]] = []
                while found and len(rows) < page:
                    rows.append((block_of(cursor.key()), unpack_replica(cursor.value())))
                    found = cursor.next()
                after = bytes(cursor.key()) if found else b""
            if rows:
                yield rows
            if not after:
                return

    def verify(self, block: int) -> Replica:
        """Read the whole replica and check every checksum; CorruptData or ReplicaMissing where it does not hold."""
        replica = self.find(block)
        if replica is None:
            raise ReplicaMissing(f"block {block} is not here")
        offset = 0
        while offset < replica.length:
            with self.piece_at(block, offset) as piece:
                if piece.offset != offset or checksums(piece.data) != piece.checksums:
                    raise CorruptData(f"block {block}: the piece at {piece.offset} fails its checksum")
                offset += len(piece.data)
        return replica

    def usage(self) -> Usage:
        """Size, room and replicas, for the heartbeat."""
        if self._failure is not None:
            return Usage(self.uuid, 0, 0, 0, True)
        with self._reading() as txn:
            blocks = txn.stat(self._environment.blocks)["entries"]
        room = self._environment.room(self._used_bytes)
        return Usage(self.uuid, room.capacity_bytes, room.free_bytes, blocks, False)

    def close(self) -> None:
        """Commit what is queued, then close the volume; no read may be under way."""
        self._queue.close()
        self._thread.join()
        self._environment.close()

    @contextmanager
    def _reading(self) -> Iterator[lmdb.Transaction]:
        if self._failure is not None:
            raise self._failure
        try:
            with self._environment.lmdb.begin(buffers=True) as txn:
                yield txn
        except lmdb.Error as error:
            raise VolumeFailed(f"volume {self.folder} cannot be read: {error}") from error

    def _put(self, change: Change) -> None:
        """Queue a change; where that cannot be, it is finished with the reason."""
        try:
            if self._failure is None and self._queue.put(change, _QUEUE_TIMEOUT_S):
                return
            refusal = self._failure or VolumeFailed(f"volume {self.folder} is closed")
        except TimeoutError as error:
            refusal = VolumeFailed(f"volume {self.folder} hangs: {error}")
        change.finish(refusal)

    def _commit_loop(self) -> None:
        try:
            while batch := self._queue.take(self._limits.commit_bytes):
                if self._failure is None:
                    self._commit_batch(batch)
                else:
                    for change in batch:
                        change.finish(self._failure)
        except BaseException as error:  # a bug: nothing may wait for this volume any more
            self._failure = VolumeFailed(f"volume {self.folder} has failed: {error!r}")
            self._queue.close()
            raise

    def _commit_batch(self, batch: list[Change]) -> None:
        """One transaction for the batch; where the disk is full, a second one for what needs no room."""
        try:
            refused = self._transact(batch)
        except (NoSpace, lmdb.MapFullError, lmdb.DiskError) as error:
            log.warning("volume_full", volume=self.folder, error=error)
            refusal = NoSpace(f"volume {self.folder} is full")
            rest = [change for change in batch if not change.needs_space]
            for change in batch:
                if change.needs_space or len(rest) == len(batch):
                    change.finish(refusal)
            if rest and len(rest) < len(batch):
                self._commit_batch(rest)
        except (lmdb.Error, OSError) as error:
            self._fail(batch, error)
        else:
            for change in batch:
                change.finish(refused.get(id(change)))

    def _transact(self, batch: list[Change]) -> dict[int, CairnError]:
        """Apply the batch and sync it; which changes were refused, by id."""
        environment = self._environment
        wanted = sum(change.size_bytes for change in batch)
        if wanted:
            environment.make_room(wanted)
        room = environment.room(self._used_bytes)
        refused: dict[int, CairnError] = {}
        with environment.lmdb.begin(write=True) as txn:
            mutation = Mutation(environment, txn, self._used_bytes, room.free_bytes)
            for change in batch:
                try:
                    change.apply(mutation)
                except CairnError as error:
                    refused[id(change)] = error
            if mutation.has_changes:
                mutation.finish()
                self._sync(txn)
        self._used_bytes = mutation.used_bytes
        return refused

    def _sync(self, txn: lmdb.Transaction) -> None:
        """Commit: when this returns, the transaction is on the disk. A seam for tests that make a disk fail."""
        txn.commit()

    def _fail(self, batch: list[Change], error: Exception) -> None:
        self._failure = VolumeFailed(f"volume {self.folder} has failed: {error}")
        log.error("volume_failed", volume=self.folder, error=error)
        for change in batch:
            change.finish(self._failure)


def _sums_across(
    txn: lmdb.Transaction, environment: Environment, block: int, offset: int
) -> tuple[int, int, bytes] | None:
    """Start, length and checksums of the piece that `offset` lies within."""
    key = piece_key(block, offset)
    row = txn.get(key, db=environment.sums)
    if row is not None:
        return (offset, *unpack_sums(row))
    with txn.cursor(db=environment.sums) as cursor:
        found = cursor.prev() if cursor.set_range(key) else cursor.last()
        if not found:
            return None
        found_block, start = split_piece_key(cursor.key())
        length, sums = unpack_sums(cursor.value())
    if found_block != block or not start <= offset < start + length:
        return None
    return start, length, sums
