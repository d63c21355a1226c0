"""The leader's table of holds counts every operation once, whatever is sent again."""

from cairnfs.namenode.holds import HoldTable


def test_a_hold_lasts_until_it_is_released() -> None:
    """An inode is held from the open to the release."""
    holds = HoldTable()
    holds.add(1, 10, 7, 0.0)
    assert holds.is_held(7)
    assert holds.is_held(7, 1)
    assert not holds.is_held(7, 2)
    holds.release(1, 11, [7], 0.0)
    assert not holds.is_held(7)


def test_a_repeated_open_counts_once() -> None:
    """The same operation, answered again after a reconnect, adds no second hold."""
    holds = HoldTable()
    holds.add(1, 10, 7, 0.0)
    holds.add(1, 10, 7, 0.0)
    holds.release(1, 11, [7], 0.0)
    assert not holds.is_held(7)


def test_a_repeated_release_counts_once() -> None:
    """A release that is sent again does not give up another handle's hold."""
    holds = HoldTable()
    holds.add(1, 10, 7, 0.0)
    holds.add(1, 11, 7, 0.0)
    holds.release(1, 12, [7], 0.0)
    holds.release(1, 12, [7], 0.0)
    assert holds.is_held(7, 1)


def test_two_sessions_hold_independently() -> None:
    """An inode is free once the last of its sessions has ended."""
    holds = HoldTable()
    holds.add(1, 1, 7, 0.0)
    holds.add(2, 1, 7, 0.0)
    holds.end(1)
    assert holds.is_held(7)
    holds.end(2)
    assert not holds.is_held(7)


def test_a_new_reign_waits_for_every_announcement() -> None:
    """Orphans may be reaped only once all sessions have said what they hold, or have ended."""
    holds = HoldTable()
    holds.begin_reign([1, 2], 0.0)
    assert not holds.is_complete()
    holds.announce(1, [7, 7], 1.0)
    assert not holds.is_complete()
    holds.end(2)
    assert holds.is_complete()
    holds.release(1, 5, [7], 2.0)
    assert holds.is_held(7), "two handles were announced, one was closed"


def test_a_second_announcement_tells_nothing_new() -> None:
    """A client that reconnects to the same leader neither adds nor loses holds."""
    holds = HoldTable()
    holds.announce(1, [7], 0.0)
    holds.add(1, 5, 8, 0.0)
    holds.announce(1, [7], 1.0)
    holds.release(1, 6, [7], 1.0)
    assert not holds.is_held(7)
    assert holds.is_held(8), "an open whose answer was lost stays counted"


def test_silence_is_measured_from_the_last_sign_of_life() -> None:
    """A session is silent when nothing was heard of it since the given moment."""
    holds = HoldTable()
    holds.begin_reign([1, 2], 0.0)
    holds.hear(2, 50.0)
    assert holds.silent_since(10.0) == [1]


def test_answered_operations_are_forgotten() -> None:
    """What the client will not send again needs no memory."""
    holds = HoldTable()
    holds.add(1, 10, 7, 0.0)
    holds.forget_answered(1, 10)
    holds.add(1, 11, 7, 0.0)
    holds.release(1, 12, [7], 0.0)
    assert holds.is_held(7)


def test_what_comes_late_counts_no_more() -> None:
    """An open and a release that an old stream brings after their answers have arrived by a new one change nothing."""
    holds = HoldTable()
    holds.add(1, 10, 7, 0.0)
    holds.add(1, 11, 7, 0.0)
    holds.release(1, 12, [7], 0.0)
    holds.forget_answered(1, 12)
    holds.release(1, 12, [7], 0.0)
    assert holds.is_held(7, 1)
    holds.add(1, 11, 7, 0.0)
    holds.release(1, 13, [7], 0.0)
    assert not holds.is_held(7)
