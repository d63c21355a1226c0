"""What a node has in every role: its term, vote, log and membership, its clock in ticks, and what it is about to send.

The roles (`follower.py`, `candidate.py`, `leader.py`) share one `State` and hold only what is their own. A role never
changes itself into another: it names the role to enter, and `core.py` makes the transition.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .errors import NOBODY
from .log import RaftLog
from .membership import Membership, decode_membership
from .messages import EntryKind, Message
from .reads import ReadContext, ReadState


@dataclass(frozen=True, slots=True)
class Config:
    """A node's parameters. A tick is whatever the owner makes it; election timeouts lie in [n, 2n) ticks."""

    node_id: int
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    max_append_bytes: int = 1 << 20
    """Entries in one Append; one larger entry travels alone."""
    max_inflight_appends: int = 64
    """Unanswered appends per member."""
    max_uncommitted_bytes: int = 64 << 20
    """Proposed data that waits for commit; a single larger proposal is taken when nothing waits."""
    max_apply_bytes: int = 4 << 20
    """Entries in one Ready's `committed`."""
    log_cache_bytes: int = 16 << 20
    """Newest entries kept in memory though they are synced."""

    def __post_init__(self) -> None:
        if self.node_id <= NOBODY:
            raise ValueError(f"node_id is {self.node_id}, it must be positive")
        if not 0 < self.heartbeat_ticks < self.election_ticks:
            raise ValueError("0 < heartbeat_ticks < election_ticks must hold")
        for name in (
            "max_append_bytes",
            "max_inflight_appends",
            "max_uncommitted_bytes",
            "max_apply_bytes",
            "log_cache_bytes",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be positive")


class State:
    """The part of a node that outlives its roles."""

    __slots__ = (
        "after_persist",
        "applied",
        "changes",
        "config",
        "dropped_reads",
        "election_elapsed",
        "election_timeout",
        "handed",
        "leader_id",
        "log",
        "membership",
        "node_id",
        "outbox",
        "read_states",
        "rng",
        "synced_term",
        "term",
        "vote",
    )

    def __init__(self, config: Config, log: RaftLog, rng: Callable[[int], int]) -> None:
        self.config = config
        self.node_id = config.node_id
        self.log = log
        self.rng = rng
        self.term = 0
        self.vote = NOBODY
        self.synced_term = 0
        """The newest term that is known to survive a crash."""
        self.leader_id = NOBODY
        self.membership = Membership()
        self.applied = 0
        self.handed = 0
        """The newest entry that a Ready handed out to be applied."""
        self.changes: deque[tuple[int, Membership]] = deque()
        """Memberships that are committed and handed out, by index, but not yet applied."""
        self.election_elapsed = 0
        self.election_timeout = 0
        self.outbox: list[Message] = []
        self.after_persist: list[Message] = []
        self.read_states: list[ReadState] = []
        self.dropped_reads: list[ReadContext] = []

    def reset_election_timer(self) -> None:
        """Start a new, randomised election timeout (Raft §5.2)."""
        self.election_elapsed = 0
        self.election_timeout = self.config.election_ticks + self.rng(self.config.election_ticks)

    @property
    def is_promotable(self) -> bool:
        """Whether this node may campaign: a voter by its own applied membership, with its log at hand."""
        return self.node_id in self.membership.voters and self.log.pending_snapshot is None

    @property
    def hears_leader(self) -> bool:
        """Whether a leader was heard from within the shortest election timeout (Raft thesis §4.2.3, §6)."""
        return self.leader_id != NOBODY and self.election_elapsed < self.config.election_ticks

    def has_unapplied_change(self) -> bool:
        """Whether a committed membership is not applied yet: until then this node cannot know its majority."""
        if self.changes:
            return True
        log = self.log
        index = self.handed + 1
        while index <= log.commit:
            page = log.slice(index, log.commit + 1, self.config.max_apply_bytes)
            if any(entry.kind is EntryKind.MEMBERSHIP for entry in page):
                return True
            index += len(page)
        return False

    def pop_change(self, index: int) -> bool:
        """Take over the memberships that are applied by `index`; returns whether there was one."""
        changes = self.changes
        has_changed = False
        while changes and changes[0][0] <= index:
            self.membership = changes.popleft()[1]
            has_changed = True
        return has_changed

    def push_change(self, index: int, data: bytes) -> None:
        """Remember a committed membership that was handed out to be applied."""
        self.changes.append((index, decode_membership(data)))
