"""Proposals: one batch in flight, and everybody hears what became of theirs, once."""

from cairnfs.namenode.proposals import BATCH_ITEMS_MAX, WAITING_MAX, Proposal, Proposals
from cairnfs.namenode.raft import Entry, EntryKind
from cairnfs.namenode.state.commands import ROOT_CREDENTIALS, Item
from cairnfs.namenode.state.sessions import Outcome


def proposal(heard: list[Outcome | None] | None = None, body: bytes = b"x") -> Proposal:
    return Proposal(Item(1, 1, 0, ROOT_CREDENTIALS, body), heard.append if heard is not None else None)


def entry(index: int, term: int = 1) -> Entry:
    return Entry(term, index, EntryKind.NORMAL, b"")


def test_what_comes_while_a_batch_is_in_flight_is_the_next() -> None:
    """A batch has all that waits; the next is due once its entry is committed."""
    proposals = Proposals()
    proposals.add([proposal(), proposal()])
    batch = proposals.take_batch()
    assert len(batch) == 2
    proposals.note_in_flight(5, 1, batch)
    proposals.add([proposal()])
    assert not proposals.is_any_due
    assert proposals.settle(entry(5)) == batch
    assert proposals.is_any_due


def test_a_batch_is_bounded() -> None:
    """Neither items nor bytes of one entry are without bound; what is over comes next."""
    proposals = Proposals()
    proposals.add([proposal() for _ in range(BATCH_ITEMS_MAX + 1)])
    assert len(proposals.take_batch()) == BATCH_ITEMS_MAX
    assert len(proposals.take_batch()) == 1
    proposals.add([proposal(body=bytes(1 << 20)) for _ in range(5)])
    assert len(proposals.take_batch()) == 2


def test_another_leaders_entry_gives_the_batch_up() -> None:
    """Another term at its index, or an entry past it, means that nobody can tell: its owners hear None, once."""
    for committed in (entry(5, term=2), entry(6, term=2)):
        heard: list[Outcome | None] = []
        proposals = Proposals()
        proposals.note_in_flight(5, 1, [proposal(heard)])
        assert proposals.settle(committed) == []
        proposals.give_up_all()
        assert heard == [None]


def test_entries_before_the_batch_are_nobodys() -> None:
    """What an earlier leader left is committed without anybody here to hear of it."""
    proposals = Proposals()
    batch = [proposal()]
    proposals.note_in_flight(5, 1, batch)
    assert proposals.settle(entry(4)) == []
    assert proposals.settle(entry(5)) == batch


def test_a_batch_that_was_not_taken_keeps_its_place() -> None:
    """Order is kept when the core is overloaded."""
    proposals = Proposals()
    first, second = proposal(), proposal()
    proposals.add([first])
    batch = proposals.take_batch()
    proposals.add([second])
    proposals.put_back(batch)
    assert [one is other for one, other in zip(proposals.take_batch(), (first, second), strict=True)] == [True, True]


def test_very_many_make_others_wait() -> None:
    """Those who can wait do, until a batch has been taken or given up."""
    proposals = Proposals()
    proposals.add([proposal() for _ in range(WAITING_MAX + 1)])
    assert not proposals._has_room.is_set()
    proposals.take_batch()
    assert proposals._has_room.is_set()
