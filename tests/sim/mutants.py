"""Planted bugs: each breaks one rule of the core, the disk or the owner's loop, from outside, for one run.

A mutant proves that the simulator would notice if somebody broke this rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from cairnfs.namenode.raft import (
    Append,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    InstallSnapshot,
    MemoryStorage,
    Message,
    Ready,
    SnapshotMeta,
    VoteReply,
)
from cairnfs.namenode.raft.candidate import Candidate
from cairnfs.namenode.raft.core import Core
from cairnfs.namenode.raft.follower import Follower
from cairnfs.namenode.raft.leader import Leader
from cairnfs.namenode.raft.log import RaftLog
from cairnfs.namenode.raft.membership import MembershipChange
from cairnfs.namenode.raft.progress import Progress
from cairnfs.namenode.raft.ready import Role

from .disk import Disk
from .machine import Machine
from .process import Process


@dataclass(frozen=True)
class Mutant:
    """One bug: attributes to replace while a seed runs, and the process and disk to run it with."""

    name: str
    patches: list[tuple[type, str, Any]] = field(default_factory=list)
    process_type: type[Process] = Process
    disk_type: type[Disk] = Disk

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The bug is there within this context, and gone after it."""
        with ExitStack() as stack:
            for owner, name, value in self.patches:
                stack.enter_context(mock.patch.object(owner, name, value))
            yield


# -- the owner's loop and the disk


class EagerProcess(Process):
    """Says that a Ready is persisted as soon as it is written; the sync comes later."""

    def write(self, ready: Ready) -> None:
        super().write(ready)
        self.writing = None
        self.finish(ready)

    def synced(self) -> None:
        self.disk.sync()


class HastyProcess(Process):
    """Sends what must wait for the sync together with what need not."""

    def write(self, ready: Ready) -> None:
        self.send(ready.messages_after_persist)
        ready.messages_after_persist = []
        super().write(ready)


class CarelessProcess(Process):
    """Answers a client when its index is applied, whatever entry that is."""

    def apply(self) -> None:
        terms = {entry.index: entry.term for entry in self.queue}
        for index, (_, attempt) in list(self.proposed.items()):
            if index in terms:
                self.proposed[index] = (terms[index], attempt)
        super().apply()

    def role_changed(self, role: Role) -> None:
        kept, self.proposed = self.proposed, {}
        super().role_changed(role)
        self.proposed = kept


class VotelessDisk(Disk):
    """Keeps the term but not the vote."""

    def kept(self, hard_state: HardState | None) -> HardState | None:
        return hard_state and replace(hard_state, vote=0)


def save_and_keep_tail(
    self: MemoryStorage, hard_state: HardState | None, snapshot: SnapshotMeta | None, entries: list[Entry]
) -> None:
    tail = [entry for entry in self.entries_held if snapshot is not None and entry.index > snapshot.index]
    _save(self, hard_state, snapshot, [])
    if snapshot is not None:
        self.entries_held = tail
    _save(self, None, None, entries)


def copy_without_sessions(self: Machine) -> Machine:
    twin = _copy(self)
    twin.sessions = {}
    return twin


# -- the core


def append_no_noop(self: Leader, contents: list[tuple[EntryKind, bytes]]) -> list[tuple[int, int]]:
    return [] if contents[0][0] is EntryKind.NOOP else _append(self, contents)


def commit_any_term(self: Leader) -> None:
    start, self.term_start = self.term_start, 0
    _try_commit(self)
    self.term_start = start


def commit_with_unsynced_self(self: Leader) -> None:
    log = self._state.log
    stable, log.stable = log.stable, log.last_index
    _try_commit(self)
    log.stable = stable


def confirm_without_quorum(self: Leader) -> None:
    self._state.read_states.extend(self.reads.confirmed(self.reads.last_round))


def truncate_always(self: RaftLog, prev_index: int, prev_term: int, entries: tuple[Entry, ...]) -> bool:
    if not self.matches(prev_index, prev_term):
        return False
    if entries:
        self._truncate(prev_index + 1)
        self.append(entries)
    return True


def commit_whole_log(self: Follower, message: Append) -> None:
    _on_append(self, message)
    log = self._state.log
    log.commit_to(min(message.commit, log.last_index))


def append_without_looking_back(self: RaftLog, prev_index: int, prev_term: int, entries: tuple[Entry, ...]) -> bool:
    return prev_index <= self.last_index and _try_append(self, prev_index, self.term(prev_index), entries)


def snapshot_by_index(self: Follower, message: InstallSnapshot) -> None:
    log = self._state.log
    if log.commit < message.snapshot.index <= log.last_index:
        log.commit_to(message.snapshot.index)
    _on_snapshot(self, message)


def change_at_once(self: Leader, change: MembershipChange) -> tuple[int, int]:
    self._pending_change = 0
    return _propose_change(self, change)


def heartbeat_with_own_commit(self: Leader, members: Collection[int]) -> None:
    state = self._state
    for peer in self.peers.keys() & set(members):
        state.outbox.append(Heartbeat(state.node_id, peer, state.term, state.log.commit, self.reads.last_round))


def count_any_vote(self: Candidate, message: Message) -> Role | None:
    return self.count(message.from_, message.is_granted) if isinstance(message, VoteReply) else None


def synced_by_index(self: RaftLog, index: int, term: int) -> None:
    self.stable = max(self.stable, min(index, self.last_index))


def yes(*_: object) -> bool:
    return True


def no(*_: object) -> bool:
    return False


def nothing(*_: object) -> None:
    return None


_save = MemoryStorage.save
_copy = Machine.copy
_append = Leader._append
_try_commit = Leader._try_commit
_propose_change = Leader.propose_change
_on_append = Follower._on_append
_on_snapshot = Follower._on_snapshot
_try_append = RaftLog.try_append

MUTANTS = [
    Mutant("acknowledges before the sync", process_type=EagerProcess),
    Mutant("sends before the sync", process_type=HastyProcess),
    Mutant("forgets its vote in a crash", disk_type=VotelessDisk),
    Mutant("answers by index alone", process_type=CarelessProcess),
    Mutant("snapshot keeps the old tail", [(MemoryStorage, "save", save_and_keep_tail)]),
    Mutant("snapshot without sessions", [(Machine, "copy", copy_without_sessions)]),
    Mutant("no no-op at the start of a term", [(Leader, "_append", append_no_noop)]),
    Mutant("commits entries of old terms by counting", [(Leader, "_try_commit", commit_any_term)]),
    Mutant("leader counts itself before its sync", [(Leader, "_try_commit", commit_with_unsynced_self)]),
    Mutant("read index without a quorum", [(Leader, "_confirm_reads", confirm_without_quorum)]),
    Mutant("read index before the term's first commit", [(Leader, "_may_read", yes)]),
    Mutant("votes for logs that are behind", [(RaftLog, "is_up_to_date", yes)]),
    Mutant("votes twice in a term", [(Core, "_may_vote", yes)]),
    Mutant("every append truncates", [(RaftLog, "try_append", truncate_always)]),
    Mutant("follower commits what it did not match", [(Follower, "_on_append", commit_whole_log)]),
    Mutant("follower does not look at the previous entry", [(RaftLog, "try_append", append_without_looking_back)]),
    Mutant("snapshot accepted by index alone", [(Follower, "_on_snapshot", snapshot_by_index)]),
    Mutant("two membership changes at once", [(Leader, "propose_change", change_at_once)]),
    Mutant("heartbeat commits beyond the match", [(Leader, "_send_heartbeats", heartbeat_with_own_commit)]),
    Mutant("pre-votes count as votes", [(Candidate, "step", count_any_vote)]),
    Mutant("a sync counts for entries replaced meanwhile", [(RaftLog, "synced", synced_by_index)]),
    Mutant("a rejected leader never backs off", [(Progress, "rejected", no)]),
    Mutant("a failed snapshot is never tried again", [(Leader, "snapshot_done", nothing)]),
]
