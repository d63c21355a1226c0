"""The machine as a whole: transactions, restarts, snapshots, digests."""

import errno
import itertools
from pathlib import Path

import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO
from cairnfs.common.errors import ProtocolError
from cairnfs.namenode.state import commands, directories, machine, snapshot
from cairnfs.namenode.state.commands import LogBatch, encode_batch
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.schema import META_FORMAT, U32
from cairnfs.namenode.state.snapshot import BadSnapshot
from cairnfs.namenode.state.tables.store import BadState, Store
from tests.unit.state.check import check
from tests.unit.state.driver import MAP_BYTES, Driver


def open_machine(directory: Path) -> StateMachine:
    return StateMachine.open(directory, map_size_bytes=MAP_BYTES)


def fill(state: Driver) -> None:
    """Something in every table."""
    ino = state.put(b"f", b"content").ino
    state.write_block(ino, 100, 500)
    state.symlink(b"l", b"f")
    state.do(ops.SetXattr(ROOT_INO, b"f", b"user.a", b""))
    state.attempt(ops.CreateOrphan(0o644))
    state.write_block(ino, 0, 0, seal=True)


def test_a_restart_finds_what_was_applied(tmp_path: Path) -> None:
    """Index, term and content are as they were, and the log goes on."""
    with Driver(tmp_path) as state:
        fill(state)
        before = state.machine.digest()
    again = open_machine(tmp_path)
    assert again.digest() == before
    assert (again.applied_index, again.applied_term) == (before[0], 1)
    again.apply([(before[0] + 1, 2, b"")])
    assert (again.applied_index, again.applied_term) == (before[0] + 1, 2)
    assert again.digest() != before
    check(again)
    again.close()


def test_an_entry_is_applied_once(state: Driver) -> None:
    """An entry at or below the applied index is a bug of the caller."""
    state.machine.commit()
    for index in (1, len(state.log)):
        with pytest.raises(AssertionError):
            state.machine.apply([(index, 1, b"")])
    state.machine.apply([(len(state.log) + 1, 1, b"")])


def test_a_failure_in_the_middle_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug inside an item undoes its entry as a whole, whatever it had written."""
    with Driver(tmp_path) as state:
        state.mkdir(b"before")
        state.machine.commit()
        digest = state.machine.digest()
        done, broken = (state.item(ops.MakeDirectory(ROOT_INO, name, 0o755)) for name in (b"a", b"b"))
        handlers = machine._MUTATIONS
        calls = itertools.count()

        def fail_second(*arguments: object) -> object:
            if next(calls):
                raise ZeroDivisionError
            return directories.make_directory(*arguments)  # type: ignore[arg-type]

        monkeypatch.setitem(handlers, ops.MakeDirectory, fail_second)
        with pytest.raises(ZeroDivisionError):
            state.machine.apply([state.entry([done, broken])])
        assert state.machine.digest() == digest
        assert state.names(b"/") == [b"before"]


def test_an_entry_of_another_version_stops_the_namenode(state: Driver) -> None:
    """What cannot be understood is not skipped."""
    entry = (len(state.log) + 1, 1, encode_batch(LogBatch(2, state.now_ns, [])))
    with pytest.raises(ProtocolError, match="version 2"):
        state.machine.apply([entry])


@pytest.mark.parametrize("cut", [1, 7, 1000, 1 << 20])
def test_a_snapshot_is_the_state(state: Driver, tmp_path: Path, cut: int) -> None:
    """However the stream is cut, the loaded state is equal and goes on equally."""
    fill(state)
    stream = b"".join(state.machine.dump())
    chunks = [stream[at : at + cut] for at in range(0, len(stream), cut)]
    copy = StateMachine.load(tmp_path / "copy", chunks, map_size_bytes=MAP_BYTES)
    assert copy.digest() == state.machine.digest()
    entry = state.entry([state.item(ops.MakeDirectory(ROOT_INO, b"later", 0o755))])
    assert copy.apply([entry]) == state.machine.apply([entry])
    assert copy.digest() == state.machine.digest()
    copy.close()


def test_a_snapshot_is_of_one_moment(state: Driver, tmp_path: Path) -> None:
    """What is applied while a dump goes on is not in it."""
    fill(state)
    before = state.machine.digest()
    moment = state.machine.moment()
    with moment:
        state.mkdir(b"later")
        state.machine.commit()
        assert (moment.index, moment.digest()) == before
        copy = StateMachine.load(tmp_path / "copy", moment.dump(), map_size_bytes=MAP_BYTES)
    assert copy.digest() == before
    copy.close()


def test_a_large_snapshot_comes_in_chunks(state: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks are of about the stated size, and loading takes several transactions."""
    monkeypatch.setattr(snapshot, "_CHUNK_BYTES", 2000)
    monkeypatch.setattr(snapshot, "_TRANSACTION_BYTES", 5000)
    for number in range(50):
        state.put(b"%d" % number, b"x" * 500)
    chunks = list(state.machine.dump())
    assert len(chunks) > 10
    assert max(len(chunk) for chunk in chunks) < 4000
    copy = StateMachine.load(tmp_path / "copy", chunks, map_size_bytes=MAP_BYTES)
    assert copy.digest() == state.machine.digest()
    copy.close()


def test_a_broken_snapshot_is_refused(state: Driver, tmp_path: Path) -> None:
    """A stream cut anywhere, of another kind, or with a row missing, makes no state that can be opened."""
    fill(state)
    stream = b"".join(state.machine.dump())
    header, rest = stream[:24], stream[24:]
    table, key_length, value_length = snapshot._ROW.unpack_from(rest)
    assert table == 0
    without_first_row = header + rest[snapshot._ROW.size + key_length + value_length :]
    wrong = [b"", b"x" * 100, header, stream[:-1], stream[: len(stream) // 2], without_first_row]
    unknown_table = header + snapshot._ROW.pack(99, 0, 0)
    for number, bad in enumerate([*wrong, unknown_table]):
        folder = tmp_path / str(number)
        with pytest.raises(BadSnapshot):
            StateMachine.load(folder, [bad], map_size_bytes=MAP_BYTES)


def test_a_load_that_was_killed_cannot_be_opened(state: Driver, tmp_path: Path) -> None:
    """Rows without the last table are an incomplete state, and said to be."""
    fill(state)
    stream = b"".join(state.machine.dump())
    folder = tmp_path / "copy"
    with pytest.raises(BadSnapshot):
        StateMachine.load(folder, [stream[: len(stream) - 60]], map_size_bytes=MAP_BYTES)
    with pytest.raises(BadState, match="incomplete"):
        open_machine(folder)


def test_a_snapshot_needs_an_empty_folder(state: Driver) -> None:
    """A state that exists is not overwritten."""
    with pytest.raises(FileExistsError):
        StateMachine.load(state.directory, state.machine.dump(), map_size_bytes=MAP_BYTES)


def test_another_format_is_refused(tmp_path: Path) -> None:
    """A state written by a later version is not touched."""
    store = Store(tmp_path, map_size_bytes=MAP_BYTES)
    with store.writing() as rows:
        rows.put(rows.tables.meta, META_FORMAT, U32.pack(2))
    store.close()
    with pytest.raises(BadState, match="format 2"):
        open_machine(tmp_path)


def test_the_digest_tells_any_difference(state: Driver) -> None:
    """One byte of content is enough."""
    state.put(b"f", b"a")
    one = state.machine.digest()[1]
    state.put(b"f", b"b")
    assert state.machine.digest()[1] != one


def test_statistics_count(state: Driver) -> None:
    """Inodes with orphans and the root, blocks, sessions."""
    fill(state)
    statistics = state.machine.statistics()
    assert (statistics.inodes, statistics.blocks, statistics.sessions) == (4, 1, 1)
    sessions = state.machine.sessions()
    assert [(number, record.client_name) for number, record in sessions] == [(state.session, "tester")]


def test_pages_of_the_leaders_lists(state: Driver) -> None:
    """Orphans, replicas and deletions are given a page at a time, after what was seen."""
    ino = state.put(b"f").ino
    numbers = [state.write_block(ino, 10 * i, 10) for i in range(4)]
    assert [row[0] for row in state.machine.replicas_on(1, 0, 2)] == numbers[:2]
    assert [row[0] for row in state.machine.replicas_on(1, numbers[1], 9)] == numbers[2:]
    orphans = [state.attempt(ops.CreateOrphan(0o644)).holds for _ in range(3)]
    assert [row[0] for row in state.machine.orphans(orphans[0], 1)] == orphans[1:2]
    assert state.machine.orphans((1 << 64) - 1, 9) == []
    state.internal(commands.CloseSession(state.session))
    state.internal(commands.ReapOrphans([ino, *orphans]))
    assert state.machine.statistics().inodes == 2
    assert state.machine.deletions(1, 2) == []


def test_an_unlinked_file_gives_up_its_blocks_when_reaped(state: Driver) -> None:
    """Deletions are listed by datanode, a page at a time."""
    ino = state.put(b"f").ino
    numbers = [state.write_block(ino, 10 * i, 10, seal=True) for i in range(3)]
    state.do(ops.Unlink(ROOT_INO, b"f"))
    state.internal(commands.ReapOrphans([ino]))
    assert state.machine.deletions(2, 2) == [(block, 1) for block in numbers[:2]]


@pytest.mark.parametrize("nonce", [b"", b"n" * 65])
def test_a_nonce_has_a_bounded_length(state: Driver, nonce: bytes) -> None:
    """Nonces are keys."""
    item = commands.internal_item(commands.OpenSession(nonce, "c"))
    assert state.apply(item)[0].errno == errno.EINVAL
