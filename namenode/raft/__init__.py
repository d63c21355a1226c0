"""Raft as a pure core: no disk, socket, thread, clock or random source (Ongaro and Ousterhout 2014; Ongaro's thesis).

    core = Core(config, storage, applied_index, rng)

    in   tick()  step(message)  propose([data])  propose_membership(change)  read_index(context)
         transfer_leadership(to)  campaign()  report_unreachable(id)  report_snapshot(id, is_ok)
    out  has_ready()  ready()  persisted(ready)  applied(index)          and to look at: status(), role, term, …

The owner's loop:

    while core.has_ready():
        ready = core.ready()
        send(ready.messages)
        if ready.must_sync:
            storage.save(ready.hard_state, ready.snapshot, ready.entries)     # one synced transaction
        core.persisted(ready)
        send(ready.messages_after_persist)
        apply(ready.committed); core.applied(index)                           # now, or later, in order

What the owner must know:

- Inputs may come between `ready` and `persisted`; the next `ready` may not. `applied` may lag as far as it likes.
- A membership entry's data is the whole resulting `Membership` (`decode_membership`). The state machine keeps it with
  its applied index, and `Storage.initial_state` returns the one as of the applied index the core is started with.
- The first members start with the same `Membership` of voters; a node that joins later starts with an empty one.
- Followers learn the commit index with the next append or heartbeat, not by a message of its own.
- `InstallSnapshot` goes out with a position only. The transport streams the bytes, steps the message into the receiving
  core when they are all there, and in the end calls `report_snapshot` on the sender, whatever happened. If no
  `Ready.snapshot` follows on the receiver, the bytes were not needed. Keep them by position: an older snapshot may
  arrive while a newer one waits for its Ready.
- `Ready.snapshot` replaces log and state machine; committed entries that were handed out earlier and are not yet
  applied are void then. Storage and state must not be left between the two: finish it at the next start.
- The log's head may be truncated at any time up to the applied index; keep a snapshot at or behind the new start.
- After an exception other than `Refused` the node must stop: it was about to break a promise.
"""

from .core import Core
from .errors import (
    NOBODY,
    ChangeRefused,
    Compacted,
    CorruptLog,
    LogRangeError,
    NotLeader,
    Overloaded,
    RaftError,
    Refused,
    TransferInProgress,
    Unavailable,
)
from .log import Storage, entry_bytes, fit
from .membership import (
    ChangeKind,
    Membership,
    MembershipChange,
    decode_membership,
    encode_membership,
)
from .memory import MemoryStorage
from .messages import (
    Append,
    AppendReply,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    SnapshotMeta,
    TimeoutNow,
    Vote,
    VoteReply,
)
from .reads import ReadContext, ReadState
from .ready import PeerStatus, Ready, Role, SoftState, Status
from .state import Config

__all__ = [
    "NOBODY",
    "Append",
    "AppendReply",
    "ChangeKind",
    "ChangeRefused",
    "Compacted",
    "Config",
    "Core",
    "CorruptLog",
    "Entry",
    "EntryKind",
    "HardState",
    "Heartbeat",
    "HeartbeatReply",
    "InstallSnapshot",
    "LogRangeError",
    "Membership",
    "MembershipChange",
    "MemoryStorage",
    "Message",
    "NotLeader",
    "Overloaded",
    "PeerStatus",
    "RaftError",
    "ReadContext",
    "ReadState",
    "Ready",
    "Refused",
    "Role",
    "SnapshotMeta",
    "SoftState",
    "Status",
    "Storage",
    "TimeoutNow",
    "TransferInProgress",
    "Unavailable",
    "Vote",
    "VoteReply",
    "decode_membership",
    "encode_membership",
    "entry_bytes",
    "fit",
]
