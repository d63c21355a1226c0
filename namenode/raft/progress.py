"""What a leader knows of one member's log, and how it sends to it (after etcd's `tracker.Progress`).

PROBE       `next` is a guess: one append at a time, paused until a reply or a heartbeat's reply
REPLICATE   `next` is known to fit: appends are pipelined, up to a window of unanswered ones
SNAPSHOT    the leader no longer holds what the member lacks: nothing is sent until the snapshot's fate is known

PROBE ──reply matches──► REPLICATE          PROBE, REPLICATE ──log compacted──► SNAPSHOT
REPLICATE ──rejected, unreachable──► PROBE  SNAPSHOT ──reported, or caught up──► PROBE
"""

from __future__ import annotations

from collections import deque
from enum import Enum


class ProgressState(Enum):
    """How a leader sends to one member."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress:
    """One member's replication state; `match` only ever grows within a term, and `match < next`."""

    __slots__ = (
        "inflight",
        "is_active",
        "is_paused",
        "is_poked",
        "match",
        "next",
        "node_id",
        "pending_snapshot",
        "read_round",
        "sent_commit",
        "state",
        "window",
    )

    def __init__(self, node_id: int, next_index: int, window: int, *, match: int = 0) -> None:
        self.node_id = node_id
        self.match = match
        self.next = next_index
        self.window = window
        self.state = ProgressState.PROBE
        self.pending_snapshot = 0
        self.is_paused = False
        self.is_poked = False
        """Send an append even if it would be empty: only its reply can tell what the member holds."""
        self.is_active = False
        """Heard from since the last quorum check."""
        self.inflight: deque[int] = deque()
        """The last index of each unanswered append, ascending."""
        self.sent_commit = 0
        self.read_round = 0

    @property
    def is_full(self) -> bool:
        """Whether the window of unanswered appends is used up."""
        return len(self.inflight) >= self.window

    def _enter(self, state: ProgressState, next_index: int) -> None:
        self.state = state
        self.next = next_index
        self.pending_snapshot = 0
        self.is_paused = False
        self.inflight.clear()

    def become_probe(self) -> None:
        """Guess again where the member's log ends; after a snapshot, right behind it."""
        next_index = max(self.match, self.pending_snapshot) + 1
        self._enter(ProgressState.PROBE, next_index)
        self.sent_commit = min(self.sent_commit, self.match)

    def become_replicate(self) -> None:
        """The member matches up to `match`: pipeline from there."""
        self._enter(ProgressState.REPLICATE, self.match + 1)

    def become_snapshot(self, index: int) -> None:
        """The member needs the snapshot at `index` before anything else."""
        self._enter(ProgressState.SNAPSHOT, index + 1)
        self.pending_snapshot = index

    def sent(self, last_index: int) -> None:
        """An append that ends at `last_index` (`next - 1` when empty) was handed out."""
        self.is_poked = False
        if self.state is ProgressState.REPLICATE:
            if last_index >= self.next:
                self.next = last_index + 1
                self.inflight.append(last_index)
        else:
            assert self.state is ProgressState.PROBE
            assert not self.is_paused
            self.is_paused = True

    def acknowledged(self, index: int) -> bool:
        """The member holds everything up to `index`; returns whether that is news."""
        inflight = self.inflight
        while inflight and inflight[0] <= index:
            inflight.popleft()
        if index <= self.match:
            return False
        self.match = index
        if self.next <= index:
            self.next = index + 1
        return True

    def rejected(self, index: int, candidate: int) -> bool:
        """The append after `index` did not fit, the one after `candidate` might; False if this is old news."""
        if self.state is ProgressState.REPLICATE:
            if index <= self.match:
                return False
            self.become_probe()
            return True
        if self.state is ProgressState.SNAPSHOT or index != self.next - 1:
            return False
        self.next = max(min(index, candidate + 1), self.match + 1)
        self.is_paused = False
        return True
