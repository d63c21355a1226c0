"""Linearizable reads without log entries: ReadIndex (Raft thesis §6.4).

Contexts that wait are gathered into a round. A round fixes the commit index at its start, and is confirmed once a
majority has answered a heartbeat of this round or a later one: no newer leader had been elected when it started.
While one round is on its way further contexts wait for the next, so a round trip serves as many reads as came
in the meantime. Every heartbeat repeats the newest round, so a lost one costs a heartbeat interval, nothing more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

ReadContext = int | bytes


@dataclass(frozen=True, slots=True)
class ReadState:
    """The read of `context` may be answered from a state that has applied `index`."""

    context: ReadContext
    index: int


class ReadQueue:
    """The reads that one leader has accepted and not yet confirmed."""

    __slots__ = ("_rounds", "last_round", "waiting")

    def __init__(self) -> None:
        self.waiting: list[ReadContext] = []
        self.last_round = 0
        self._rounds: deque[tuple[int, int, list[ReadContext]]] = deque()

    def is_round_due(self) -> bool:
        """Whether a round should start now: something waits, and nothing is on its way."""
        return bool(self.waiting) and not self._rounds

    def start_round(self, commit: int) -> None:
        """Fix `commit` as the index of everything that waits; the caller sends heartbeats with `last_round`."""
        assert self.waiting
        self.last_round += 1
        self._rounds.append((self.last_round, commit, self.waiting))
        self.waiting = []

    def confirmed(self, read_round: int) -> list[ReadState]:
        """The reads that are done once a majority has seen `read_round`."""
        done: list[ReadState] = []
        while self._rounds and self._rounds[0][0] <= read_round:
            _, index, contexts = self._rounds.popleft()
            done.extend(ReadState(context, index) for context in contexts)
        return done

    def has_unconfirmed(self) -> bool:
        """Whether a round waits for its majority."""
        return bool(self._rounds)

    def drop(self) -> list[ReadContext]:
        """Forget all reads and return their contexts: whoever asked must ask the next leader."""
        dropped = [context for _, _, contexts in self._rounds for context in contexts]
        dropped.extend(self.waiting)
        self._rounds.clear()
        self.waiting = []
        return dropped
