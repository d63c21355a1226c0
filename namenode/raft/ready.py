"""What comes out of the core: orders for its owner (`Ready`), and views for operators (`Status`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .membership import Membership
from .messages import Entry, HardState, Message, SnapshotMeta
from .reads import ReadContext, ReadState


class Role(Enum):
    """What a node is at the moment; a learner is a follower that never campaigns."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class SoftState:
    """What changes with roles and needs no persistence; `leader_id` is NOBODY while none is known."""

    leader_id: int
    role: Role


@dataclass(slots=True)
class Ready:
    """One batch of orders, to be carried out in this order.

    1. send `messages`: they depend on nothing that is not synced (a leader's appends travel while its own disk works,
       Raft thesis §10.2.1);
    2. persist, in one synced transaction: `snapshot` replaces the whole log and state; then `entries` replace
       everything from `entries[0].index` on; then `hard_state`. Skip this when `must_sync` is False;
    3. call `Core.persisted(ready)`;
    4. send `messages_after_persist`;
    5. apply `committed` in order, then call `Core.applied(index)`; this may lag behind any number of later readys;
    6. answer each of `read_states` once its index is applied; fail `dropped_reads`.
    """

    hard_state: HardState | None = None
    snapshot: SnapshotMeta | None = None
    entries: list[Entry] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    messages_after_persist: list[Message] = field(default_factory=list)
    committed: list[Entry] = field(default_factory=list)
    read_states: list[ReadState] = field(default_factory=list)
    dropped_reads: list[ReadContext] = field(default_factory=list)
    soft_state: SoftState | None = None

    @property
    def must_sync(self) -> bool:
        """Whether there is anything to persist. A new commit index alone is not: a restart finds it out again."""
        return self.hard_state is not None or bool(self.entries) or self.snapshot is not None


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A leader's view of one member."""

    match: int
    next: int
    state: str
    is_active: bool
    is_learner: bool
    inflight: int


@dataclass(frozen=True, slots=True)
class Status:
    """A node's view of itself; `peers` is empty unless it leads."""

    node_id: int
    role: Role
    term: int
    leader_id: int
    commit: int
    applied: int
    last_index: int
    membership: Membership
    transfer_to: int
    peers: dict[int, PeerStatus]
