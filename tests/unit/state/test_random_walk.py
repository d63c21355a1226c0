"""Long random walks through commands that mostly succeed, in which every kind of mutation takes part."""

import random
from collections import Counter
from pathlib import Path

import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO
from cairnfs.common.operations import BlockCommit, Commit, Extent
from cairnfs.namenode.state import commands
from cairnfs.namenode.state.machine import StateMachine
from tests.unit.state.check import State, check, traces_of
from tests.unit.state.driver import ALICE, INLINE_MAX, MAP_BYTES, ROOT, Driver, fast_folder

STEPS = 1500
NAMES = [b"%d" % number for number in range(6)]
MODES = (0o755, 0o777, 0o644, 0o1777, 0o2777, 0o4755)


class Walker:
    """Draws commands that fit the state as it is."""

    def __init__(self, driver: Driver, seed: int) -> None:
        self.driver = driver
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()

    def step(self) -> None:
        """One mutation, seldom one of the leader's commands; what is refused must leave no trace."""
        with self.driver.machine._reading() as view:
            self.state = State(view.rows)
        if self.random.random() < 0.12:
            command = self.duty()
            self.driver.internal(command)
            self.done[type(command).__name__] += 1
            return
        operation = self.mutation()
        before = traces_of(self.driver.machine)
        outcome = self.driver.attempt(operation, self.random.choice((ROOT, ROOT, ROOT, ALICE)))
        if outcome.errno:
            assert traces_of(self.driver.machine) == before
        else:
            self.done[type(operation).__name__] += 1

    def path(self, *, new: bool = False) -> tuple[int, bytes]:
        """A name that is there, or a likely new one, with the inode of its folder."""
        if self.state.dentries and not new:
            folder, name, _, _ = self.random.choice(self.state.dentries)
            return folder, name
        folders = [ROOT_INO] + [ino for _, _, ino, kind in self.state.dentries if kind == 4]
        return self.random.choice(folders), self.random.choice(NAMES)

    def path_of(self, inos: list[int]) -> tuple[int, bytes]:
        """A name of one of these inodes, if there is any."""
        found = [(folder, name) for folder, name, ino, _ in self.state.dentries if ino in inos]
        return self.random.choice(found or [(ROOT_INO, b"0")])

    def file(self) -> int:
        """A file, by its inode."""
        files: list[int] = [ino for ino, inode in self.state.inodes.items() if inode.mode >> 12 == 8]
        return self.random.choice(files or [99])

    def range(self) -> tuple[int, int]:
        return self.random.choice((0, 10, 500, 5000)), self.random.choice((1, 200, 900))

    def open_block(self) -> tuple[int, int, int]:
        """(block, generation, length) of one that the session has open."""
        mine = [record for record in self.state.blocks.values() if record.writer == self.driver.session]
        if not mine:
            return 99, 1, 0
        record = self.random.choice(mine)
        return record.block, record.generation, record.length

    def mutation(self) -> ops.AnyMutation:
        draw = self.random
        here, new = self.path(), self.path(new=True)
        other = draw.choice((self.path(), self.path(new=True)))
        mode, flip = draw.choice(MODES), draw.random() < 0.5
        offset, length = self.range()
        block, generation, end = self.open_block()
        orphans = [ino for ino, maker in self.state.orphans.items() if maker == self.driver.session] or [99]
        extents = tuple(
            Extent(offset + 300 * i, length, block, end + length * i) for i in range(draw.choice((0, 1, 1, 3)))
        )
        committed = BlockCommit(block, generation, end + length * max(1, len(extents)), draw.random() < 0.2)
        operations: list[ops.AnyMutation] = [
            ops.MakeDirectory(*new, mode, flip),
            ops.CreateFile(*other, mode, flip, draw.random() < 0.3),
            ops.CreateOrphan(mode),
            ops.Publish(draw.choice(orphans), *other),
            ops.WriteFile(*other, mode, b"x" * draw.choice((0, 100, INLINE_MAX))),
            ops.MakeNode(*new, draw.choice((0o010644, 0o140644, 0o100644)), 0),
            ops.MakeSymlink(*new, draw.choice((*NAMES, b"../0", b"/1/2"))),
            ops.MakeLink(*here, *new, flip),
            ops.Unlink(*here),
            ops.RemoveDirectory(*self.path_of([ino for _, _, ino, kind in self.state.dentries if kind == 4])),
            ops.Rename(*here, *other, draw.choice((0, 0, 1, 2))),
            ops.SetAttributes(*here, mode=mode, size=draw.choice((-1, 0, 50, 3000))),
            ops.SetAttributes(*here, gid=draw.choice((1000, 2000)), mtime_ns=ops.TIME_NOW, follow=flip),
            ops.SetXattr(*here, draw.choice((b"user.a", b"security.capability")), b"v"),
            ops.RemoveXattr(*self.path_of(self.state.xattrs), b"user.a"),
            ops.Write(self.file(), offset, b"y" * length, flip),
            ops.AllocateBlock(self.file(), (), tuple(draw.sample((1, 2, 3), draw.choice((2, 3))))),
            ops.RenewBlock(block, generation, tuple(draw.sample((1, 2, 3), 2))),
            Commit(self.file(), extents, (committed,), flip),
            Commit(self.file(), extents, (committed,), flip),
            ops.AllocateRange(self.file(), draw.choice((0, 1, 3, 16, 17)), offset, length),
            ops.CopyFile(*here, *other),
            ops.ReportCorrupt(block, generation, draw.choice((1, 2, 3))),
        ]
        return draw.choice(operations)

    def duty(self) -> commands.AnyInternal:
        draw = self.random
        node = draw.choice((1, 2, 3))
        blocks = [(number, draw.choice((1, 1, 2)), 10_000_000) for number in range(1, self.state.counters.next_block)]
        some = draw.sample(blocks, min(3, len(blocks)))
        deletions = [(block, gen) for (at, block), gen in self.state.deletions.items() if at == node]
        choices: list[commands.AnyInternal] = [
            commands.ReapOrphans(list(self.state.orphans)[: draw.choice((1, 9))]),
            commands.UpdateReplicas(node, some, []),
            commands.UpdateReplicas(node, [], [block for block, _, _ in some]),
            commands.ConfirmDeletions(node, deletions[:2]),
            commands.OpenSession(b"%d" % draw.randrange(5), "client"),
        ]
        if draw.random() < 0.2:
            old = self.driver.session
            self.driver.session = self.driver.open_session(b"next-%d" % len(self.driver.log))
            return commands.CloseSession(old)
        return draw.choice(choices)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_walk_keeps_the_tables_in_agreement(seed: int) -> None:
    """All tables agree after every step, every kind of mutation succeeds, and a second machine comes out equal."""
    with fast_folder() as folder, Driver(Path(folder) / "one") as driver:
        walker = Walker(driver, seed)
        driver.do(ops.SetAttributes(ROOT_INO, b"", mode=0o777))
        for _ in range(STEPS):
            walker.step()
            check(driver.machine)
        kinds = {kind.__name__ for kind in (*ops.AnyMutation.__args__, *commands.AnyInternal.__args__)}
        assert kinds - set(walker.done) <= {"InitializeCluster", "RegisterDatanode"}

        other = StateMachine.open(Path(folder) / "two", map_size_bytes=MAP_BYTES)
        position = 0
        while position < len(driver.log):
            run = walker.random.choice((1, 5, 50))
            other.apply(driver.log[position : position + run])
            position += run
            if walker.random.random() < 0.5:
                other.commit()
        assert other.digest() == driver.machine.digest()
        other.close()
