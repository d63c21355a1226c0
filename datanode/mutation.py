"""What one write transaction of a volume can do to its replicas: the rules, in one place.

Owns the order of checks and the invariants: the pieces of a replica lie end to end, a replica's
generation never falls, and `used_bytes` is right in every committed state. Every method checks first
and changes then, so that a refusal (a CairnError) leaves the transaction as it was. Knows nothing of
threads; piece_store.py runs it.
"""

import lmdb

from cairnfs.common.blocks import BLOCK_BYTES_MAX, CHECKSUM_RUN_BYTES
from cairnfs.common.errors import CorruptData, NoSpace
from cairnfs.common.transfer import Bytes, checksums
from cairnfs.datanode.environment import Environment
from cairnfs.datanode.errors import BadRange, ReplicaMissing, StaleGeneration
from cairnfs.datanode.layout import (
    META_USED,
    USED,
    Replica,
    block_key,
    pack_replica,
    pack_sums,
    piece_key,
    split_piece_key,
    stored_bytes,
    unpack_replica,
    unpack_sums,
)


class Mutation:
    """One write transaction; `finish` before its commit writes the rows that gathered."""

    def __init__(self, environment: Environment, txn: lmdb.Transaction, used_bytes: int, free_bytes: int) -> None:
        self._environment = environment
        self._txn = txn
        self._rows: dict[int, Replica | None] = {}
        self._free_bytes = free_bytes
        self.used_bytes = used_bytes
        self.has_changes = False

    def replica(self, block: int) -> Replica | None:
        """The replica as it stands within this transaction."""
        if block not in self._rows:
            row = self._txn.get(block_key(block), db=self._environment.blocks)
            self._rows[block] = None if row is None else unpack_replica(row)
        return self._rows[block]

    def take_over(self, block: int, generation: int, offset: int) -> bool:
        """Prepare the replica for appends at `offset` by a writer of `generation`; whether anything had to change.

        A new replica must start at 0 and gets its row with its first piece. What an older writer
        left beyond `offset` is cut off. StaleGeneration, ReplicaMissing, BadRange, CorruptData.
        """
        replica = self.replica(block)
        if replica is None:
            if offset:
                raise ReplicaMissing(f"block {block} is not here, so it cannot be continued at {offset}")
            return False
        if generation < replica.generation:
            raise StaleGeneration(f"block {block} is of generation {replica.generation} here, not {generation}")
        if offset > replica.length:
            raise BadRange(f"block {block} has {replica.length} bytes here and cannot be continued at {offset}")
        if replica == (generation, offset):
            return False
        self._cut(block, replica.length, offset)
        self._set(block, Replica(generation, offset))
        return True

    def append(self, block: int, generation: int, offset: int, data: Bytes, sums: bytes) -> None:
        """Add a piece at the end of the replica. BadRange, StaleGeneration, NoSpace."""
        replica = self.replica(block) or Replica(generation, 0)
        if replica.generation != generation:
            raise StaleGeneration(f"block {block} is of generation {replica.generation} here, not {generation}")
        if offset != replica.length or offset + len(data) > BLOCK_BYTES_MAX:
            raise BadRange(f"block {block} has {replica.length} bytes: {len(data)} bytes at {offset} do not fit")
        size = stored_bytes(len(data))
        if size > self._free_bytes:
            raise NoSpace(f"volume {self._environment.folder} is full")
        key = piece_key(block, offset)
        self._txn.put(key, data, db=self._environment.pieces)
        self._txn.put(key, pack_sums(len(data), sums), db=self._environment.sums)
        self._free_bytes -= size
        self.used_bytes += size
        self._set(block, Replica(generation, offset + len(data)))

    def delete(self, block: int, generation: int) -> bool:
        """Delete the replica if it is of `generation` or older; whether there was one to delete."""
        replica = self.replica(block)
        if replica is None or replica.generation > generation:
            return False
        self._drop(block, 0)
        self._set(block, None)
        return True

    def finish(self) -> None:
        """Write what gathered: the rows of replicas, and the volume's use."""
        for block, replica in self._rows.items():
            if replica is None:
                self._txn.delete(block_key(block), db=self._environment.blocks)
            else:
                self._txn.put(block_key(block), pack_replica(replica), db=self._environment.blocks)
        self._txn.put(META_USED, USED.pack(self.used_bytes), db=self._environment.meta)

    def _set(self, block: int, replica: Replica | None) -> None:
        self._rows[block] = replica
        self.has_changes = True

    def _cut(self, block: int, length: int, offset: int) -> None:
        """Drop the replica's bytes from `offset` on; the piece across it is shortened, if its checksums hold."""
        if offset == length:
            return
        kept = self._head_of_piece_across(block, offset)
        self._drop(block, kept[0] if kept else offset)
        if kept:
            start, head = kept
            key = piece_key(block, start)
            self._txn.put(key, head, db=self._environment.pieces)
            self._txn.put(key, pack_sums(len(head), checksums(head)), db=self._environment.sums)
            self.used_bytes += stored_bytes(len(head))

    def _head_of_piece_across(self, block: int, offset: int) -> tuple[int, bytes] | None:
        """Start and remaining bytes of the piece that `offset` lies within; None where a piece starts there."""
        key = piece_key(block, offset)
        if self._txn.get(key, db=self._environment.sums) is not None:
            return None
        with self._txn.cursor(db=self._environment.sums) as cursor:
            has_previous = cursor.prev() if cursor.set_range(key) else cursor.last()
            if not has_previous or split_piece_key(cursor.key())[0] != block:
                raise CorruptData(f"block {block} has no piece across {offset}")
            found, row = cursor.item()
        _, start = split_piece_key(found)
        length, sums = unpack_sums(row)
        data = self._txn.get(found, db=self._environment.pieces)
        runs = -(-(offset - start) // CHECKSUM_RUN_BYTES)
        checked = min(runs * CHECKSUM_RUN_BYTES, length)
        if data is None or len(data) != length or checksums(memoryview(data)[:checked]) != sums[: runs * 4]:
            raise CorruptData(f"block {block}: the piece at {start} fails its checksum")
        return start, bytes(data[: offset - start])

    def _drop(self, block: int, offset: int) -> None:
        """Delete all pieces that start at `offset` or after it."""
        with self._txn.cursor(db=self._environment.sums) as cursor:
            found = cursor.set_range(piece_key(block, offset))
            while found and bytes(key := cursor.key()).startswith(block_key(block)):
                length, _ = unpack_sums(cursor.value())
                self._txn.delete(key, db=self._environment.pieces)
                self.used_bytes -= stored_bytes(length)
                found = cursor.delete()
        self.has_changes = True
