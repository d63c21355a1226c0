"""The exceptions of the Raft core.

RaftError
├── Refused                the input was not taken, nothing changed; ask again, here or elsewhere
│   ├── NotLeader          carries who leads, as far as this node knows
│   ├── Overloaded         too much is proposed and not yet committed: wait and retry here
│   │   └── TransferInProgress   leadership is being handed over: wait and retry
│   └── ChangeRefused      this membership change is not legal now; the text says why
├── LogRangeError          raised by a `Storage`
│   ├── Compacted          the asked index is older than the log's start
│   └── Unavailable        the asked index is newer than the log's end, or no snapshot is at hand
└── CorruptLog             an invariant of Raft does not hold: stop this node, never repair by truncating
"""

from __future__ import annotations

from typing import Final

NOBODY: Final = 0
"""The node id that means no node: no vote given, no leader known."""


class RaftError(Exception):
    """Whatever the Raft core raises."""


class Refused(RaftError):
    """An input was not taken, and nothing changed."""


class NotLeader(Refused):
    """Only a leader can do this; `leader_id` is the known leader, or NOBODY."""

    def __init__(self, leader_id: int = NOBODY) -> None:
        super().__init__(f"not the leader (leader: {leader_id or 'unknown'})")
        self.leader_id = leader_id


class Overloaded(Refused):
    """More bytes wait for commit than `max_uncommitted_bytes` allows."""


class TransferInProgress(Overloaded):
    """The leader is handing over: proposals would only delay it (Raft thesis §3.10)."""


class ChangeRefused(Refused):
    """A membership change that is not legal now."""


class LogRangeError(RaftError):
    """The storage does not hold what was asked for."""


class Compacted(LogRangeError):
    """The index lies before the first one the log still holds."""


class Unavailable(LogRangeError):
    """The index lies after the last one, or there is no snapshot yet."""


class CorruptLog(RaftError):
    """What was acknowledged contradicts what is seen now: the node must stop."""
