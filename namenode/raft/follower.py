"""The follower: takes the leader's log, and campaigns when it hears nothing (Raft §5.2, §5.3, §7).

A learner is a follower that is no voter by its own membership.
"""

from __future__ import annotations

from .errors import NOBODY, CorruptLog
from .messages import (
    Append,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    TimeoutNow,
)
from .ready import Role
from .state import State


class Follower:
    """The role of whoever follows a leader, or waits for one."""

    role = Role.FOLLOWER

    __slots__ = ("_state",)

    def __init__(self, state: State) -> None:
        self._state = state

    def tick(self) -> Role | None:
        """One tick without a word from a leader."""
        state = self._state
        state.election_elapsed += 1
        if state.election_elapsed >= state.election_timeout and state.is_promotable:
            state.reset_election_timer()
            return Role.PRE_CANDIDATE
        return None

    def step(self, message: Message) -> Role | None:
        """A message of the current term."""
        if isinstance(message, Append):
            self._hear(message.from_)
            self._on_append(message)
        elif isinstance(message, Heartbeat):
            self._hear(message.from_)
            self._on_heartbeat(message)
        elif isinstance(message, InstallSnapshot):
            self._hear(message.from_)
            self._on_snapshot(message)
        elif isinstance(message, TimeoutNow) and self._state.is_promotable:
            return Role.CANDIDATE
        return None

    def _hear(self, leader_id: int) -> None:
        """The leader of this term is alive, and it is always the same one (Raft §5.2)."""
        state = self._state
        if state.leader_id not in (NOBODY, leader_id):
            raise CorruptLog(f"nodes {state.leader_id} and {leader_id} both lead term {state.term}")
        state.leader_id = leader_id
        state.election_elapsed = 0

    def _on_append(self, message: Append) -> None:
        """AppendEntries, receiver's part (Raft figure 2); the reply leaves once the entries are synced."""
        state, log = self._state, self._state.log
        if message.prev_index < log.commit:
            # What is committed matches the leader's log for sure; an old append must not be looked at any closer,
            # its beginning may be compacted here.
            self._acknowledge(message, log.commit)
        elif log.try_append(message.prev_index, message.prev_term, message.entries):
            # Only what this very append has matched may be committed: further entries here may be another leader's.
            last = message.prev_index + len(message.entries)
            log.commit_to(min(message.commit, last))
            self._acknowledge(message, last)
        else:
            hint, hint_term = log.find_match(message.prev_index, message.prev_term, log.commit)
            state.after_persist.append(
                AppendReply(
                    state.node_id,
                    message.from_,
                    state.term,
                    message.prev_index,
                    True,
                    hint,
                    hint_term,
                )
            )

    def _on_heartbeat(self, message: Heartbeat) -> None:
        """A sign of life; the leader names no commit index that this node has not acknowledged."""
        state = self._state
        state.log.commit_to(message.commit)
        reply = HeartbeatReply(state.node_id, message.from_, state.term, message.read_round)
        if state.synced_term == state.term:
            state.outbox.append(reply)
        else:
            state.after_persist.append(reply)

    def _on_snapshot(self, message: InstallSnapshot) -> None:
        """Start over from a snapshot, unless the log holds its last entry already (Raft §7)."""
        state, log, snapshot = self._state, self._state.log, message.snapshot
        if snapshot.index > log.commit:
            if log.matches(snapshot.index, snapshot.term):
                log.commit_to(snapshot.index)
            else:
                log.restore(snapshot)
                state.changes.clear()
                state.membership = snapshot.membership
        self._acknowledge(message, log.commit)

    def _acknowledge(self, message: Append | InstallSnapshot, index: int) -> None:
        state = self._state
        state.after_persist.append(AppendReply(state.node_id, message.from_, state.term, index))
