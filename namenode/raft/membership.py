"""Who takes part: voters and learners, and how one becomes the other.

A membership entry in the log carries the whole membership that results, not the difference: a node that joins and
replays the log from its start needs no other source for who is in the group. Consecutive memberships differ by one
node (single-server changes, Raft thesis §4.1).

Format of a membership entry's data, little-endian:

    u8 version = 1 │ u16 number of voters │ u16 number of learners │ u64 × (voters, then learners), each ascending
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Final

from .errors import ChangeRefused, CorruptLog

_VERSION: Final = 1
_HEADER: Final = struct.Struct("<BHH")


class ChangeKind(Enum):
    """What a membership change does to one node."""

    ADD_LEARNER = "add-learner"
    PROMOTE = "promote"
    DEMOTE = "demote"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """One single-server change (Raft thesis §4.1): a node always joins as a learner first (§4.2.1)."""

    kind: ChangeKind
    node_id: int


@dataclass(frozen=True, slots=True)
class Membership:
    """The voters, who count for every majority, and the learners, who only receive the log."""

    voters: frozenset[int] = frozenset()
    learners: frozenset[int] = frozenset()

    @staticmethod
    def of(voters: tuple[int, ...] | list[int], learners: tuple[int, ...] | list[int] = ()) -> Membership:
        """The membership of these node ids."""
        return Membership(frozenset(voters), frozenset(learners))

    def nodes(self) -> frozenset[int]:
        """Voters and learners together."""
        return self.voters | self.learners

    def changed(self, change: MembershipChange) -> Membership:
        """The membership after one change; raises ChangeRefused when it does not fit this one."""
        kind, node = change.kind, change.node_id
        voters, learners = self.voters, self.learners
        if node <= 0:
            raise ChangeRefused(f"{node} is not a node id")
        if kind is ChangeKind.ADD_LEARNER:
            if node in voters or node in learners:
                raise ChangeRefused(f"node {node} is a member already")
            return Membership(voters, learners | {node})
        if kind is ChangeKind.PROMOTE:
            if node not in learners:
                raise ChangeRefused(f"node {node} is no learner")
            return Membership(voters | {node}, learners - {node})
        if node not in voters and (node not in learners or kind is ChangeKind.DEMOTE):
            raise ChangeRefused(f"node {node} is no member that could be {kind.value}d")
        if voters == {node}:
            raise ChangeRefused(f"node {node} is the last voter")
        if kind is ChangeKind.DEMOTE:
            return Membership(voters - {node}, learners | {node})
        return Membership(voters - {node}, learners - {node})

    def __str__(self) -> str:
        voters = ",".join(map(str, sorted(self.voters)))
        learners = ",".join(map(str, sorted(self.learners)))
        return f"voters={voters or '-'} learners={learners or '-'}"


def encode_membership(membership: Membership) -> bytes:
    """The data of a membership entry."""
    voters, learners = sorted(membership.voters), sorted(membership.learners)
    header = _HEADER.pack(_VERSION, len(voters), len(learners))
    return header + struct.pack(f"<{len(voters) + len(learners)}Q", *voters, *learners)


def decode_membership(data: bytes) -> Membership:
    """The membership that an entry's data holds; raises CorruptLog for what this version cannot read."""
    try:
        version, n_voters, n_learners = _HEADER.unpack_from(data)
        if version != _VERSION:
            raise CorruptLog(f"membership entry of version {version}")
        if len(data) != _HEADER.size + 8 * (n_voters + n_learners):
            raise CorruptLog(f"membership entry of {len(data)} bytes")
        ids = struct.unpack_from(f"<{n_voters + n_learners}Q", data, _HEADER.size)
    except struct.error as error:
        raise CorruptLog(f"membership entry: {error}") from None
    return Membership(frozenset(ids[:n_voters]), frozenset(ids[n_voters:]))
