"""The core: one Raft node as a pure state machine; see the package docstring for how to run it.

Owns the rules on terms and votes, which are the same in every role, and the transitions between roles:

    FOLLOWER       ──timeout──────────────► PRE_CANDIDATE   (a voter that has applied every committed membership)
    FOLLOWER       ──TimeoutNow───────────► CANDIDATE       (forced: voters answer although they hear a leader)
    PRE_CANDIDATE  ──majority─────────────► CANDIDATE       ──timeout──► PRE_CANDIDATE
    CANDIDATE      ──majority, own synced─► LEADER          ──timeout──► PRE_CANDIDATE
    LEADER         ──no active majority, voter no more──► FOLLOWER
    any            ──a higher term, or a leader of this one, or a lost vote──► FOLLOWER
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .candidate import Candidate
from .errors import NOBODY, CorruptLog, NotLeader
from .follower import Follower
from .leader import Leader
from .log import RaftLog, Storage
from .membership import Membership, MembershipChange
from .messages import (
    Append,
    AppendReply,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    InstallSnapshot,
    Message,
    Vote,
    VoteReply,
)
from .reads import ReadContext
from .ready import PeerStatus, Ready, Role, SoftState, Status
from .state import Config, State

_FROM_LEADER = (Append, Heartbeat, InstallSnapshot)


class Core:
    """One node. Not thread-safe: one owner calls everything, in any order but for `persisted` after `ready`."""

    __slots__ = ("_in_flight", "_role", "_saved", "_soft", "_state")

    def __init__(self, config: Config, storage: Storage, applied_index: int, rng: Callable[[int], int]) -> None:
        """Start from what survived; `rng(n)` yields 0..n-1. Raises CorruptLog if that cannot be right."""
        hard_state, membership = storage.initial_state()
        # A commit index is not synced on its own, so what was applied may be ahead of it.
        log = RaftLog(storage, max(hard_state.commit, applied_index), config.log_cache_bytes)
        if log.last_term > hard_state.term:
            raise CorruptLog(f"an entry of term {log.last_term}, but only term {hard_state.term} was seen")
        if applied_index < storage.first_index() - 1:
            raise CorruptLog(f"the log starts at {storage.first_index()}, but only {applied_index} is applied")
        state = State(config, log, rng)
        state.term = state.synced_term = hard_state.term
        state.vote = hard_state.vote
        state.membership = membership
        state.applied = state.handed = applied_index
        state.reset_election_timer()
        self._state = state
        self._role: Follower | Candidate | Leader = Follower(state)
        self._saved = hard_state
        self._soft = SoftState(NOBODY, Role.FOLLOWER)
        self._in_flight: Ready | None = None

    # -- views --------------------------------------------------------------------------------------------------

    @property
    def role(self) -> Role:
        """What this node is."""
        return self._role.role

    @property
    def term(self) -> int:
        """The current term."""
        return self._state.term

    @property
    def leader_id(self) -> int:
        """The leader of this term as far as this node knows, or NOBODY."""
        return self._state.leader_id

    @property
    def commit_index(self) -> int:
        """The newest entry known to be committed."""
        return self._state.log.commit

    @property
    def applied_index(self) -> int:
        """The newest entry reported as applied."""
        return self._state.applied

    @property
    def last_index(self) -> int:
        """The newest entry of the log, synced or not."""
        return self._state.log.last_index

    @property
    def membership(self) -> Membership:
        """The membership as of the applied index."""
        return self._state.membership

    def status(self) -> Status:
        """Everything an operator may ask for."""
        state, role = self._state, self._role
        peers: dict[int, PeerStatus] = {}
        if isinstance(role, Leader):
            for peer in role.peers.values():
                peers[peer.node_id] = PeerStatus(
                    match=peer.match,
                    next=peer.next,
                    state=peer.state.value,
                    is_active=peer.is_active,
                    is_learner=peer.node_id in state.membership.learners,
                    inflight=len(peer.inflight),
                )
        return Status(
            node_id=state.node_id,
            role=role.role,
            term=state.term,
            leader_id=state.leader_id,
            commit=state.log.commit,
            applied=state.applied,
            last_index=state.log.last_index,
            membership=state.membership,
            transfer_to=role.transfer_to if isinstance(role, Leader) else NOBODY,
            peers=peers,
        )

    # -- inputs -------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let one tick of time pass."""
        self._enter(self._role.tick())

    def step(self, message: Message) -> None:
        """Take in a message from another node; duplicates, losses and any order are fine."""
        state = self._state
        assert message.to == state.node_id
        if isinstance(message, (Vote, VoteReply)):
            self._learn_commit(message)
        if message.term != state.term:
            if message.term < state.term:
                self._on_old_term(message)
                return
            if not self._accept_new_term(message):
                return
        if isinstance(message, Vote):
            self._on_vote(message)
            return
        if isinstance(message, _FROM_LEADER) and isinstance(self._role, Candidate):
            self._become_follower(state.term, message.from_)
        self._enter(self._role.step(message))

    def propose(self, data_list: Sequence[bytes]) -> list[tuple[int, int]]:
        """Append one entry for each datum and return their (term, index).

        An entry is committed when exactly this (term, index) comes out of `Ready.committed`; another term at this index
        means it is lost. Raises NotLeader, Overloaded, or TransferInProgress, which is an Overloaded.
        """
        return self._leader().propose(data_list)

    def propose_membership(self, change: MembershipChange) -> tuple[int, int]:
        """Append one membership change and return its (term, index); it takes effect when applied.

        One at a time, and only after this term's first commit (Raft thesis §4.1). Raises NotLeader, TransferInProgress
        or ChangeRefused.
        """
        return self._leader().propose_change(change)

    def read_index(self, context: ReadContext) -> None:
        """Ask for a linearizable read (Raft thesis §6.4); its context comes back in `read_states` or `dropped_reads`.

        Raises NotLeader.
        """
        self._leader().read_index(context)

    def transfer_leadership(self, to: int) -> None:
        """Hand over to a voter (Raft thesis §3.10); given up after an election timeout.

        Raises NotLeader or ChangeRefused.
        """
        self._leader().transfer(to)

    def report_unreachable(self, node_id: int) -> None:
        """Messages to this node were lost: probe it anew."""
        if isinstance(self._role, Leader):
            self._role.unreachable(node_id)

    def report_snapshot(self, node_id: int, is_ok: bool) -> None:
        """The snapshot sent to this node has arrived, or will not. Owed once for every InstallSnapshot handed out."""
        if isinstance(self._role, Leader):
            self._role.snapshot_done(node_id, is_ok)

    def campaign(self) -> None:
        """Start an election now, if this node may; it still takes a pre-vote."""
        if not isinstance(self._role, Leader) and self._state.is_promotable:
            self._state.reset_election_timer()
            self._enter(Role.PRE_CANDIDATE)

    # -- output -------------------------------------------------------------------------------------------------

    def has_ready(self) -> bool:
        """Whether `ready` would hold anything; never while the last one is not persisted."""
        if self._in_flight is not None:
            return False
        self._flush()
        state, log = self._state, self._state.log
        return bool(
            state.outbox
            or state.after_persist
            or log.stable < log.last_index
            or log.commit > state.handed
            or state.read_states
            or log.pending_snapshot is not None
            or state.term != self._saved.term
            or state.vote != self._saved.vote
            or state.dropped_reads
            or state.leader_id != self._soft.leader_id
            or self._role.role is not self._soft.role
        )

    def ready(self) -> Ready:
        """Take everything there is to do; the next one may be taken after `persisted`."""
        assert self._in_flight is None, "the last Ready is not persisted"
        self._flush()
        state, log = self._state, self._state.log
        ready = Ready(snapshot=log.pending_snapshot, entries=log.unstable())
        ready.messages, state.outbox = state.outbox, []
        ready.messages_after_persist, state.after_persist = state.after_persist, []
        ready.read_states, state.read_states = state.read_states, []
        ready.dropped_reads, state.dropped_reads = state.dropped_reads, []
        saved, soft = self._saved, self._soft
        is_written = bool(ready.entries) or ready.snapshot is not None
        if state.term != saved.term or state.vote != saved.vote or (is_written and log.commit != saved.commit):
            ready.hard_state = HardState(state.term, state.vote, log.commit)
        if state.leader_id != soft.leader_id or self._role.role is not soft.role:
            ready.soft_state = self._soft = SoftState(state.leader_id, self._role.role)
        if ready.snapshot is not None:
            state.handed = max(state.handed, ready.snapshot.index)
        if log.commit > state.handed:
            ready.committed = self._hand_out()
        self._in_flight = ready
        return ready

    def persisted(self, ready: Ready) -> None:
        """Everything that `ready` had to persist is on stable storage: from now on it counts."""
        assert ready is self._in_flight
        self._in_flight = None
        state, log = self._state, self._state.log
        if ready.snapshot is not None:
            log.snapshot_synced(ready.snapshot)
            state.applied = max(state.applied, ready.snapshot.index)
        if ready.entries:
            last = ready.entries[-1]
            log.synced(last.index, last.term)
        role = self._role
        if ready.hard_state is not None:
            self._saved = ready.hard_state
            state.synced_term = ready.hard_state.term
            if isinstance(role, Candidate) and not role.is_pre and state.synced_term == state.term:
                self._enter(role.count(state.node_id, True))
        if ready.entries and isinstance(role, Leader):
            role.entries_synced()

    def applied(self, index: int) -> None:
        """The state machine has applied everything up to `index`; memberships up to there hold now."""
        state = self._state
        if index <= state.applied:
            return
        assert index <= state.handed
        state.applied = index
        if state.pop_change(index):
            if isinstance(self._role, Leader):
                self._enter(self._role.membership_applied())
            else:
                # A candidate had nothing unapplied when it started, and learns of no change without stepping down.
                assert isinstance(self._role, Follower)

    def _flush(self) -> None:
        if isinstance(self._role, Leader) and self._role.is_dirty:
            self._role.flush()

    def _hand_out(self) -> list[Entry]:
        state, log = self._state, self._state.log
        entries = log.slice(state.handed + 1, log.commit + 1, state.config.max_apply_bytes)
        state.handed = entries[-1].index
        for entry in entries:
            if entry.kind is EntryKind.MEMBERSHIP:
                state.push_change(entry.index, entry.data)
        return entries

    # -- terms and votes ----------------------------------------------------------------------------------------

    def _leader(self) -> Leader:
        if not isinstance(self._role, Leader):
            raise NotLeader(self._state.leader_id)
        return self._role

    def _accept_new_term(self, message: Message) -> bool:
        """Handle the term of a message from the future; returns whether to go on with the message itself."""
        state = self._state
        if isinstance(message, Vote):
            if state.hears_leader and not message.is_forced:
                # A removed or cut-off member must not depose a leader that works (Raft thesis §4.2.3).
                return False
            if not message.is_pre:
                self._become_follower(message.term, NOBODY)
        elif not (isinstance(message, VoteReply) and message.is_pre and message.is_granted):
            # A granted pre-vote only carries the term that its receiver asked about.
            leader_id = message.from_ if isinstance(message, _FROM_LEADER) else NOBODY
            self._become_follower(message.term, leader_id)
        return True

    def _on_old_term(self, message: Message) -> None:
        """Tell a sender who lags behind, where silence would leave it stuck.

        1. This node's term grew while it was cut off, or it crashed as a candidate.
        2. Its pre-votes are ignored by members that hear the leader of a lower term.
        3. That leader's messages are too old for this node, so it would never rejoin.
        Answering with the higher term makes that leader step down, once. And a pre-candidate of a lower term learns
        the term it must outbid.
        """
        state = self._state
        if isinstance(message, _FROM_LEADER):
            state.after_persist.append(AppendReply(state.node_id, message.from_, state.term, 0, is_rejected=True))
        elif isinstance(message, Vote) and message.is_pre:
            self._reply_to_vote(message, state.term, is_granted=False)

    def _on_vote(self, message: Vote) -> None:
        """Grant or refuse a vote of this term, or a pre-vote of this or a later one (Raft §5.2, §5.4.1)."""
        state = self._state
        is_granted = self._may_vote(message) and state.log.is_up_to_date(message.last_index, message.last_term)
        term = message.term if is_granted else state.term
        if is_granted and not message.is_pre:
            state.vote = message.from_
            state.election_elapsed = 0
        self._reply_to_vote(message, term, is_granted=is_granted)

    def _reply_to_vote(self, message: Vote, term: int, *, is_granted: bool) -> None:
        state, log = self._state, self._state.log
        state.after_persist.append(
            VoteReply(state.node_id, message.from_, term, message.is_pre, is_granted, log.commit, log.term(log.commit))
        )

    def _learn_commit(self, message: Vote | VoteReply) -> None:
        """Commit what another node knows to be committed, if it is here: true in every term (see `Vote`)."""
        log = self._state.log
        if message.commit <= log.commit or isinstance(self._role, Leader):
            return
        if log.matches(message.commit, message.commit_term):
            log.commit_to(message.commit)
            if isinstance(self._role, Candidate) and self._state.has_unapplied_change():
                # The majority it asks for is no longer the right one.
                self._become_follower(self._state.term, NOBODY)

    def _may_vote(self, message: Vote) -> bool:
        """One vote a term, and none for a rival of a leader that is known."""
        state = self._state
        if message.is_pre and message.term > state.term:
            return True
        return state.vote == message.from_ or (state.vote == NOBODY and state.leader_id == NOBODY)

    # -- transitions --------------------------------------------------------------------------------------------

    def _enter(self, role: Role | None) -> None:
        """Make the transition that a role asked for; None is none."""
        if role is None:
            return
        if role is Role.FOLLOWER:
            self._become_follower(self._state.term, NOBODY)
        elif role is Role.LEADER:
            self._become_leader()
        elif self._state.has_unapplied_change():
            # Its majority may be another one already: apply first, campaign later.
            self._become_follower(self._state.term, NOBODY)
        else:
            self._campaign(role)

    def _become_follower(self, term: int, leader_id: int) -> None:
        state = self._state
        if isinstance(self._role, Leader):
            state.dropped_reads.extend(self._role.reads.drop())
        if term != state.term:
            state.term = term
            state.vote = NOBODY
        state.leader_id = leader_id
        state.reset_election_timer()
        self._role = Follower(state)

    def _campaign(self, role: Role) -> None:
        """Become a candidate of either kind; a follower that skips the pre-vote was told to by its leader."""
        state = self._state
        is_pre = role is Role.PRE_CANDIDATE
        is_forced = not is_pre and isinstance(self._role, Follower)
        candidate = Candidate(state, is_pre=is_pre)
        self._role = candidate
        state.leader_id = NOBODY
        if not is_pre:
            state.term += 1
            state.vote = state.node_id
            state.reset_election_timer()
        candidate.ask(is_forced=is_forced)
        if is_pre:
            self._enter(candidate.count(state.node_id, True))

    def _become_leader(self) -> None:
        state = self._state
        state.leader_id = state.node_id
        state.election_elapsed = 0
        self._role = Leader(state)
