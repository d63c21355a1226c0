"""The arithmetic of majorities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum


class VoteResult(Enum):
    """How an election stands."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def majority(voters: int) -> int:
    """How many of `voters` are a majority."""
    return voters // 2 + 1


def quorum_value(values: Iterable[int]) -> int:
    """The largest number that a majority of `values` has reached; 0 without any."""
    ordered = sorted(values)
    if not ordered:
        return 0
    return ordered[(len(ordered) - 1) // 2]


def tally(voters: frozenset[int], votes: Mapping[int, bool]) -> VoteResult:
    """The result of an election among `voters`, given the `votes` seen so far (other nodes' votes do not count)."""
    granted = rejected = 0
    for voter in voters:
        vote = votes.get(voter)
        if vote is True:
            granted += 1
        elif vote is False:
            rejected += 1
    needed = majority(len(voters))
    if granted >= needed:
        return VoteResult.WON
    if len(voters) - rejected < needed:
        return VoteResult.LOST
    return VoteResult.PENDING
