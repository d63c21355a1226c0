"""The leader: takes proposals, replicates its log, commits, confirms reads, hands over (Raft §5.3, §5.4).

Owns all that lives for one term of leadership only, so losing it is dropping this object. Nothing is sent from `step`
or `propose`: they note what changed, and `flush` then sends each member one append for all of it. Proposals, new commit
indexes and acknowledgements that came in one turn so share one message per member.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final

from .errors import (
    NOBODY,
    ChangeRefused,
    Compacted,
    CorruptLog,
    Overloaded,
    TransferInProgress,
    Unavailable,
)
from .membership import ChangeKind, MembershipChange, encode_membership
from .messages import (
    ENTRY_OVERHEAD_BYTES,
    Append,
    AppendReply,
    Entry,
    EntryKind,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    TimeoutNow,
)
from .progress import Progress, ProgressState
from .quorum import majority, quorum_value
from .reads import ReadContext, ReadQueue
from .ready import Role
from .state import State

_PROBE: Final = ProgressState.PROBE
_REPLICATE: Final = ProgressState.REPLICATE
_SNAPSHOT: Final = ProgressState.SNAPSHOT


class Leader:
    """The role of the one node that may append in this term."""

    role = Role.LEADER

    __slots__ = (
        "_heartbeat_elapsed",
        "_is_commit_urgent",
        "_pending_change",
        "_state",
        "_uncommitted",
        "is_dirty",
        "peers",
        "reads",
        "term_start",
        "transfer_to",
        "uncommitted_bytes",
    )

    def __init__(self, state: State) -> None:
        self._state = state
        self._heartbeat_elapsed = 0
        self.peers: dict[int, Progress] = {}
        """Every other member. What this node itself holds is `log.stable`."""
        self.reads = ReadQueue()
        self.transfer_to = NOBODY
        self.uncommitted_bytes = 0
        self._uncommitted: deque[tuple[int, int]] = deque()
        """(last index, bytes) of each proposal that is not committed."""
        self.is_dirty = True
        """Something happened that `flush` may have to tell."""
        self.follow_membership()
        # A no-op commits what earlier terms left (Raft §5.4.2, §8), and it opens the term for reads and membership
        # changes: an unapplied change of an earlier term lies before it (thesis §4.1).
        self.term_start = state.log.last_index + 1
        self._pending_change = self.term_start
        self._is_commit_urgent = False
        self._append([(EntryKind.NOOP, b"")])

    # -- proposals ----------------------------------------------------------------------------------------------

    def propose(self, data_list: Sequence[bytes]) -> list[tuple[int, int]]:
        """Append these as entries; see `Core.propose`."""
        if self.transfer_to != NOBODY:
            raise TransferInProgress(f"leadership is going to node {self.transfer_to}")
        size = sum(map(len, data_list)) + ENTRY_OVERHEAD_BYTES * len(data_list)
        if self.uncommitted_bytes and self.uncommitted_bytes + size > self._state.config.max_uncommitted_bytes:
            raise Overloaded(f"{self.uncommitted_bytes} bytes wait for commit")
        return self._append([(EntryKind.NORMAL, data) for data in data_list])

    def propose_change(self, change: MembershipChange) -> tuple[int, int]:
        """Append one membership change; see `Core.propose_membership`."""
        state = self._state
        if self.transfer_to != NOBODY:
            raise TransferInProgress(f"leadership is going to node {self.transfer_to}")
        if self._pending_change > state.applied:
            raise ChangeRefused(f"entry {self._pending_change} must be applied first")
        membership = state.membership.changed(change)
        if change.kind is ChangeKind.PROMOTE:
            learner = self.peers[change.node_id]
            if learner.state is not _REPLICATE or not learner.is_active:
                raise ChangeRefused(f"learner {change.node_id} has not caught up")
        position = self._append([(EntryKind.MEMBERSHIP, encode_membership(membership))])[0]
        self._pending_change = position[1]
        return position

    def _append(self, contents: list[tuple[EntryKind, bytes]]) -> list[tuple[int, int]]:
        state = self._state
        term, index = state.term, state.log.last_index
        if not contents:
            return []
        entries, positions, size = [], [], 0
        for kind, data in contents:
            index += 1
            entries.append(Entry(term, index, kind, data))
            positions.append((term, index))
            size += len(data) + ENTRY_OVERHEAD_BYTES
        state.log.append(entries)
        self.uncommitted_bytes += size
        self._uncommitted.append((index, size))
        self.is_dirty = True
        return positions

    def entries_synced(self) -> None:
        """This node's own disk has caught up: it counts itself now, not earlier."""
        self._try_commit()

    def _try_commit(self) -> None:
        """Commit what a majority of voters holds, if it reaches into this term (Raft §5.4.2)."""
        state, log = self._state, self._state.log
        peers, own = self.peers, state.node_id
        index = quorum_value(log.stable if voter == own else peers[voter].match for voter in state.membership.voters)
        if index <= log.commit or index < self.term_start:
            return
        if log.commit < self._pending_change <= index:
            self._is_commit_urgent = True
        log.commit_to(index)
        uncommitted = self._uncommitted
        while uncommitted and uncommitted[0][0] <= index:
            self.uncommitted_bytes -= uncommitted.popleft()[1]
        self.is_dirty = True

    # -- time ---------------------------------------------------------------------------------------------------

    def tick(self) -> Role | None:
        """Heartbeats, and the quorum check that makes a leader without followers step down (Raft thesis §6.2)."""
        state, config = self._state, self._state.config
        state.election_elapsed += 1
        self._heartbeat_elapsed += 1
        if state.election_elapsed >= config.election_ticks:
            state.election_elapsed = 0
            self.transfer_to = NOBODY
            if not self._has_active_quorum():
                return Role.FOLLOWER
        if self._heartbeat_elapsed >= config.heartbeat_ticks:
            self._heartbeat_elapsed = 0
            if self.reads.waiting and self._may_read():
                self.reads.start_round(state.log.commit)
            self._send_heartbeats(self.peers)
            self._confirm_reads()
        return None

    def _has_active_quorum(self) -> bool:
        """Whether a majority was heard from since the last call."""
        state = self._state
        active = 0
        for voter in state.membership.voters:
            if voter == state.node_id or self.peers[voter].is_active:
                active += 1
        for peer in self.peers.values():
            peer.is_active = False
        return active >= majority(len(state.membership.voters))

    def _send_heartbeats(self, members: Collection[int]) -> None:
        state = self._state
        term, commit, read_round = state.term, state.log.commit, self.reads.last_round
        for peer in self.peers.values():
            if peer.node_id in members:
                state.outbox.append(Heartbeat(state.node_id, peer.node_id, term, min(commit, peer.match), read_round))

    # -- replies ------------------------------------------------------------------------------------------------

    def step(self, message: Message) -> Role | None:
        """A message of the current term."""
        peer = self.peers.get(message.from_)
        if peer is None:
            return None
        if isinstance(message, AppendReply):
            peer.is_active = True
            if message.is_rejected:
                self._on_rejection(peer, message)
            else:
                self._on_acknowledgement(peer, message.index)
        elif isinstance(message, HeartbeatReply):
            peer.is_active = True
            self._on_heartbeat_reply(peer, message)
        elif isinstance(message, (Append, Heartbeat, InstallSnapshot)):
            raise CorruptLog(f"nodes {self._state.node_id} and {message.from_} both lead a term")
        return None

    def _on_acknowledgement(self, peer: Progress, index: int) -> None:
        log = self._state.log
        if index > log.last_index:
            raise CorruptLog(f"node {peer.node_id} acknowledges {index}, the log ends at {log.last_index}")
        is_news = peer.acknowledged(index)
        if is_news or (index == peer.match and peer.state is _PROBE):
            if peer.state is _PROBE or (peer.state is _SNAPSHOT and peer.match + 1 >= log.first_index):
                peer.become_replicate()
            if is_news and index > log.commit:
                self._try_commit()
            if peer.node_id == self.transfer_to and peer.match == log.last_index:
                self._send_timeout_now(peer.node_id)
            self.is_dirty = True

    def _on_rejection(self, peer: Progress, message: AppendReply) -> None:
        """Look for the newest entry both logs may share, skipping whole terms (Raft §5.3)."""
        candidate, _ = self._state.log.find_match(message.hint_index, message.hint_term, peer.match)
        if peer.rejected(message.index, candidate):
            self.is_dirty = True

    def _on_heartbeat_reply(self, peer: Progress, message: HeartbeatReply) -> None:
        peer.is_paused = False
        if peer.match < self._state.log.last_index or peer.state is _PROBE:
            # What was sent may be lost, or this probe's reply: an append, even an empty one, finds out.
            peer.is_poked = True
            self.is_dirty = True
        if message.read_round > peer.read_round:
            peer.read_round = message.read_round
            self._confirm_reads()

    def unreachable(self, node_id: int) -> None:
        """Messages to this member were lost: stop pipelining into the void."""
        peer = self.peers.get(node_id)
        if peer is not None and peer.state is _REPLICATE:
            peer.become_probe()
            peer.is_paused = True

    def snapshot_done(self, node_id: int, is_ok: bool) -> None:
        """The transport has delivered a snapshot, or given up. Either way the member's next words count."""
        peer = self.peers.get(node_id)
        if peer is not None and peer.state is _SNAPSHOT:
            if not is_ok:
                peer.pending_snapshot = 0
            peer.become_probe()
            peer.is_paused = True

    # -- sending ------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send whatever members may be sent now.

        That an entry is committed is worth no message of its own, or every batch would cost each member two more: it
        goes with the next append or heartbeat. Only a membership's commit, and the term's first, are told at once.
        """
        self.is_dirty = False
        if self.reads.is_round_due() and self._may_read():
            self.reads.start_round(self._state.log.commit)
            self._send_heartbeats(self._state.membership.voters)
            self._confirm_reads()
        shared: dict[int, tuple[Entry, ...]] = {}
        for peer in self.peers.values():
            while self._send_append(peer, shared):
                pass
        self._is_commit_urgent = False

    def _send_append(self, peer: Progress, shared: dict[int, tuple[Entry, ...]]) -> bool:
        """Send one append if there is reason to and the member may get one; returns whether there may be more."""
        state, log = self._state, self._state.log
        commit, following = log.commit, peer.next
        is_replicating = peer.state is _REPLICATE
        if not is_replicating and (peer.is_paused or peer.state is _SNAPSHOT):
            return False
        has_entries = following <= log.last_index and not (is_replicating and peer.is_full)
        is_urgent = self._is_commit_urgent and min(commit, following - 1) > peer.sent_commit
        is_news = has_entries or peer.is_poked or is_urgent
        if is_replicating and not is_news:
            return False
        try:
            prev_term = log.term(following - 1)
            entries: tuple[Entry, ...] = ()
            if has_entries:
                if following not in shared:
                    shared[following] = tuple(log.slice(following, log.last_index + 1, state.config.max_append_bytes))
                entries = shared[following]
        except Compacted:
            self._send_snapshot(peer)
            return False
        last = following - 1 + len(entries)
        state.outbox.append(Append(state.node_id, peer.node_id, state.term, following - 1, prev_term, commit, entries))
        peer.sent(last)
        peer.sent_commit = max(peer.sent_commit, min(commit, last))
        return is_replicating and has_entries and last < log.last_index

    def _send_snapshot(self, peer: Progress) -> None:
        """The log no longer reaches back to this member: send a snapshot (Raft §7), or try again after a heartbeat."""
        state = self._state
        peer.is_poked = False
        try:
            snapshot = state.log.snapshot()
        except Unavailable:
            peer.become_probe()
            peer.is_paused = True
            return
        peer.become_snapshot(snapshot.index)
        state.outbox.append(InstallSnapshot(state.node_id, peer.node_id, state.term, snapshot))

    # -- reads --------------------------------------------------------------------------------------------------

    def read_index(self, context: ReadContext) -> None:
        """Queue one linearizable read; see `Core.read_index`."""
        self.reads.waiting.append(context)
        self.is_dirty = True

    def _may_read(self) -> bool:
        """Before its first commit a leader does not know how far earlier terms had committed (Raft §8)."""
        return self._state.log.commit >= self.term_start

    def _confirm_reads(self) -> None:
        if not self.reads.has_unconfirmed():
            return
        state, peers = self._state, self.peers
        seen = quorum_value(
            self.reads.last_round if voter == state.node_id else peers[voter].read_round
            for voter in state.membership.voters
        )
        state.read_states.extend(self.reads.confirmed(seen))
        self.is_dirty = True

    # -- membership and handing over ----------------------------------------------------------------------------

    def follow_membership(self) -> None:
        """Make `peers` all members but this node."""
        state = self._state
        members = state.membership.nodes() - {state.node_id}
        for gone in self.peers.keys() - members:
            del self.peers[gone]
        if self.transfer_to not in state.membership.voters:
            self.transfer_to = NOBODY
        for node_id in sorted(members - self.peers.keys()):
            self.peers[node_id] = Progress(node_id, state.log.last_index + 1, state.config.max_inflight_appends)
        self.is_dirty = True

    def membership_applied(self) -> Role | None:
        """A new membership holds: majorities may be smaller now, or this node may no longer be a voter."""
        state = self._state
        self.follow_membership()
        if state.node_id not in state.membership.voters:
            self._leave()
            return Role.FOLLOWER
        self._try_commit()
        self._confirm_reads()
        return None

    def _leave(self) -> None:
        """Tell the others what is committed, and wake the one that is furthest (Raft thesis §4.2.2)."""
        self._is_commit_urgent = True
        self.flush()
        voters = [self.peers[voter] for voter in self._state.membership.voters]
        best = max(voters, key=lambda peer: (peer.match, -peer.node_id))
        self._send_timeout_now(best.node_id)

    def transfer(self, to: int) -> None:
        """Hand leadership to a voter, as soon as it has the whole log; see `Core.transfer_leadership`."""
        state = self._state
        if to not in state.membership.voters:
            raise ChangeRefused(f"node {to} is no voter")
        if to == state.node_id or to == self.transfer_to:
            return
        self.transfer_to = to
        state.election_elapsed = 0
        peer = self.peers[to]
        if peer.match == state.log.last_index:
            self._send_timeout_now(to)
        else:
            peer.is_poked = True
            self.is_dirty = True

    def _send_timeout_now(self, to: int) -> None:
        state = self._state
        state.outbox.append(TimeoutNow(state.node_id, to, state.term))
