"""Operations on their way into the log: those that wait, those in flight, and who is to hear of them.

    add ─► waiting ─► take_batch ─► Core.propose ─► note_in_flight ─► settle, when an entry at its index is committed

One batch is in flight at a time; whatever comes meanwhile is the next. It knows nothing of Raft but
that another term at a batch's index means it is lost.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cairnfs.namenode.raft import Entry
from cairnfs.namenode.state.commands import Item
from cairnfs.namenode.state.sessions import Outcome

BATCH_ITEMS_MAX = 1_024
BATCH_BYTES_MAX = 2 << 20
# One: what comes meanwhile goes as one. With two, eight writers split over twice as many syncs and got 2.8 to 3.5
# thousand operations/s through, with one 3.5; 128 in flight get 20 thousand either way.
BATCHES_IN_FLIGHT_MAX = 1
WAITING_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Proposal:
    """One operation on its way into the log; `on_outcome` gets None where nobody can tell what became of it."""

    item: Item
    on_outcome: Callable[[Outcome | None], None] | None = None


@dataclass(frozen=True, slots=True)
class _Batch:
    index: int
    term: int
    proposals: list[Proposal]


class Proposals:
    """Not thread-safe, but for wait_for_room: whoever has the node's turn calls it."""

    def __init__(self) -> None:
        self._waiting: deque[Proposal] = deque()
        self._in_flight: deque[_Batch] = deque()
        self._has_room = threading.Event()
        self._has_room.set()

    def add(self, proposals: Sequence[Proposal]) -> None:
        """These wait for the log, in this order."""
        self._waiting.extend(proposals)
        if len(self._waiting) > WAITING_MAX:
            self._has_room.clear()

    def wait_for_room(self, timeout_s: float) -> None:
        """Wait while very many wait already."""
        self._has_room.wait(timeout_s)

    @property
    def is_any_due(self) -> bool:
        """Whether a batch should be proposed now."""
        return bool(self._waiting) and len(self._in_flight) < BATCHES_IN_FLIGHT_MAX

    @property
    def is_any_waiting(self) -> bool:
        """Whether anything is not yet proposed."""
        return bool(self._waiting)

    def take_batch(self) -> list[Proposal]:
        """What goes into the next entry."""
        batch: list[Proposal] = []
        size = 0
        while self._waiting and len(batch) < BATCH_ITEMS_MAX and size < BATCH_BYTES_MAX:
            proposal = self._waiting.popleft()
            size += len(proposal.item.body)
            batch.append(proposal)
        if len(self._waiting) <= WAITING_MAX:
            self._has_room.set()
        return batch

    def put_back(self, batch: list[Proposal]) -> None:
        """The core did not take the batch: it is the next one again."""
        self._waiting.extendleft(reversed(batch))

    def note_in_flight(self, index: int, term: int, batch: list[Proposal]) -> None:
        """The batch is the log's entry at `index`, of `term`."""
        self._in_flight.append(_Batch(index, term, batch))

    def settle(self, entry: Entry) -> list[Proposal]:
        """The proposals that a committed entry contains; batches that it displaces are given up."""
        while self._in_flight and self._in_flight[0].index < entry.index:
            _give_up(self._in_flight.popleft().proposals)
        if not self._in_flight or self._in_flight[0].index > entry.index:
            return []
        batch = self._in_flight.popleft()
        if batch.term == entry.term:
            return batch.proposals
        _give_up(batch.proposals)
        return []

    def give_up_waiting(self) -> None:
        """This node does not lead: what waits goes nowhere."""
        dropped, self._waiting = self._waiting, deque()
        self._has_room.set()
        _give_up(dropped)

    def give_up_all(self) -> None:
        """This node leads no more: of what is in flight nobody here can tell."""
        while self._in_flight:
            _give_up(self._in_flight.popleft().proposals)
        self.give_up_waiting()


def _give_up(proposals: Sequence[Proposal]) -> None:
    for proposal in proposals:
        if proposal.on_outcome is not None:
            proposal.on_outcome(None)
