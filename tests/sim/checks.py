"""What must hold in every run, watched from outside (Raft figure 3, and the promises to clients).

election safety        at most one leader a term, one vote a node and term
log matching           an entry (index, term) always has the same data and the same predecessor
leader completeness    a new leader holds everything committed in earlier terms
state machine safety   one entry per index, applied by everyone, with the same state after it
membership             consecutive memberships differ by at most one voter
monotonic              term and commit index never go back while a process lives
exactly once           a (session, sequence) takes effect at one index only
linearizable           no read is older than what was acknowledged before it began; nor is a write
nothing lost           every acknowledged write is part of the final state of every member
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairnfs.namenode.raft import Core, Entry, EntryKind, Membership, Message, Role, VoteReply, decode_membership

if TYPE_CHECKING:
    from .disk import Image
    from .machine import Machine


class Violation(AssertionError):
    """A promise was broken."""


class Checks:
    """The observer of one run."""

    def __init__(self, membership: Membership) -> None:
        self.leaders: dict[int, int] = {}
        self.votes: dict[tuple[int, int], int] = {}
        self.predecessors: dict[tuple[int, int], tuple[int, Entry]] = {}
        self.committed = (0, 0)
        """(index, term) of the newest commit seen."""
        self.history: list[tuple[Entry, int]] = []
        """Entry and digest at index 1, 2, …, as first applied anywhere."""
        self.effects: dict[tuple[int, int], int] = {}
        self.acknowledged: dict[tuple[int, int], int] = {}
        self.membership = membership
        self.floors: dict[int, int] = {}
        """Per key the newest version that any client was told of."""

    def sent(self, message: Message) -> None:
        if isinstance(message, VoteReply) and message.is_granted and not message.is_pre:
            ballot = (message.from_, message.term)
            if self.votes.setdefault(ballot, message.to) != message.to:
                raise Violation(f"node {message.from_} voted twice in term {message.term}")

    def saved(self, image: Image, entries: list[Entry]) -> None:
        """These entries were written; the image holds them already."""
        for entry in entries:
            before = image.storage.term(entry.index - 1)
            known = self.predecessors.setdefault((entry.index, entry.term), (before, entry))
            if known != (before, entry):
                raise Violation(f"log matching: entry {entry} after term {before}, but was {known}")

    def replaced(self, image: Image) -> None:
        """The whole content is new to the node, by a restart or a snapshot."""
        self.saved(image, image.storage.entries_held)

    def became(self, node_id: int, role: Role, core: Core, image: Image) -> None:
        if role is not Role.LEADER:
            return
        if self.leaders.setdefault(core.term, node_id) != node_id:
            raise Violation(f"nodes {self.leaders[core.term]} and {node_id} both lead term {core.term}")
        index, term = self.committed
        if term < core.term and index >= image.storage.first_index():
            held = image.storage.term(index) if index <= image.storage.last_index() else 0
            if held != term:
                raise Violation(f"node {node_id} leads term {core.term} without committed entry ({index}, {term})")

    def commit_seen(self, index: int, term: int) -> None:
        if index > self.committed[0]:
            self.committed = (index, term)

    def applied(self, node_id: int, entry: Entry, machine: Machine, *, had_effect: bool) -> None:
        index, digest = entry.index, machine.chain
        if index <= len(self.history):
            known, known_digest = self.history[index - 1]
            if known != entry or known_digest != digest:
                raise Violation(f"node {node_id} applied {entry} where another applied {known}")
        else:
            if index != len(self.history) + 1:
                raise Violation(f"node {node_id} applied {entry}, but nobody applied {len(self.history) + 1}")
            self.history.append((entry, digest))
            if entry.kind is EntryKind.MEMBERSHIP:
                new = decode_membership(entry.data)
                if len(new.voters ^ self.membership.voters) > 1:
                    raise Violation(f"membership jumps from {self.membership} to {new}")
                self.membership = new
        if had_effect:
            session, sequence, _ = map(int, entry.data.split())
            if self.effects.setdefault((session, sequence), index) != index:
                raise Violation(f"command {session}/{sequence} took effect twice, the second time at {index}")

    def answered(self, key: int, version: int, floor: int, *, is_write: bool) -> None:
        """A client learned this version; `floor` was known when it asked."""
        if version < floor + is_write:
            kind = "write" if is_write else "read"
            raise Violation(f"stale {kind} of key {key}: version {version}, but {floor} was acknowledged before")
        self.floors[key] = max(self.floors.get(key, 0), version)

    def acknowledge(self, session: int, sequence: int, version: int) -> None:
        self.acknowledged[session, sequence] = version
        if (session, sequence) not in self.effects:
            raise Violation(f"command {session}/{sequence} was acknowledged without effect")

    def final(self, machines: dict[int, Machine], images: dict[int, Image]) -> None:
        """At rest: all members at the same index, in the same state, with all that was acknowledged."""
        digests = {machine.digest() for machine in machines.values()}
        if len(digests) != 1:
            raise Violation(f"states differ: { {n: m.digest() for n, m in machines.items()} }")
        for node_id, machine in machines.items():
            if machine.applied < len(self.history):
                raise Violation(f"node {node_id} rests at {machine.applied}, {len(self.history)} was applied")
            for (session, sequence), version in self.acknowledged.items():
                if machine.sessions.get(session, (0, 0))[0] < sequence:
                    raise Violation(f"acknowledged command {session}/{sequence} is lost on node {node_id}")
                assert version > 0
            for entry in images[node_id].storage.entries_held:
                if self.history[entry.index - 1][0] != entry:
                    raise Violation(f"node {node_id} holds {entry} at rest")
