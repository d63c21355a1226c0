"""The Raft log, vote and term of one namenode, in an LMDB environment of their own.

    table     key                 value
    entries   index u64 BE        term u64 · kind u8 · CRC32C u32 (of term, kind, index and data), then the data
    meta      "format"            format version, ASCII
              "identity"          MessagePack [cluster id, node id]
              "hard_state"        MessagePack {term, vote, commit}
              "snapshot"          MessagePack {index, term, membership}: what the log starts after
              "membership"        MessagePack [index, membership]: as of the last membership entry applied
              "state_directory"   name of the state's folder: switched with `snapshot`, in one transaction

Commits are synced: what append() has returned for is on disk. A commit index alone is not worth
a sync and is kept in memory until the next write, for the log can be committed again.
"""

from collections.abc import Sequence
from pathlib import Path
from struct import Struct

import lmdb
import msgspec
from crc32c import crc32c

from cairnfs.common.errors import BadConfig, CorruptData
from cairnfs.namenode.raft import (
    Compacted,
    Entry,
    EntryKind,
    HardState,
    Membership,
    SnapshotMeta,
    Unavailable,
)

FORMAT = b"1"
FIRST_STATE_DIRECTORY = "state-0"

_KEY = Struct(">Q")
_HEADER = Struct("<QBI")
_CHECKED = Struct("<QBQ")
_COMPACTION_BATCH = 2_000

_encode = msgspec.msgpack.Encoder().encode
_decode_hard_state = msgspec.msgpack.Decoder(HardState).decode
_decode_snapshot = msgspec.msgpack.Decoder(SnapshotMeta).decode
_decode_membership = msgspec.msgpack.Decoder(tuple[int, Membership]).decode
_decode_identity = msgspec.msgpack.Decoder(tuple[str, int]).decode


class LogStore:
    """The storage that the Raft core reads, and that only the node's thread writes."""

    def __init__(
        self, directory: Path, *, cluster_id: str, node_id: int, members: Sequence[int], map_size_bytes: int
    ) -> None:
        """Open the log in `directory`, or make one with `members` as its voters; BadConfig for another node's."""
        directory.mkdir(parents=True, exist_ok=True)
        self._env = lmdb.open(str(directory), map_size=map_size_bytes, max_dbs=2, max_readers=64, max_spare_txns=4)
        self._env.reader_check()
        self._entries = self._env.open_db(b"entries", integerkey=False)
        self._meta = self._env.open_db(b"meta")
        with self._env.begin(write=True) as txn:
            if txn.get(b"format", db=self._meta) is None:
                self._create(txn, cluster_id, node_id, members)
            self._load(txn, directory, cluster_id, node_id)

    def _create(self, txn: "lmdb.Transaction[bytes]", cluster_id: str, node_id: int, members: Sequence[int]) -> None:
        membership = Membership.of(tuple(members))
        txn.put(b"format", FORMAT, db=self._meta)
        txn.put(b"identity", _encode([cluster_id, node_id]), db=self._meta)
        txn.put(b"hard_state", _encode(HardState()), db=self._meta)
        txn.put(b"snapshot", _encode(SnapshotMeta(index=0, term=0, membership=membership)), db=self._meta)
        txn.put(b"membership", _encode([0, membership]), db=self._meta)
        txn.put(b"state_directory", FIRST_STATE_DIRECTORY.encode(), db=self._meta)

    def _load(self, txn: "lmdb.Transaction[bytes]", directory: Path, cluster_id: str, node_id: int) -> None:
        found = self._meta_value(txn, b"format")
        if found != FORMAT:
            raise BadConfig(f"{directory}: log format {found!r} is not {FORMAT!r}: use the CairnFS that wrote it")
        identity = _decode_identity(self._meta_value(txn, b"identity"))
        if identity != (cluster_id, node_id):
            raise BadConfig(
                f"{directory} belongs to namenode {identity[1]} of cluster {identity[0]},"
                f" not to namenode {node_id} of cluster {cluster_id}: correct cluster_id, node_id or directory"
            )
        self._hard_state = _decode_hard_state(self._meta_value(txn, b"hard_state"))
        self._stored_hard_state = self._hard_state
        self._snapshot = _decode_snapshot(self._meta_value(txn, b"snapshot"))
        self._membership = _decode_membership(self._meta_value(txn, b"membership"))
        self.state_directory = self._meta_value(txn, b"state_directory").decode()
        self._first = self._snapshot.index + 1
        self._last = self._snapshot.index
        self._bytes = 0
        with txn.cursor(self._entries) as cursor:
            if cursor.first():
                self._first = _KEY.unpack(cursor.key())[0]
                cursor.last()
                self._last = _KEY.unpack(cursor.key())[0]
        self._bytes = txn.stat(self._entries)["overflow_pages"] * 4096 + txn.stat(self._entries)["leaf_pages"] * 4096

    def _meta_value(self, txn: "lmdb.Transaction[bytes]", name: bytes) -> bytes:
        value = txn.get(name, db=self._meta)
        if value is None:
            raise CorruptData(f"{self._env.path()}: the log has no {name.decode()}")
        return bytes(value)

    def close(self) -> None:
        """Close the environment; nothing is lost, for every write was synced."""
        self._env.close()

    # --- what the core reads ---------------------------------------------------------------------

    def initial_state(self) -> tuple[HardState, Membership]:
        """The hard state and membership to start from."""
        return self._hard_state, self._membership[1]

    def first_index(self) -> int:
        """The first index that the log still has."""
        return self._first

    def last_index(self) -> int:
        """The last index of the log."""
        return self._last

    def term(self, index: int) -> int:
        """The term of the entry at `index`, which may be the snapshot's."""
        if index == self._snapshot.index:
            return self._snapshot.term
        if index < self._first:
            raise Compacted(index)
        if index > self._last:
            raise Unavailable(index)
        with self._env.begin() as txn:
            record = txn.get(_KEY.pack(index), db=self._entries)
        if record is None:
            raise CorruptData(f"the log lacks entry {index}, which lies between its first and its last")
        return _parse(index, record).term

    def entries(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries [low, high), cut after `max_bytes` of data, but at least one."""
        if low < self._first:
            raise Compacted(low)
        if high > self._last + 1:
            raise Unavailable(high - 1)
        found: list[Entry] = []
        total = 0
        with self._env.begin() as txn, txn.cursor(self._entries) as cursor:
            cursor.set_range(_KEY.pack(low))
            for index, (key, value) in zip(range(low, high), cursor.iternext(), strict=False):
                if key != _KEY.pack(index):
                    break
                entry = _parse(index, value)
                total += len(entry.data)
                if found and total > max_bytes:
                    return found
                found.append(entry)
        if len(found) != high - low:
            raise CorruptData(f"the log lacks entry {low + len(found)}, which lies between its first and its last")
        return found

    def snapshot(self) -> SnapshotMeta:
        """What the log starts after."""
        return self._snapshot

    # --- what the node writes --------------------------------------------------------------------

    @property
    def retained_entries(self) -> int:
        """How many entries the log has."""
        return self._last - self._first + 1

    @property
    def retained_bytes(self) -> int:
        """About how many bytes of entries the log has."""
        return self._bytes

    def append(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        """Keep a new term, vote or commit index and new entries, which replace what the log had from their first on."""
        if hard_state is not None:
            self._hard_state = hard_state
        stored = self._stored_hard_state
        is_worth_a_sync = (self._hard_state.term, self._hard_state.vote) != (stored.term, stored.vote)
        if not entries and not is_worth_a_sync:
            return
        with self._env.begin(write=True) as txn:
            if self._hard_state != stored:
                txn.put(b"hard_state", _encode(self._hard_state), db=self._meta)
            if entries:
                self._put(txn, entries)
        self._stored_hard_state = self._hard_state
        if entries:
            self._last = entries[-1].index

    def _put(self, txn: "lmdb.Transaction[bytes]", entries: Sequence[Entry]) -> None:
        first = entries[0].index
        if not self._first <= first <= self._last + 1:
            raise CorruptData(f"entry {first} does not join a log from {self._first} to {self._last}")
        for index in range(first, self._last + 1):
            txn.delete(_KEY.pack(index), db=self._entries)
        for entry in entries:
            txn.put(_KEY.pack(entry.index), _record(entry), db=self._entries, append=True)
            self._bytes += len(entry.data)

    def set_membership(self, index: int, membership: Membership) -> None:
        """The membership that holds from the applied entry `index` on."""
        self._membership = (index, membership)
        with self._env.begin(write=True) as txn:
            txn.put(b"membership", _encode([index, membership]), db=self._meta)

    def compact(self, index: int) -> None:
        """Forget entries up to `index`, which the synced state covers; at most a batch of them at once."""
        index = min(index, self._first + _COMPACTION_BATCH)
        if index < self._first:
            return
        snapshot = SnapshotMeta(index=index, term=self.term(index), membership=self._membership[1])
        freed = 0
        with self._env.begin(write=True) as txn:
            for old in range(self._first, index + 1):
                record = txn.pop(_KEY.pack(old), db=self._entries)
                freed += len(record) if record is not None else 0
            txn.put(b"snapshot", _encode(snapshot), db=self._meta)
        self._snapshot = snapshot
        self._first = index + 1
        self._bytes = max(0, self._bytes - freed)

    def reset(self, snapshot: SnapshotMeta, state_directory: str, hard_state: HardState | None) -> None:
        """Start again after `snapshot`, whose state is synced in `state_directory`: one transaction, all or nothing."""
        if hard_state is not None:
            self._hard_state = hard_state
        with self._env.begin(write=True) as txn:
            txn.drop(self._entries, delete=False)
            txn.put(b"hard_state", _encode(self._hard_state), db=self._meta)
            txn.put(b"snapshot", _encode(snapshot), db=self._meta)
            txn.put(b"membership", _encode([snapshot.index, snapshot.membership]), db=self._meta)
            txn.put(b"state_directory", state_directory.encode(), db=self._meta)
        self._stored_hard_state = self._hard_state
        self._snapshot = snapshot
        self._membership = (snapshot.index, snapshot.membership)
        self.state_directory = state_directory
        self._first = snapshot.index + 1
        self._last = snapshot.index
        self._bytes = 0


def _checksum(entry: Entry) -> int:
    return crc32c(entry.data, crc32c(_CHECKED.pack(entry.term, entry.kind, entry.index)))


def _record(entry: Entry) -> bytes:
    return _HEADER.pack(entry.term, entry.kind, _checksum(entry)) + entry.data


def _parse(index: int, record: bytes) -> Entry:
    term, kind, checksum = _HEADER.unpack_from(record)
    entry = Entry(term=term, index=index, kind=EntryKind(kind), data=record[_HEADER.size :])
    if _checksum(entry) != checksum:
        raise CorruptData(f"log entry {index} fails its checksum: restore this namenode from the others")
    return entry
