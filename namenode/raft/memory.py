"""A `Storage` in memory, for tests and simulators; also the plainest statement of what a storage must do."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import Compacted, Unavailable
from .log import fit
from .membership import Membership
from .messages import Entry, HardState, SnapshotMeta


class MemoryStorage:
    """Everything a node keeps. `entries_held[0]` has index `start + 1`; the term at `start` is kept too."""

    def __init__(self, membership: Membership, hard_state: HardState | None = None) -> None:
        self.hard_state = hard_state or HardState()
        self.membership = membership
        self.start = 0
        self.start_term = 0
        self.entries_held: list[Entry] = []
        self.newest_snapshot: SnapshotMeta | None = None

    # -- what the core reads

    def initial_state(self) -> tuple[HardState, Membership]:
        """See `Storage`."""
        return self.hard_state, self.membership

    def first_index(self) -> int:
        """See `Storage`."""
        return self.start + 1

    def last_index(self) -> int:
        """See `Storage`."""
        return self.start + len(self.entries_held)

    def term(self, index: int) -> int:
        """See `Storage`."""
        if index == self.start:
            return self.start_term
        if index < self.start:
            raise Compacted(f"index {index}, the log starts at {self.start + 1}")
        if index > self.last_index():
            raise Unavailable(f"index {index}, the log ends at {self.last_index()}")
        return self.entries_held[index - self.start - 1].term

    def entries(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """See `Storage`."""
        if low <= self.start:
            raise Compacted(f"index {low}, the log starts at {self.start + 1}")
        if high > self.last_index() + 1:
            raise Unavailable(f"index {high - 1}, the log ends at {self.last_index()}")
        return fit(self.entries_held[low - self.start - 1 : high - self.start - 1], max_bytes)

    def snapshot(self) -> SnapshotMeta:
        """See `Storage`."""
        if self.newest_snapshot is None:
            raise Unavailable("no snapshot was taken")
        return self.newest_snapshot

    # -- what its owner writes

    def save(self, hard_state: HardState | None, snapshot: SnapshotMeta | None, entries: Sequence[Entry]) -> None:
        """Write one Ready: the snapshot replaces the log, then the entries replace whatever is at or after them."""
        if snapshot is not None:
            self.start, self.start_term = snapshot.index, snapshot.term
            self.entries_held = []
            self.membership = snapshot.membership
            self.newest_snapshot = snapshot
        if entries:
            keep = entries[0].index - self.start - 1
            assert 0 <= keep <= len(self.entries_held), "a hole in the log"
            del self.entries_held[keep:]
            self.entries_held.extend(entries)
        if hard_state is not None:
            self.hard_state = hard_state

    def took_snapshot(self, snapshot: SnapshotMeta) -> None:
        """Remember that the state as of an applied index can be sent."""
        self.newest_snapshot = snapshot

    def compact(self, index: int) -> None:
        """Forget the entries up to `index`, which a snapshot covers."""
        assert self.newest_snapshot is not None
        assert index <= self.newest_snapshot.index
        if index > self.start:
            term = self.term(index)
            del self.entries_held[: index - self.start]
            self.start, self.start_term = index, term
