"""What the leader does by itself with sessions: it gives up who is silent, and only once the group has agreed."""

import time
from collections.abc import Sequence
from typing import cast

import pytest

from cairnfs.namenode.config import Defaults
from cairnfs.namenode.datanodes import DatanodeTable
from cairnfs.namenode.duties import LATE_S, PERIOD_S, LeaderDuties
from cairnfs.namenode.holds import HoldTable
from cairnfs.namenode.node import Node
from cairnfs.namenode.proposals import Proposal
from cairnfs.namenode.session_service import SessionService
from cairnfs.namenode.state.sessions import Outcome

LEASE_S = 30.0


class Leader:
    """A node that collects proposals, and a session service that notes whom it sent away."""

    def __init__(self) -> None:
        self.proposed: list[Proposal] = []
        self.ended: list[int] = []

    def propose(self, proposals: Sequence[Proposal]) -> None:
        self.proposed += proposals

    def end_session(self, session: int) -> None:
        self.ended.append(session)

    def settle(self, outcome: Outcome | None) -> None:
        for proposal in self.proposed:
            assert proposal.on_outcome is not None
            proposal.on_outcome(outcome)
        self.proposed.clear()


@pytest.fixture
def leader() -> Leader:
    return Leader()


@pytest.fixture
def holds() -> HoldTable:
    table = HoldTable()
    table.add(5, 1, 77, 0.0)
    return table


@pytest.fixture
def at_work(leader: Leader, holds: HoldTable, monkeypatch: pytest.MonkeyPatch) -> LeaderDuties:
    monkeypatch.setattr(time, "monotonic", lambda: LEASE_S + 1)
    return LeaderDuties(
        cast(Node, leader),
        holds,
        cast(SessionService, leader),
        DatanodeTable(10.0),
        cluster_id="c",
        defaults=Defaults(),
        lease_s=LEASE_S,
    )


def test_a_silent_session_ends_once_the_group_has_agreed(
    leader: Leader, holds: HoldTable, at_work: LeaderDuties
) -> None:
    """Proposed once, however long it takes; the client is told, and its holds go, when it is applied."""
    at_work._end_silent_sessions()
    at_work._end_silent_sessions()
    assert len(leader.proposed) == 1
    assert leader.ended == []
    assert holds.is_held(77)
    leader.settle(Outcome(0, 0, b"", 0, ""))
    assert leader.ended == [5]
    assert not holds.is_held(77)


def test_a_deposed_leader_sends_nobody_away(leader: Leader, holds: HoldTable, at_work: LeaderDuties) -> None:
    """The story: it was stopped for a while, its clients went to the next leader, and it does not know yet.

    Its proposal comes to nothing; nobody hears that a session has expired which lives on elsewhere.
    """
    at_work._end_silent_sessions()
    leader.settle(None)
    assert leader.ended == []
    assert holds.is_held(77)
    at_work._end_silent_sessions()
    assert len(leader.proposed) == 1


def test_a_leader_that_was_stopped_does_not_take_its_own_silence_for_the_clients(
    leader: Leader, holds: HoldTable, at_work: LeaderDuties, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a pause each session has as much of its lease left as before it."""
    holds.hear(5, LEASE_S + 1)
    now_s = LEASE_S + 1 + 10 * LEASE_S
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    at_work._excuse_own_absence(now_s)
    at_work._end_silent_sessions()
    assert leader.proposed == []
    for step in range(1, round(LEASE_S) + 3):
        late_s = now_s + step * (PERIOD_S + LATE_S / 10)
        monkeypatch.setattr(time, "monotonic", lambda late_s=late_s: late_s)
        at_work._excuse_own_absence(late_s)
    at_work._end_silent_sessions()
    assert len(leader.proposed) == 1
