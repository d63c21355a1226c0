"""The volumes of one datanode: where a block's replica is, and where a new one goes.

Owns the choice of the volume. A volume that fails takes only its own replicas with it. The
place of a replica is looked up in each volume's own table, so nothing here grows with the number of blocks.
"""

import heapq
import itertools
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path

from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.errors import BadConfig, NoSpace
from cairnfs.common.logs import EventLogger
from cairnfs.datanode.environment import Limits
from cairnfs.datanode.errors import ReplicaMissing, VolumeFailed
from cairnfs.datanode.layout import Replica
from cairnfs.datanode.piece_store import PieceStore, PieceView, Usage
from cairnfs.datanode.replica_writer import ReplicaWriter

log = EventLogger("volumes")


class Volumes:
    """Several piece stores as one."""

    def __init__(self, stores: Sequence[PieceStore]) -> None:
        """Take over open stores, all of one datanode."""
        self._stores = tuple(stores)
        self._lock = threading.Lock()
        self._placed: dict[int, PieceStore] = {}

    @classmethod
    def open(cls, folders: Sequence[Path], cluster_id: str, limits: Limits) -> "Volumes":
        """Open the volumes in `folders`; new ones become this datanode's. BadConfig, VolumeLocked."""
        stores: list[PieceStore] = []
        try:
            stores.extend(PieceStore(folder, cluster_id, limits) for folder in folders)
            _agree_on_datanode(stores)
        except BaseException:
            for store in stores:
                store.close()
            raise
        return cls(stores)

    @property
    def datanode_uuid(self) -> str:
        """The datanode all these volumes belong to."""
        return self._stores[0].datanode_uuid

    def open_replica(self, block: int, generation: int, offset: int) -> "Future[ReplicaWriter]":
        """A writer on the volume that has the block, or on the one with the most room; NoSpace, VolumeFailed."""
        with self._lock:
            store = self._store_of(block) or self._store_writing(block)
            if store is None:
                store = self._roomiest()
                self._placed[block] = store
            opened = store.open_replica(block, generation, offset)
        opened.add_done_callback(lambda _: self._placed.pop(block, None))
        return opened

    def piece_at(self, block: int, offset: int) -> AbstractContextManager[PieceView]:
        """PieceStore.piece_at on the volume that has the block."""
        return self._store_with(block).piece_at(block, offset)

    def find(self, block: int) -> Replica | None:
        """The replica of `block`, on any volume that works."""
        store = self._store_of(block)
        return store.find(block) if store else None

    def verify(self, block: int) -> Replica:
        """PieceStore.verify on the volume that has the block."""
        return self._store_with(block).verify(block)

    def delete(self, block: int, generation: int) -> "Future[bool]":
        """Delete the replica of at most `generation`, wherever it is; whether there was one."""
        with self._lock:
            store = self._store_of(block) or self._store_writing(block)
        if store is None:
            nothing: Future[bool] = Future()
            nothing.set_result(False)
            return nothing
        return store.delete(block, generation)

    def replicas(self) -> Iterator[tuple[int, Replica]]:
        """All replicas on the volumes that work, in the order of blocks."""
        working = [store for store in self._stores if store.failure is None]
        return heapq.merge(*(itertools.chain.from_iterable(store.replicas()) for store in working))

    def usages(self) -> list[Usage]:
        """What the heartbeat tells, a volume each."""
        return [_usage(store) for store in self._stores]

    def close(self) -> None:
        """Commit what is queued and close all."""
        for store in self._stores:
            store.close()

    def _store_with(self, block: int) -> PieceStore:
        store = self._stores[0] if len(self._stores) == 1 else self._store_of(block)
        if store is None:
            raise ReplicaMissing(f"block {block} is not here")
        return store

    def _store_of(self, block: int) -> PieceStore | None:
        """The volume that has a replica of the block on its disk."""
        working = (store for store in self._stores if store.failure is None)
        return next((store for store in working if store.find(block) is not None), None)

    def _store_writing(self, block: int) -> PieceStore | None:
        """The volume that was chosen for a block of which nothing is on the disk yet."""
        placed = self._placed.get(block)
        if placed is None:
            placed = next((store for store in self._stores if store.is_writing(block)), None)
        return placed if placed is None or placed.failure is None else None

    def _roomiest(self) -> PieceStore:
        rooms = [(usage.free_bytes, store) for store in self._stores if not (usage := _usage(store)).is_failed]
        if not rooms:
            raise VolumeFailed("every volume of this datanode has failed")
        free, store = max(rooms, key=lambda room: room[0])
        if free < PIECE_BYTES_MAX:
            raise NoSpace("every volume of this datanode is full")
        return store


def _usage(store: PieceStore) -> Usage:
    try:
        return store.usage()
    except OSError as error:
        log.warning("volume_does_not_answer", volume=store.folder, error=error)
        return Usage(store.uuid, 0, 0, 0, True)


def _agree_on_datanode(stores: Sequence[PieceStore]) -> None:
    """Give new volumes the datanode's uuid; BadConfig where volumes of two datanodes are mixed."""
    owners = {store.datanode_uuid: store for store in stores if store.datanode_uuid}
    if len(owners) > 1:
        first, second, *_ = owners.values()
        raise BadConfig(f"volumes {first.folder} and {second.folder} belong to two different datanodes")
    owner = next(iter(owners), uuid.uuid4().hex)
    for store in stores:
        if not store.datanode_uuid:
            store.adopt(owner)
