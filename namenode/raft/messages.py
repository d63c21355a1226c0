"""What Raft nodes keep and say: log entries, hard state, and the messages between nodes.

All are immutable. A message's `term` is its sender's term, except that a pre-vote and its granting reply carry the
term the sender would campaign in (Raft thesis §9.6).

    message          from       to         answered by
    Append           leader     member     AppendReply
    Heartbeat        leader     member     HeartbeatReply
    InstallSnapshot  leader     member     AppendReply
    Vote             candidate  voter      VoteReply
    TimeoutNow       leader     voter      (it campaigns)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from .membership import Membership

ENTRY_OVERHEAD_BYTES: Final = 24
"""What an entry is reckoned to cost beside its data, in every byte limit."""


class EntryKind(IntEnum):
    """What an entry's data is; the numbers are part of the storage and wire formats."""

    NORMAL = 0
    NOOP = 1
    MEMBERSHIP = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the log."""

    term: int
    index: int
    kind: EntryKind
    data: bytes


@dataclass(frozen=True, slots=True)
class HardState:
    """What must survive a crash beside the log (Raft §5.1, figure 2); `vote` is NOBODY when none was given."""

    term: int = 0
    vote: int = 0
    commit: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotMeta:
    """The position of a snapshot: the last entry it covers, and the membership as of that entry."""

    index: int
    term: int
    membership: Membership


@dataclass(frozen=True, slots=True)
class Append:
    """AppendEntries (Raft §5.3): `entries` follow the entry (prev_index, prev_term)."""

    from_: int
    to: int
    term: int
    prev_index: int
    prev_term: int
    commit: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class AppendReply:
    """Either `index` is the last entry known to match, synced; or the append after `index` was rejected.

    A rejection's hint is the last entry of the follower that could match (Raft §5.3, "the optimization").
    """

    from_: int
    to: int
    term: int
    index: int
    is_rejected: bool = False
    hint_index: int = 0
    hint_term: int = 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life, with a commit index the receiver surely holds and the leader's latest read round."""

    from_: int
    to: int
    term: int
    commit: int
    read_round: int


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """The sender took part in the receiver's term when it saw this read round (Raft thesis §6.4)."""

    from_: int
    to: int
    term: int
    read_round: int


@dataclass(frozen=True, slots=True)
class Vote:
    """RequestVote (Raft §5.2), or a pre-vote (thesis §9.6); forced after TimeoutNow (thesis §3.10, §4.2.3).

    Votes and their replies name the sender's newest committed entry. Without that, two voters could block each other
    for good: one has applied its own removal and may not campaign; the other holds the removal, does not know that it
    is committed, and needs the vote of the first, whose log is longer.
    """

    from_: int
    to: int
    term: int
    last_index: int
    last_term: int
    is_pre: bool
    is_forced: bool
    commit: int
    commit_term: int


@dataclass(frozen=True, slots=True)
class VoteReply:
    """The answer to a Vote of the same kind."""

    from_: int
    to: int
    term: int
    is_pre: bool
    is_granted: bool
    commit: int
    commit_term: int


@dataclass(frozen=True, slots=True)
class InstallSnapshot:
    """The receiver needs this snapshot (Raft §7).

    The core sends only its position. The transport streams the bytes and steps this message into the receiving core
    once they have all arrived.
    """

    from_: int
    to: int
    term: int
    snapshot: SnapshotMeta


@dataclass(frozen=True, slots=True)
class TimeoutNow:
    """Campaign at once: leadership is yours to take (Raft thesis §3.10)."""

    from_: int
    to: int
    term: int


Message = Append | AppendReply | Heartbeat | HeartbeatReply | Vote | VoteReply | InstallSnapshot | TimeoutNow
