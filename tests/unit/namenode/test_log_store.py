"""The log on disk: what append() returned for is there after a reopen, and damage is never read as data."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cairnfs.common.errors import BadConfig
from cairnfs.namenode.log_store import LogStore
from cairnfs.namenode.raft import Compacted, Entry, EntryKind, HardState, Membership, SnapshotMeta, Unavailable


def open_log(folder: Path, *, cluster_id: str = "c", node_id: int = 1) -> LogStore:
    return LogStore(folder, cluster_id=cluster_id, node_id=node_id, members=[1, 2, 3], map_size_bytes=1 << 28)


def entries(low: int, high: int, term: int = 1) -> list[Entry]:
    return [Entry(term, index, EntryKind.NORMAL, b"%d" % index * 10) for index in range(low, high)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogStore]:
    store = open_log(tmp_path / "log")
    yield store
    store.close()


def test_an_empty_log_starts_with_the_first_membership(log: LogStore) -> None:
    """A new log has no entries, no vote, and the configured voters."""
    assert log.initial_state() == (HardState(), Membership.of((1, 2, 3)))
    assert (log.first_index(), log.last_index(), log.term(0)) == (1, 0, 0)


def test_what_was_appended_is_there_after_a_reopen(tmp_path: Path) -> None:
    """Entries and vote survive; nothing more is needed for that than append()."""
    store = open_log(tmp_path / "log")
    store.append(HardState(2, 3, 0), entries(1, 50, term=2))
    store.close()
    again = open_log(tmp_path / "log")
    assert again.initial_state()[0] == HardState(2, 3, 0)
    assert again.entries(1, 50, 1 << 20) == entries(1, 50, term=2)
    assert again.last_index() == 49
    again.close()


def test_a_conflicting_suffix_is_replaced(log: LogStore) -> None:
    """Entries from the first new index on give way, also those beyond the last new one."""
    log.append(None, entries(1, 10))
    log.append(HardState(2, 0, 0), entries(4, 6, term=2))
    assert log.last_index() == 5
    assert [entry.term for entry in log.entries(1, 6, 1 << 20)] == [1, 1, 1, 2, 2]
    with pytest.raises(Unavailable):
        log.term(6)


def test_a_page_of_entries_has_at_least_one(log: LogStore) -> None:
    """The byte limit cuts a page, but never to nothing."""
    log.append(None, entries(1, 10))
    assert len(log.entries(1, 10, 1)) == 1
    assert len(log.entries(1, 10, 25)) == 2


def test_a_compacted_head_is_gone_and_its_term_known(log: LogStore) -> None:
    """After compaction the log starts behind the index, whose term can still be asked."""
    log.append(None, entries(1, 20))
    log.compact(10)
    assert (log.first_index(), log.snapshot().index, log.term(10)) == (11, 10, 1)
    with pytest.raises(Compacted):
        log.entries(10, 12, 1)


def test_a_reset_starts_after_the_snapshot(tmp_path: Path) -> None:
    """Log, vote and the state's folder change in one transaction."""
    store = open_log(tmp_path / "log")
    store.append(None, entries(1, 20))
    snapshot = SnapshotMeta(100, 3, Membership.of((1, 2)))
    store.reset(snapshot, "state-100-3", HardState(3, 0, 100))
    store.close()
    again = open_log(tmp_path / "log")
    assert (again.first_index(), again.last_index(), again.term(100)) == (101, 100, 3)
    assert again.state_directory == "state-100-3"
    assert again.initial_state() == (HardState(3, 0, 100), Membership.of((1, 2)))
    again.close()


def test_a_commit_index_alone_is_not_written(log: LogStore) -> None:
    """It is worth no sync, but is known, and goes out with the next write."""
    log.append(HardState(1, 1, 0), entries(1, 3))
    log.append(HardState(1, 1, 2), [])
    assert log.initial_state()[0].commit == 2


def test_another_nodes_folder_is_refused(tmp_path: Path) -> None:
    """A log belongs to one node of one cluster."""
    open_log(tmp_path / "log").close()
    with pytest.raises(BadConfig, match="belongs to namenode 1"):
        open_log(tmp_path / "log", node_id=2)
    with pytest.raises(BadConfig, match="of cluster c"):
        open_log(tmp_path / "log", cluster_id="d")
