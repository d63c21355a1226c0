"""The state machine that simulated nodes replicate: versioned keys, a session table, and a hash chain over it all.

A command is `session sequence key`, in ASCII: it raises the key's version by one and answers with the new one.
"""

from __future__ import annotations

import zlib

from cairnfs.namenode.raft import Entry, EntryKind, Membership, SnapshotMeta, decode_membership


class Machine:
    """One node's applied state; `copy` is a snapshot."""

    __slots__ = ("applied", "applied_term", "chain", "membership", "sessions", "versions")

    def __init__(self, membership: Membership) -> None:
        self.applied = 0
        self.applied_term = 0
        self.chain = 0
        self.membership = membership
        self.versions: dict[int, int] = {}
        self.sessions: dict[int, tuple[int, int]] = {}
        """session -> (last sequence, its answer)"""

    def copy(self) -> Machine:
        twin = Machine(self.membership)
        twin.applied, twin.applied_term, twin.chain = self.applied, self.applied_term, self.chain
        twin.versions = dict(self.versions)
        twin.sessions = dict(self.sessions)
        return twin

    def meta(self) -> SnapshotMeta:
        return SnapshotMeta(self.applied, self.applied_term, self.membership)

    def digest(self) -> int:
        """Of everything that must be equal on nodes of equal applied index."""
        return zlib.crc32(repr((sorted(self.versions.items()), sorted(self.sessions.items()))).encode(), self.chain)

    def apply(self, entry: Entry) -> tuple[int | None, bool]:
        """Apply the next entry; returns its answer, and whether it had an effect (a retry has none)."""
        assert entry.index == self.applied + 1, "entries are applied in order"
        self.applied = entry.index
        self.applied_term = entry.term
        answer, has_effect = self._execute(entry)
        self.chain = zlib.crc32(entry.data, zlib.crc32(b"%d" % (answer or 0), self.chain ^ entry.term))
        return answer, has_effect

    def _execute(self, entry: Entry) -> tuple[int | None, bool]:
        if entry.kind is EntryKind.MEMBERSHIP:
            self.membership = decode_membership(entry.data)
            return None, False
        if entry.kind is EntryKind.NOOP:
            return None, False
        session, sequence, key = map(int, entry.data.split())
        last, answer = self.sessions.get(session, (0, 0))
        if sequence <= last:
            return (answer if sequence == last else None), False
        answer = self.versions.get(key, 0) + 1
        self.versions[key] = answer
        self.sessions[session] = (sequence, answer)
        return answer, True
