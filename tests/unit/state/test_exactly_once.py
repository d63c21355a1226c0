"""Each mutation happens once, however often it is sent, through failover and snapshot."""

import errno
from pathlib import Path

import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO
from cairnfs.namenode.state import commands
from cairnfs.namenode.state.commands import Item
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.schema import TABLE_NAMES
from tests.unit.state.driver import MAP_BYTES, ROOT, Driver

FILE, FOLDER, ORPHAN, BLOCK = 2, 3, 4, 1

MUTATIONS = [
    ops.MakeDirectory(ROOT_INO, b"new", 0o755),
    ops.MakeDirectory(ROOT_INO, b"new/deep/er", 0o755, True),
    ops.CreateFile(ROOT_INO, b"new", 0o644, True),
    ops.CreateFile(ROOT_INO, b"file", 0o644, truncate=True),
    ops.CreateOrphan(0o644),
    ops.Publish(ORPHAN, ROOT_INO, b"file"),
    ops.WriteFile(ROOT_INO, b"new", 0o644, b"content", True),
    ops.MakeNode(ROOT_INO, b"new", 0o010644),
    ops.MakeSymlink(ROOT_INO, b"new", b"target"),
    ops.MakeLink(ROOT_INO, b"file", ROOT_INO, b"new"),
    ops.Unlink(ROOT_INO, b"file"),
    ops.RemoveDirectory(ROOT_INO, b"folder"),
    ops.Rename(ROOT_INO, b"file", ROOT_INO, b"new"),
    ops.Rename(ROOT_INO, b"file", ROOT_INO, b"folder", ops.RENAME_EXCHANGE),
    ops.SetAttributes(ROOT_INO, b"file", mode=0o600, size=3, mtime_ns=ops.TIME_NOW),
    ops.SetXattr(ROOT_INO, b"file", b"user.new", b"v", ops.XATTR_CREATE),
    ops.RemoveXattr(ROOT_INO, b"file", b"user.old"),
    ops.Write(FILE, 0, b"abc", True),
    ops.AllocateBlock(FILE, (), (1, 2, 3)),
    ops.RenewBlock(BLOCK, 1, (1, 3)),
    ops.Commit(FILE, (ops.Extent(0, 10, BLOCK, 100),), (ops.BlockCommit(BLOCK, 1, 110),), True),
    ops.AllocateRange(FILE, ops.FALLOC_ZERO_RANGE, 0, 100),
    ops.CopyFile(ROOT_INO, b"file", ROOT_INO, b"new", True),
    ops.ReportCorrupt(BLOCK, 1, 2),
]


def test_every_mutation_is_here() -> None:
    """No kind of mutation is left out below."""
    assert {type(mutation) for mutation in MUTATIONS} == set(ops.AnyMutation.__args__)


@pytest.fixture
def prepared(state: Driver) -> Driver:
    """A state in which each of the mutations succeeds once."""
    assert state.put(b"file", b"content").ino == FILE
    assert state.mkdir(b"folder").ino == FOLDER
    state.do(ops.CreateOrphan(0o644))
    state.do(ops.SetXattr(ROOT_INO, b"file", b"user.old", b"v"))
    assert state.write_block(FILE, 50, 100) == BLOCK
    return state


def rows_of(machine: StateMachine) -> dict[str, list[tuple[bytes, bytes]]]:
    """All rows but those that tell how far the log was applied."""
    with machine._reading() as view:
        tables = zip(TABLE_NAMES, view.tables.in_order(), strict=True)
        return {name: list(view.rows.scan(table, b"")) for name, table in tables if name != "meta"}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: type(mutation).__name__)
def test_a_repeated_mutation_has_no_effect(prepared: Driver, mutation: ops.AnyMutation, tmp_path: Path) -> None:
    """In the same entry, in a later one, and after a snapshot: the first answer, and no row changes."""
    item = prepared.item(mutation)
    first, again = prepared.apply(item, item)
    assert first.errno == 0, first.message
    assert again == first
    assert first.holds > 0 if isinstance(mutation, ops.CreateFile | ops.CreateOrphan) else first.holds == 0
    before = rows_of(prepared.machine)
    assert prepared.apply(item) == [first]
    assert rows_of(prepared.machine) == before

    copy = StateMachine.load(tmp_path / "copy", prepared.machine.dump(), map_size_bytes=MAP_BYTES)
    assert copy.apply([prepared.entry([item])]) == [[first]]
    assert rows_of(copy) == before
    copy.close()


def test_a_refusal_is_repeated(state: Driver) -> None:
    """What was refused stays refused, though it could be done now: the client may have acted on the refusal."""
    item = state.item(ops.MakeDirectory(ROOT_INO, b"a/b", 0o755))
    first = state.apply(item)[0]
    assert first.errno == errno.ENOENT
    state.mkdir(b"a")
    assert state.apply(item) == [first]
    assert state.names(b"a") == []


def test_a_refused_mutation_leaves_no_trace(prepared: Driver) -> None:
    """A refusal changes nothing but the replies."""
    before = rows_of(prepared.machine)
    for refused in (
        ops.MakeDirectory(ROOT_INO, b"file/new", 0o755, True),
        ops.Rename(ROOT_INO, b"folder", ROOT_INO, b"folder/x"),
        ops.Commit(FILE, (ops.Extent(0, 999, BLOCK, 0),), (ops.BlockCommit(BLOCK, 1, 200, True),)),
        ops.SetAttributes(ROOT_INO, b"folder", mode=0o700, size=1),
    ):
        assert prepared.errno_of(refused)
    after = rows_of(prepared.machine)
    del before["replies"], after["replies"]
    assert after == before


def test_answered_replies_are_forgotten(state: Driver) -> None:
    """What the client has the answers to takes no room, and is refused if it is sent again."""
    for sequence in range(1, 6):
        state.apply(state.item(ops.MakeDirectory(ROOT_INO, b"%d" % sequence, 0o755), sequence=sequence))
    state.apply(state.item(ops.MakeDirectory(ROOT_INO, b"6", 0o755), sequence=6, answered=4))
    assert len(rows_of(state.machine)["replies"]) == 2
    late = state.apply(state.item(ops.RemoveDirectory(ROOT_INO, b"1"), sequence=3))[0]
    assert late.errno == errno.ESTALE
    assert b"1" in state.names(b"/")


def test_an_operation_cannot_declare_itself_answered(state: Driver) -> None:
    """An item that claims to have its own answer is kept all the same, and repeated."""
    item = state.item(ops.MakeDirectory(ROOT_INO, b"a", 0o755), sequence=7, answered=99)
    assert state.apply(item) == state.apply(item)


def test_sequences_may_have_gaps_and_come_in_any_order(state: Driver) -> None:
    """Queries take sequences too, and a batch may overtake another."""
    assert state.apply(state.item(ops.MakeDirectory(ROOT_INO, b"a", 0o755), sequence=9))[0].errno == 0
    assert state.apply(state.item(ops.MakeDirectory(ROOT_INO, b"b", 0o755), sequence=4))[0].errno == 0


def test_a_session_that_has_ended_is_stale(state: Driver) -> None:
    """Operations of a closed session, or one never opened, are refused, known replies included."""
    item = state.item(ops.MakeDirectory(ROOT_INO, b"a", 0o755))
    state.apply(item)
    state.internal(commands.CloseSession(state.session))
    assert state.apply(item)[0].errno == errno.ESTALE
    assert state.apply(Item(99, 1, 0, ROOT, item.body))[0].errno == errno.ESTALE


def test_the_same_nonce_opens_the_same_session(state: Driver) -> None:
    """Opening a session can be retried; after its end the nonce opens a new one."""
    session = state.open_session(b"nonce")
    assert state.open_session(b"nonce") == session
    state.internal(commands.CloseSession(session))
    assert state.open_session(b"nonce") > session
    assert state.machine.statistics().sessions == 2
