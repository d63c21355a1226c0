"""State machines fed the same log are equal, however the log is cut into transactions, snapshots in between."""

from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cairnfs.common.operations import AnyMutation, BlockCommit, Commit, Credentials, Extent, RenewBlock
from cairnfs.namenode.state.commands import AnyInternal, CloseSession, Item, internal_item
from cairnfs.namenode.state.machine import StateMachine
from tests.unit.state.check import check, traces_of
from tests.unit.state.driver import MAP_BYTES, ROOT, Driver, fast_folder
from tests.unit.state.strategies import credentials, inos, internals, mutations, offsets


class Replicas(RuleBasedStateMachine):
    """A leader that applies each entry at once, and a follower that lags, catches up, and is rebuilt."""

    @initialize()
    def start(self) -> None:
        self.folder = fast_folder()
        self.leader = Driver(Path(self.folder.name) / "leader")
        self.leader.mkdir(b"a", 0o777)
        self.leader.mkdir(b"b", 0o1777)
        self.leader.mkdir(b"a/c")
        self.leader.put(b"c", b"content", 0o666)
        self.leader.symlink(b"d", b"a/c")
        self.loads = 0
        self.follower = StateMachine.open(Path(self.folder.name) / "follower", map_size_bytes=MAP_BYTES)
        self.last: list[Item] = []

    def teardown(self) -> None:
        if hasattr(self, "leader"):
            self.catch_up()
            assert self.follower.digest() == self.leader.machine.digest()
            check(self.leader.machine)
            self.leader.machine.close()
            self.follower.close()
            self.folder.cleanup()

    @rule(batch=st.lists(st.tuples(mutations, credentials), min_size=1, max_size=6), lag=st.integers(0, 4))
    def mutate(self, batch: list[tuple[AnyMutation, Credentials]], lag: int) -> None:
        """Mutations of one session, in one entry; the client has the answers to all but a few."""
        self.last = []
        for operation, who in batch:
            item = self.leader.item(operation, who)
            answered = max(0, item.sequence - 1 - lag)
            self.last.append(Item(item.session, item.sequence, answered, who, item.body))
        self.leader.apply(*self.last)

    @rule(operation=mutations, who=credentials)
    def mutate_one(self, operation: AnyMutation, who: Credentials) -> None:
        """One mutation: where it is refused, nothing but its reply is new."""
        before = traces_of(self.leader.machine)
        outcome = self.leader.attempt(operation, who)
        assert not outcome.errno or traces_of(self.leader.machine) == before

    @rule()
    def retry(self) -> None:
        """The same operations again: the first answers, or ESTALE where the session has ended or has them."""
        if self.last:
            self.leader.apply(*self.last)

    @rule(command=internals)
    def lead(self, command: AnyInternal) -> None:
        """A duty of the leader."""
        self.leader.apply(internal_item(command))

    @rule(data=st.data(), ino=inos, offset=offsets, length=st.integers(1, 500), seal=st.booleans())
    def commit(self, data: st.DataObject, ino: int, offset: int, length: int, seal: bool) -> None:
        """Bytes written to a block that the session has open."""
        machine = self.leader.machine
        records = [machine.block(block) for block in range(1, machine.next_block())]
        is_mine = [record for record in records if record is not None and record.writer == self.leader.session]
        if is_mine:
            record = data.draw(st.sampled_from(is_mine))
            end = record.length + length
            extents = (Extent(offset, length, record.block, record.length),)
            commit = Commit(ino, extents, (BlockCommit(record.block, record.generation, end, seal),), seal)
            self.leader.attempt(commit, ROOT)

    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        """A pipeline that goes on without one of its datanodes."""
        machine = self.leader.machine
        for block in range(1, machine.next_block()):
            record = machine.block(block)
            if record is not None and record.writer == self.leader.session and len(record.replicas) > 2:
                survivors = tuple(data.draw(st.permutations(list(record.replicas)))[:2])
                self.leader.attempt(RenewBlock(block, record.generation, survivors))
                return

    @rule()
    def reopen(self) -> None:
        """The client's session ends, and it comes back with a new one."""
        self.leader.internal(CloseSession(self.leader.session))
        self.leader.session = self.leader.open_session(b"again-%d" % len(self.leader.log))

    @rule()
    def catch_up(self) -> None:
        """The follower applies all that it has not, in one transaction."""
        missing = self.leader.log[self.follower.applied_index :]
        if missing:
            self.follower.apply(missing)
        assert self.follower.applied_index == self.leader.machine.applied_index

    @rule()
    def commit_transaction(self) -> None:
        """The leader's transaction ends here, and a new one begins."""
        self.leader.machine.commit()

    @rule()
    def rebuild(self) -> None:
        """The follower is lost, and comes back from the leader's snapshot."""
        self.follower.close()
        self.loads += 1
        folder = Path(self.folder.name) / f"follower-{self.loads}"
        self.follower = StateMachine.load(folder, self.leader.machine.dump(), map_size_bytes=MAP_BYTES)
        assert self.follower.digest() == self.leader.machine.digest()

    @invariant()
    def tables_agree(self) -> None:
        """Links, sizes, live bytes, counters."""
        if hasattr(self, "leader"):
            check(self.leader.machine)


def test_equal_logs_make_equal_states() -> None:
    """The leader, a follower that applies the log in other transactions, and one rebuilt from a snapshot are equal."""
    run_state_machine_as_test(Replicas, settings=settings(max_examples=100, stateful_step_count=40, deadline=None))
