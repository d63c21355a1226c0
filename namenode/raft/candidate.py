"""The candidate and the pre-candidate: gather votes (Raft §5.2; pre-vote: thesis §9.6).

A pre-candidate asks whether it could win and changes nothing: a node that comes back from a partition raises no terms.
A candidate has voted for itself in a new term; that vote counts, as any other, only once it is synced.
"""

from __future__ import annotations

from .messages import Message, Vote, VoteReply
from .quorum import VoteResult, tally
from .ready import Role
from .state import State


class Candidate:
    """Both kinds of candidate: `is_pre` tells them apart."""

    __slots__ = ("_state", "is_pre", "role", "votes")

    def __init__(self, state: State, *, is_pre: bool) -> None:
        self._state = state
        self.is_pre = is_pre
        self.role = Role.PRE_CANDIDATE if is_pre else Role.CANDIDATE
        self.votes: dict[int, bool] = {}

    def ask(self, *, is_forced: bool) -> None:
        """Ask all other voters.

        The requests wait for the disk like the vote itself: else a crash could forget both term and log tail, and a
        late grant from before it would elect the shorter log.
        """
        state, log = self._state, self._state.log
        term = state.term + 1 if self.is_pre else state.term
        commit_term = log.term(log.commit)
        for voter in sorted(state.membership.voters):
            if voter != state.node_id:
                state.after_persist.append(
                    Vote(
                        state.node_id,
                        voter,
                        term,
                        log.last_index,
                        log.last_term,
                        self.is_pre,
                        is_forced,
                        log.commit,
                        commit_term,
                    )
                )

    def tick(self) -> Role | None:
        """One tick without a decision."""
        state = self._state
        state.election_elapsed += 1
        if state.election_elapsed >= state.election_timeout:
            state.reset_election_timer()
            return Role.PRE_CANDIDATE if state.is_promotable else Role.FOLLOWER
        return None

    def step(self, message: Message) -> Role | None:
        """A message of the current term, or a granted pre-vote for the next one."""
        if not isinstance(message, VoteReply) or message.is_pre is not self.is_pre:
            return None
        if self.is_pre and message.is_granted and message.term != self._state.term + 1:
            return None
        return self.count(message.from_, message.is_granted)

    def count(self, node_id: int, is_granted: bool) -> Role | None:
        """Count one vote, a node's first one, and say what follows."""
        self.votes.setdefault(node_id, is_granted)
        result = tally(self._state.membership.voters, self.votes)
        if result is VoteResult.WON:
            return Role.CANDIDATE if self.is_pre else Role.LEADER
        if result is VoteResult.LOST:
            return Role.FOLLOWER
        return None
