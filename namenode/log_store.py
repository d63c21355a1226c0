"""The Raft log, vote and term of one namenode: what the core reads of a disk, and what the node writes to it.

Entries are in an EntryLog; what changes seldom, and has to change together, is in LMDB beside it, synced:

    key                 value
    "format"            format version, ASCII
    "identity"          MessagePack [cluster id, node id]
    "hard_state"        MessagePack {term, vote, commit}: written when term or vote change
    "snapshot"          MessagePack {index, term, membership}: what the log starts after
    "membership"        MessagePack [index, membership]: as of the last membership entry applied
    "state_directory"   name of the state's folder
    "first_segment"     number of the oldest segment of entries that counts, ASCII

A commit index alone is never written: the log can be committed again. Why entries are not in LMDB: docs/adr.
"""

from collections.abc import Sequence
from pathlib import Path

import lmdb
import msgspec

from cairnfs.common.errors import BadConfig, CorruptData
from cairnfs.namenode.entry_log import EntryLog
from cairnfs.namenode.raft import Entry, HardState, Membership, SnapshotMeta

FORMAT = b"2"
FIRST_STATE_DIRECTORY = "state-0"
FIRST_SEGMENT = b"1"

_encode = msgspec.msgpack.Encoder().encode
_decode_hard_state = msgspec.msgpack.Decoder(HardState).decode
_decode_snapshot = msgspec.msgpack.Decoder(SnapshotMeta).decode
_decode_membership = msgspec.msgpack.Decoder(tuple[int, Membership]).decode
_decode_identity = msgspec.msgpack.Decoder(tuple[str, int]).decode


class LogStore:
    """The storage that the Raft core reads; whoever has the node's turn writes it."""

    def __init__(
        self, directory: Path, *, cluster_id: str, node_id: int, members: Sequence[int], map_size_bytes: int
    ) -> None:
        """Open the log in `directory`, or make one with `members` as its voters; BadConfig for another node's."""
        directory.mkdir(parents=True, exist_ok=True)
        self._env = lmdb.open(str(directory), map_size=map_size_bytes, max_readers=64, max_spare_txns=4)
        self._env.reader_check()
        with self._env.begin(write=True) as txn:
            if txn.get(b"format") is None:
                self._create(txn, cluster_id, node_id, members)
            self._load(txn, directory, cluster_id, node_id)
            first_segment = int(self._value(txn, b"first_segment"))
        self._entries = EntryLog(directory, base=self._snapshot.index, first_segment=first_segment)

    def _create(self, txn: "lmdb.Transaction[bytes]", cluster_id: str, node_id: int, members: Sequence[int]) -> None:
        membership = Membership.of(tuple(members))
        txn.put(b"format", FORMAT)
        txn.put(b"identity", _encode([cluster_id, node_id]))
        txn.put(b"hard_state", _encode(HardState()))
        txn.put(b"snapshot", _encode(SnapshotMeta(index=0, term=0, membership=membership)))
        txn.put(b"membership", _encode([0, membership]))
        txn.put(b"state_directory", FIRST_STATE_DIRECTORY.encode())
        txn.put(b"first_segment", FIRST_SEGMENT)

    def _load(self, txn: "lmdb.Transaction[bytes]", directory: Path, cluster_id: str, node_id: int) -> None:
        found = self._value(txn, b"format")
        if found != FORMAT:
            raise BadConfig(f"{directory}: log format {found!r} is not {FORMAT!r}: use the CairnFS that wrote it")
        identity = _decode_identity(self._value(txn, b"identity"))
        if identity != (cluster_id, node_id):
            raise BadConfig(
                f"{directory} belongs to namenode {identity[1]} of cluster {identity[0]},"
                f" not to namenode {node_id} of cluster {cluster_id}: correct cluster_id, node_id or directory"
            )
        self._hard_state = _decode_hard_state(self._value(txn, b"hard_state"))
        self._stored_hard_state = self._hard_state
        self._snapshot = _decode_snapshot(self._value(txn, b"snapshot"))
        self._membership = _decode_membership(self._value(txn, b"membership"))
        self.state_directory = self._value(txn, b"state_directory").decode()

    def _value(self, txn: "lmdb.Transaction[bytes]", name: bytes) -> bytes:
        value = txn.get(name)
        if value is None:
            raise CorruptData(f"{self._env.path()}: the log has no {name.decode()}")
        return bytes(value)

    def close(self) -> None:
        """Close the files; nothing is lost, for every write was synced."""
        self._entries.close()
        self._env.close()

    # --- what the core reads ---------------------------------------------------------------------

    def initial_state(self) -> tuple[HardState, Membership]:
        """The hard state and membership to start from."""
        return self._hard_state, self._membership[1]

    def first_index(self) -> int:
        """The first index that the log still has."""
        return self._entries.first_index

    def last_index(self) -> int:
        """The last index of the log."""
        return self._entries.last_index

    def term(self, index: int) -> int:
        """The term of the entry at `index`, which may be the snapshot's."""
        return self._snapshot.term if index == self._snapshot.index else self._entries.term(index)

    def entries(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries [low, high), cut after `max_bytes` of data, but at least one."""
        return self._entries.entries(low, high, max_bytes)

    def snapshot(self) -> SnapshotMeta:
        """What the log starts after."""
        return self._snapshot

    # --- what the node writes --------------------------------------------------------------------

    @property
    def retained_entries(self) -> int:
        """How many entries the log has."""
        return self._entries.last_index - self._entries.first_index + 1

    @property
    def retained_bytes(self) -> int:
        """How many bytes of entries the log has."""
        return self._entries.byte_count

    def append(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        """Keep a new term, vote or commit index and new entries, which replace what the log had from their first on."""
        if hard_state is not None:
            self._hard_state = hard_state
        stored = self._stored_hard_state
        if (self._hard_state.term, self._hard_state.vote) != (stored.term, stored.vote):
            # First, for no entry may be of a term that the node has not seen.
            with self._env.begin(write=True) as txn:
                txn.put(b"hard_state", _encode(self._hard_state))
            self._stored_hard_state = self._hard_state
        if entries:
            self._entries.append(entries)

    def set_membership(self, index: int, membership: Membership) -> None:
        """The membership that holds from the applied entry `index` on."""
        self._membership = (index, membership)
        with self._env.begin(write=True) as txn:
            txn.put(b"membership", _encode([index, membership]))

    def compact(self, index: int) -> None:
        """Forget entries up to `index`, which the synced state covers."""
        if index < self._entries.first_index:
            return
        snapshot = SnapshotMeta(index=index, term=self.term(index), membership=self._membership[1])
        with self._env.begin(write=True) as txn:
            txn.put(b"snapshot", _encode(snapshot))
        self._snapshot = snapshot
        self._entries.compact(index)

    def reset(self, snapshot: SnapshotMeta, state_directory: str, hard_state: HardState | None) -> None:
        """Start again after `snapshot`, whose state is synced in `state_directory`: one transaction, all or nothing."""
        if hard_state is not None:
            self._hard_state = hard_state
        with self._env.begin(write=True) as txn:
            txn.put(b"hard_state", _encode(self._hard_state))
            txn.put(b"snapshot", _encode(snapshot))
            txn.put(b"membership", _encode([snapshot.index, snapshot.membership]))
            txn.put(b"state_directory", state_directory.encode())
            txn.put(b"first_segment", str(self._entries.next_segment).encode())
        self._stored_hard_state = self._hard_state
        self._snapshot = snapshot
        self._membership = (snapshot.index, snapshot.membership)
        self.state_directory = state_directory
        self._entries.reset(snapshot.index)
