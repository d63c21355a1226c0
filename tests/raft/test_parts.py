"""The parts of the core on their own: majorities, a member's progress, the log, reads, memberships."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.namenode.raft import (
    ChangeKind,
    ChangeRefused,
    Compacted,
    Config,
    Core,
    CorruptLog,
    Entry,
    EntryKind,
    HardState,
    Membership,
    MembershipChange,
    MemoryStorage,
    Role,
    SnapshotMeta,
    Unavailable,
    decode_membership,
    encode_membership,
    entry_bytes,
)
from cairnfs.namenode.raft.log import RaftLog
from cairnfs.namenode.raft.progress import Progress, ProgressState
from cairnfs.namenode.raft.quorum import VoteResult, majority, quorum_value, tally
from cairnfs.namenode.raft.reads import ReadQueue, ReadState

VOTERS = Membership.of((1, 2, 3))


def entries(*terms: int, after: int = 0) -> tuple[Entry, ...]:
    return tuple(Entry(term, after + n, EntryKind.NORMAL, b"%d" % n) for n, term in enumerate(terms, 1))


def log_of(*terms: int, commit: int = 0, cache: int = 1 << 20) -> tuple[RaftLog, MemoryStorage]:
    storage = MemoryStorage(VOTERS)
    storage.save(HardState(max(terms, default=0)), None, entries(*terms))
    return RaftLog(storage, commit, cache), storage


# -- majorities


@given(st.lists(st.integers(0, 5), min_size=1, max_size=7))
def test_quorum_value_is_the_largest_that_a_majority_has(values: list[int]) -> None:
    """A majority has reached the quorum value, and no majority has reached more."""
    found = quorum_value(values)
    assert sum(value >= found for value in values) >= majority(len(values))
    assert sum(value > found for value in values) < majority(len(values))


def test_quorum_value_of_nobody_is_zero() -> None:
    """Without voters nothing is ever reached."""
    assert quorum_value([]) == 0


@given(st.frozensets(st.integers(1, 7), min_size=1), st.dictionaries(st.integers(1, 9), st.booleans()))
def test_tally_counts_voters_only(voters: frozenset[int], votes: dict[int, bool]) -> None:
    """An election is won by a majority of yes, lost once that is impossible; strangers have no vote."""
    yes = sum(votes.get(voter) is True for voter in voters)
    no = sum(votes.get(voter) is False for voter in voters)
    result = tally(voters, votes)
    assert (result is VoteResult.WON) == (yes >= majority(len(voters)))
    assert (result is VoteResult.LOST) == (len(voters) - no < majority(len(voters)))


# -- progress


def test_probe_sends_one_append_at_a_time() -> None:
    """A probed member is paused after one append; its reply starts the pipeline."""
    peer = Progress(2, 5, window=2)
    peer.sent(6)
    assert peer.is_paused
    assert peer.next == 5
    assert peer.acknowledged(6)
    peer.become_replicate()
    assert (peer.match, peer.next, peer.is_paused) == (6, 7, False)


def test_replicating_fills_and_frees_the_window() -> None:
    """The window counts unanswered appends; one answer frees all it covers, and an old one nothing."""
    peer = Progress(2, 1, window=2, match=0)
    peer.become_replicate()
    peer.sent(3)
    peer.sent(5)
    assert peer.is_full
    assert peer.next == 6
    assert peer.acknowledged(5)
    assert not peer.inflight
    assert not peer.acknowledged(3)
    assert peer.match == 5


def test_old_rejections_are_ignored() -> None:
    """A rejection counts only if it is about the last probe, or about more than is known to match."""
    peer = Progress(2, 9, window=2, match=4)
    peer.sent(9)
    assert not peer.rejected(3, 2)
    assert peer.is_paused
    assert peer.rejected(8, 6)
    assert (peer.next, peer.is_paused) == (7, False)
    peer.become_replicate()
    assert not peer.rejected(4, 1)
    assert peer.rejected(7, 1)
    assert (peer.state, peer.next) == (ProgressState.PROBE, 5)


def test_a_rejection_never_goes_behind_the_match() -> None:
    """Whatever a member's hint says, `next` stays above `match`."""
    peer = Progress(2, 9, window=2, match=4)
    assert peer.rejected(8, 0)
    assert peer.next == 5


def test_snapshot_state_waits_for_its_end() -> None:
    """In the snapshot state rejections say nothing; afterwards the probe starts behind the snapshot."""
    peer = Progress(2, 3, window=2, match=1)
    peer.become_snapshot(10)
    assert not peer.rejected(10, 0)
    peer.become_probe()
    assert (peer.state, peer.next, peer.pending_snapshot) == (ProgressState.PROBE, 11, 0)


# -- the log


def test_append_skips_what_is_there() -> None:
    """An append that repeats entries leaves them, and what follows them, alone."""
    log, _ = log_of(1, 1, 2)
    assert log.try_append(0, 0, entries(1, 1))
    assert (log.last_index, log.last_term, log.stable) == (3, 2, 3)
    assert log.unstable() == []


def test_append_replaces_from_the_first_conflict() -> None:
    """A conflict truncates from there on, synced or not; only that is written again."""
    log, storage = log_of(1, 1, 2, 2, commit=1)
    assert log.try_append(1, 1, entries(1, 3, after=1))
    assert (log.last_index, log.last_term, log.stable) == (3, 3, 2)
    assert log.unstable() == [Entry(3, 3, EntryKind.NORMAL, b"2")]
    storage.save(None, None, log.unstable())
    log.synced(3, 3)
    assert log.stable == storage.last_index() == 3


def test_append_without_the_previous_entry_is_refused() -> None:
    """Neither a missing nor a different previous entry is appended to."""
    log, _ = log_of(1, 1)
    assert not log.try_append(3, 1, entries(1, after=3))
    assert not log.try_append(2, 2, entries(2, after=2))
    assert log.last_index == 2


def test_committed_entries_are_never_replaced() -> None:
    """A conflict at or below the commit index is corruption, and changes nothing."""
    log, _ = log_of(1, 1, 1, commit=2)
    with pytest.raises(CorruptLog):
        log.try_append(1, 1, entries(2, after=1))
    assert (log.last_index, log.last_term) == (3, 1)


def test_append_with_a_hole_is_corrupt() -> None:
    """The entries of an append follow each other."""
    log, _ = log_of(1)
    with pytest.raises(CorruptLog):
        log.try_append(1, 1, (Entry(1, 3, EntryKind.NORMAL, b""),))


def test_commit_does_not_pass_the_end() -> None:
    """A commit index behind the log's end means that acknowledged entries are gone."""
    log, _ = log_of(1)
    with pytest.raises(CorruptLog):
        log.commit_to(2)
    log.commit_to(1)
    log.commit_to(0)
    assert log.commit == 1


def test_sync_of_replaced_entries_counts_for_nothing() -> None:
    """When entries are replaced while they are being synced, the end of that sync is not theirs."""
    log, _ = log_of(1)
    log.append(entries(1, 1, after=1))
    assert log.try_append(1, 1, entries(2, 2, after=1))
    log.synced(3, 1)
    assert log.stable == 1
    log.synced(3, 2)
    assert log.stable == 3


@given(st.lists(st.integers(1, 3), min_size=1, max_size=12), st.integers(1, 200), st.data())
def test_slice_reads_through_cache_and_storage(lengths: list[int], limit: int, data: st.DataObject) -> None:
    """A slice is the same whatever is cached: at least one entry, then as many as fit."""
    storage = MemoryStorage(VOTERS)
    log = RaftLog(storage, 0, cache_limit_bytes=data.draw(st.integers(1, 300)))
    written: list[Entry] = []
    for length in lengths:
        batch = [Entry(1, len(written) + n, EntryKind.NORMAL, b"x" * 9) for n in range(1, length + 1)]
        written += batch
        log.append(batch)
        storage.save(None, None, log.unstable())
        log.synced(len(written), 1)
    low = data.draw(st.integers(1, len(written)))
    high = data.draw(st.integers(low + 1, len(written) + 1))
    found = log.slice(low, high, limit)
    assert found == written[low - 1 : low - 1 + len(found)]
    assert 1 <= len(found) <= high - low
    size = sum(map(entry_bytes, found))
    assert size <= limit or len(found) == 1
    assert low + len(found) == high or size + entry_bytes(written[0]) > limit
    assert log.term(low) == 1


def test_find_match_skips_terms() -> None:
    """The hint is the newest entry whose term is not above the asked one; it never goes below the floor."""
    log, _ = log_of(1, 1, 1, 2, 2, 4, 4)
    assert log.find_match(7, 3, 0) == (5, 2)
    assert log.find_match(9, 9, 0) == (7, 4)
    assert log.find_match(5, 1, 0) == (3, 1)
    assert log.find_match(5, 0, 4) == (4, 2)


def test_find_match_stops_where_the_log_starts() -> None:
    """Behind the log's start nothing is known, and the search ends there."""
    log, storage = log_of(2, 2, 2, commit=2, cache=1)
    storage.took_snapshot(SnapshotMeta(2, 2, VOTERS))
    storage.compact(2)
    assert log.find_match(3, 1, 0) == (1, 0)


def test_a_restored_log_starts_behind_its_snapshot() -> None:
    """Until the snapshot is synced the storage's old content is not looked at."""
    log, storage = log_of(1, 1, 1, commit=1)
    meta = SnapshotMeta(5, 2, VOTERS)
    log.restore(meta)
    assert (log.first_index, log.last_index, log.last_term, log.commit, log.stable) == (6, 5, 2, 5, 5)
    assert log.term(5) == 2
    with pytest.raises(Compacted):
        log.term(3)
    with pytest.raises(Compacted):
        log.slice(2, 4, 100)
    with pytest.raises(Unavailable):
        log.snapshot()
    assert log.try_append(5, 2, entries(2, after=5))
    storage.save(None, meta, log.unstable())
    log.snapshot_synced(meta)
    log.synced(6, 2)
    assert log.slice(6, 7, 100) == list(entries(2, after=5))
    assert log.first_index == 6


# -- reads


def test_reads_wait_for_the_round_before() -> None:
    """One round is on its way at a time; a later round's confirmation covers it."""
    reads = ReadQueue()
    reads.waiting.append(1)
    assert reads.is_round_due()
    reads.start_round(10)
    reads.waiting.append(2)
    assert not reads.is_round_due()
    reads.start_round(11)
    assert reads.confirmed(0) == []
    assert reads.confirmed(2) == [ReadState(1, 10), ReadState(2, 11)]
    reads.waiting.append(3)
    reads.start_round(12)
    reads.waiting.append(4)
    assert reads.drop() == [3, 4]
    assert not reads.has_unconfirmed()


# -- memberships


@given(st.frozensets(st.integers(1, 2**64 - 1)), st.frozensets(st.integers(1, 2**64 - 1)))
def test_membership_survives_its_encoding(voters: frozenset[int], learners: frozenset[int]) -> None:
    """Decoding is the inverse of encoding, and equal memberships have equal bytes."""
    membership = Membership(voters, learners)
    assert decode_membership(encode_membership(membership)) == membership


@pytest.mark.parametrize("data", [b"", b"\x02\x00\x00\x00\x00", b"\x01\x01\x00\x00\x00", b"\x01\x00\x00\x00\x00x"])
def test_unreadable_membership_is_corrupt(data: bytes) -> None:
    """A version or length that is not this format's is an error, not a membership."""
    with pytest.raises(CorruptLog):
        decode_membership(data)


def test_changes_touch_one_node() -> None:
    """A node joins as a learner, is promoted, demoted, removed; whatever does not fit is refused."""
    one = Membership.of((1, 2), (3,))
    assert one.changed(MembershipChange(ChangeKind.ADD_LEARNER, 4)) == Membership.of((1, 2), (3, 4))
    assert one.changed(MembershipChange(ChangeKind.PROMOTE, 3)) == Membership.of((1, 2, 3))
    assert one.changed(MembershipChange(ChangeKind.DEMOTE, 2)) == Membership.of((1,), (2, 3))
    assert one.changed(MembershipChange(ChangeKind.REMOVE, 3)) == Membership.of((1, 2))
    for kind, node in [
        (ChangeKind.ADD_LEARNER, 1),
        (ChangeKind.ADD_LEARNER, 3),
        (ChangeKind.ADD_LEARNER, 0),
        (ChangeKind.PROMOTE, 1),
        (ChangeKind.PROMOTE, 4),
        (ChangeKind.DEMOTE, 3),
        (ChangeKind.REMOVE, 4),
    ]:
        with pytest.raises(ChangeRefused):
            one.changed(MembershipChange(kind, node))
    for kind in (ChangeKind.REMOVE, ChangeKind.DEMOTE):
        with pytest.raises(ChangeRefused):
            Membership.of((1,), (2,)).changed(MembershipChange(kind, 1))


# -- configuration and start


@pytest.mark.parametrize(
    "values",
    [{"node_id": 0}, {"heartbeat_ticks": 10}, {"heartbeat_ticks": 0}, {"max_append_bytes": 0}, {"log_cache_bytes": 0}],
)
def test_config_is_checked(values: dict[str, int]) -> None:
    """A configuration that cannot work is refused at once."""
    with pytest.raises(ValueError, match="must"):
        Config(**{"node_id": 1, **values})


def test_start_refuses_an_impossible_disk() -> None:
    """A log newer than its term, or compacted beyond the applied state, cannot be right."""
    storage = MemoryStorage(VOTERS)
    storage.save(HardState(term=1), None, entries(2))
    with pytest.raises(CorruptLog):
        Core(Config(1), storage, 0, lambda n: 0)
    storage.save(HardState(term=2, commit=1), None, [])
    storage.took_snapshot(SnapshotMeta(1, 2, VOTERS))
    storage.compact(1)
    with pytest.raises(CorruptLog):
        Core(Config(1), storage, 0, lambda n: 0)
    core = Core(Config(1), storage, 1, lambda n: 0)
    assert (core.role, core.term, core.commit_index, core.applied_index) == (Role.FOLLOWER, 2, 1, 1)


def test_one_ready_at_a_time() -> None:
    """While a Ready is not persisted there is no next one, but inputs are taken."""
    core = Core(Config(1), MemoryStorage(Membership.of((1,))), 0, lambda n: 0)
    core.campaign()
    ready = core.ready()
    assert not core.has_ready()
    core.tick()
    with pytest.raises(AssertionError):
        core.ready()
    core.persisted(ready)
    assert core.has_ready()
    assert core.role is Role.LEADER
