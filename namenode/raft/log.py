"""One node's log: what its storage holds, what is not yet synced, and a bounded cache of the newest entries.

                   first            cache_first      stable            last
    ───compacted───┤────── storage only ──┤──── cached ───┤── not synced ──┤
                        (and cached ones, up to `stable`, too)

Owns the invariant that nothing at or below `commit` ever changes. Knows nothing of terms beyond those in entries, and
nothing of other nodes. The owner of the `Storage` truncates its head as it likes, but never beyond what is applied.
"""

from __future__ import annotations

from typing import Protocol

from .errors import Compacted, CorruptLog, Unavailable
from .membership import Membership
from .messages import ENTRY_OVERHEAD_BYTES, Entry, HardState, SnapshotMeta


class Storage(Protocol):
    """What survives a crash, as the core reads it; written by whoever runs the core, as each `Ready` says."""

    def initial_state(self) -> tuple[HardState, Membership]:
        """The hard state, and the membership as of the applied index that the core is started with."""

    def first_index(self) -> int:
        """The oldest index held: one past the last snapshot's or compaction's."""

    def last_index(self) -> int:
        """The newest index held, or `first_index() - 1`."""

    def term(self, index: int) -> int:
        """The term of an entry from `first_index() - 1` on; raises Compacted or Unavailable."""

    def entries(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries of [low, high), at least one, then as many as fit; raises Compacted or Unavailable."""

    def snapshot(self) -> SnapshotMeta:
        """The newest snapshot that can be sent, at `first_index() - 1` or later; raises Unavailable for now."""


def entry_bytes(entry: Entry) -> int:
    """What one entry counts for in byte limits."""
    return len(entry.data) + ENTRY_OVERHEAD_BYTES


def fit(entries: list[Entry], max_bytes: int) -> list[Entry]:
    """The longest head of `entries` within `max_bytes`, at least one."""
    total = 0
    for count, entry in enumerate(entries):
        total += len(entry.data) + ENTRY_OVERHEAD_BYTES
        if total > max_bytes and count:
            return entries[:count]
    return entries


class RaftLog:
    """The log of one node. `last_index`, `last_term` and `commit` are plain attributes: they are read all the time."""

    __slots__ = (
        "_cache",
        "_cache_bytes",
        "_cache_first",
        "_cache_limit",
        "_storage",
        "commit",
        "last_index",
        "last_term",
        "pending_snapshot",
        "stable",
    )

    def __init__(self, storage: Storage, commit: int, cache_limit_bytes: int) -> None:
        self._storage = storage
        self.last_index = storage.last_index()
        self.last_term = storage.term(self.last_index)
        self.stable = self.last_index
        """The last index that is both in this log and synced."""
        self.pending_snapshot: SnapshotMeta | None = None
        """A snapshot that replaces the storage's whole content, but is not yet synced."""
        self._cache: list[Entry] = []
        self._cache_first = self.last_index + 1
        self._cache_bytes = 0
        self._cache_limit = cache_limit_bytes
        if commit > self.last_index:
            raise CorruptLog(f"entries up to {commit} were acknowledged, the log ends at {self.last_index}")
        self.commit = commit

    # -- reading ------------------------------------------------------------------------------------------------

    @property
    def first_index(self) -> int:
        """The oldest index that can still be read."""
        if self.pending_snapshot is not None:
            return self.pending_snapshot.index + 1
        return self._storage.first_index()

    def term(self, index: int) -> int:
        """The term of the entry at `index`; raises Compacted or Unavailable outside the log."""
        offset = index - self._cache_first
        if offset >= 0:
            if index > self.last_index:
                raise Unavailable(f"index {index}, the log ends at {self.last_index}")
            return self._cache[offset].term
        snapshot = self.pending_snapshot
        if snapshot is None:
            return self._storage.term(index)
        if index == snapshot.index:
            return snapshot.term
        raise Compacted(f"index {index}, the log starts behind {snapshot.index}")

    def matches(self, index: int, term: int) -> bool:
        """Whether the log holds an entry of this index and term, and so everything before it (Raft §5.3)."""
        if index == self.last_index:
            return term == self.last_term
        try:
            return self.term(index) == term
        except (Compacted, Unavailable):
            return False

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a log with this end is at least as new as this one (Raft §5.4.1)."""
        return last_term > self.last_term or (last_term == self.last_term and last_index >= self.last_index)

    def slice(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries of [low, high): at least one, then as many as fit; raises Compacted."""
        if low >= high:
            return []
        offset = low - self._cache_first
        if offset >= 0:
            return fit(self._cache[offset : high - self._cache_first], max_bytes)
        if self.pending_snapshot is not None:
            raise Compacted(f"index {low}, the log starts behind {self.pending_snapshot.index}")
        middle = min(high, self._cache_first)
        stored = self._storage.entries(low, middle, max_bytes)
        if low + len(stored) < middle or middle == high:
            return stored
        return fit(stored + self._cache[: high - middle], max_bytes)

    def unstable(self) -> list[Entry]:
        """The entries that are not synced yet."""
        return self._cache[self.stable + 1 - self._cache_first :] if self.stable < self.last_index else []

    def snapshot(self) -> SnapshotMeta:
        """The snapshot to send to a member that lags behind the log; raises Unavailable."""
        if self.pending_snapshot is not None:
            raise Unavailable("a snapshot is being installed")
        return self._storage.snapshot()

    def find_match(self, index: int, term: int, floor: int) -> tuple[int, int]:
        """The newest (index', term') at or before `index` with term' <= term: where two logs may still agree.

        Entries of one term form one run, so whole terms are skipped at each exchange (Raft §5.3). At `floor` the logs
        are known to agree.
        """
        index = min(index, self.last_index)
        while True:
            try:
                found = self.term(index)
            except Compacted:
                return index, 0
            if found <= term or index <= floor:
                return index, found
            index -= 1

    # -- writing ------------------------------------------------------------------------------------------------

    def append(self, entries: list[Entry] | tuple[Entry, ...]) -> None:
        """Add entries behind the last one."""
        assert entries[0].index == self.last_index + 1
        assert entries[-1].index == self.last_index + len(entries)
        self._cache.extend(entries)
        for entry in entries:
            self._cache_bytes += len(entry.data) + ENTRY_OVERHEAD_BYTES
        last = entries[-1]
        self.last_index = last.index
        self.last_term = last.term

    def try_append(self, prev_index: int, prev_term: int, entries: tuple[Entry, ...]) -> bool:
        """Make the log hold `entries` behind (prev_index, prev_term), or return False if it lacks that entry.

        Entries that are here already stay, and so does what follows them: an old append, arriving late, must not undo
        a newer one. Only from the first entry that conflicts is the log replaced (Raft §5.3).
        """
        if not self.matches(prev_index, prev_term):
            return False
        expected = prev_index
        for position, entry in enumerate(entries):
            expected += 1
            if entry.index != expected:
                raise CorruptLog(f"append holds entry {entry.index} where {expected} belongs")
            if not self.matches(expected, entry.term):
                self._truncate(expected)
                self.append(entries[position:] if position else entries)
                break
        return True

    def _truncate(self, index: int) -> None:
        """Forget the entries from `index` on."""
        if index > self.last_index:
            return
        if index <= self.commit:
            raise CorruptLog(f"entry {index} is committed (up to {self.commit}) and contradicted by a leader")
        keep = index - self._cache_first
        if keep > 0:
            dropped = self._cache[keep:]
            del self._cache[keep:]
            self._cache_bytes -= sum(map(entry_bytes, dropped))
        else:
            self._cache.clear()
            self._cache_bytes = 0
            self._cache_first = index
        self.last_index = index - 1
        self.last_term = self.term(index - 1)
        self.stable = min(self.stable, index - 1)

    def commit_to(self, index: int) -> None:
        """Raise the commit index; it never goes back."""
        if index > self.commit:
            if index > self.last_index:
                raise CorruptLog(f"entry {index} is committed, but the log ends at {self.last_index}")
            self.commit = index

    def restore(self, snapshot: SnapshotMeta) -> None:
        """Replace the whole log by a snapshot (Raft §7): what it held contradicts it or is older."""
        assert snapshot.index > self.commit
        self.pending_snapshot = snapshot
        self._cache.clear()
        self._cache_bytes = 0
        self._cache_first = snapshot.index + 1
        self.last_index = self.commit = self.stable = snapshot.index
        self.last_term = snapshot.term

    def synced(self, index: int, term: int) -> None:
        """The storage now holds everything up to (index, term), unless it was replaced here in the meantime."""
        if self.stable < index <= self.last_index and self.term(index) == term:
            self.stable = index
            if self._cache_bytes > self._cache_limit:
                self._evict()

    def snapshot_synced(self, snapshot: SnapshotMeta) -> None:
        """The storage now starts at this snapshot."""
        if self.pending_snapshot is snapshot:
            self.pending_snapshot = None

    def _evict(self) -> None:
        """Drop the oldest synced entries from the cache, down to half the limit: seldom, so cheap on average."""
        count, freed = 0, 0
        goal = self._cache_bytes - self._cache_limit // 2
        for entry in self._cache:
            if freed >= goal or entry.index > self.stable:
                break
            freed += len(entry.data) + ENTRY_OVERHEAD_BYTES
            count += 1
        del self._cache[:count]
        self._cache_bytes -= freed
        self._cache_first += count
