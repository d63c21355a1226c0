"""Every mutation, sent again after its answer was lost and the leadership has moved, is applied once."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import Attributes
from cairnfs.namenode.proposals import Proposal
from cairnfs.namenode.state.commands import RegisterDatanode, internal_item
from cairnfs.namenode.state.sessions import Outcome
from tests.namenode.fake_datanodes import register_datanodes
from tests.namenode.group import NamenodeGroup, wait_until
from tests.namenode.raw_session import RawSession


def decode(body: bytes, kind: type) -> object:
    """An answer's body."""
    return msgspec.msgpack.decode(body, type=kind)


def attributes(session: RawSession, path: bytes) -> Attributes:
    """lstat of a path."""
    node = decode(session.do(ops.GetAttributes(1, path, follow=False), level=1), ops.Node)
    assert isinstance(node, ops.Node)
    return Attributes.unpack(node.record)


@dataclass
class Scene:
    """What a case works on: a folder, and an open file in it with an open block."""

    session: RawSession
    folder: bytes
    ino: int = 0
    block: ops.LocatedBlock | None = None
    facts: dict[str, object] = field(default_factory=dict)

    def path(self, name: bytes) -> bytes:
        """A path in the folder."""
        return self.folder + b"/" + name

    def open_file(self, name: bytes = b"open") -> int:
        """Make a file that the session holds."""
        made = decode(self.session.do(ops.CreateFile(1, self.path(name), 0o644)), ops.FileMap)
        assert isinstance(made, ops.FileMap)
        self.ino = Attributes.unpack(made.record).ino
        self.session.held.append(self.ino)
        return self.ino

    def allocate(self) -> ops.LocatedBlock:
        """Give the open file a block."""
        block = decode(self.session.do(ops.AllocateBlock(self.ino)), ops.LocatedBlock)
        assert isinstance(block, ops.LocatedBlock)
        self.block = block
        return block


Prepare = Callable[[Scene], ops.AnyMutation]
Check = Callable[[Scene], None]


def file(scene: Scene, name: bytes, content: bytes = b"content") -> bytes:
    """Write a file; returns its path."""
    scene.session.do(ops.WriteFile(1, scene.path(name), 0o644, content))
    return scene.path(name)


def exists(name: bytes) -> Check:
    def check(scene: Scene) -> None:
        attributes(scene.session, scene.path(name))

    return check


def is_gone(name: bytes) -> Check:
    def check(scene: Scene) -> None:
        assert scene.session.call(ops.GetAttributes(1, scene.path(name), follow=False)).errno == 2

    return check


def has_size(name: bytes, size: int) -> Check:
    def check(scene: Scene) -> None:
        assert attributes(scene.session, scene.path(name)).size == size

    return check


def prepare_orphan(scene: Scene) -> ops.AnyMutation:
    made = decode(scene.session.do(ops.CreateOrphan(0o644)), ops.FileMap)
    assert isinstance(made, ops.FileMap)
    scene.ino = Attributes.unpack(made.record).ino
    scene.session.held.append(scene.ino)
    return ops.Publish(scene.ino, 1, scene.path(b"published"), exclusive=True)


def prepare_commit(scene: Scene) -> ops.AnyMutation:
    scene.open_file()
    block = scene.allocate()
    extents = (ops.Extent(0, 100, block.block, 0),)
    return ops.Commit(scene.ino, extents, (ops.BlockCommit(block.block, block.generation, 100),), append=True)


def prepare_renewal(scene: Scene) -> ops.AnyMutation:
    scene.open_file()
    block = scene.allocate()
    survivors = tuple(replica.node for replica in block.replicas[:2])
    return ops.RenewBlock(block.block, block.generation, survivors)


def check_renewal(scene: Scene) -> None:
    assert scene.block is not None
    again = scene.session.call(
        ops.RenewBlock(scene.block.block, scene.block.generation, tuple(r.node for r in scene.block.replicas[:2]))
    )
    assert again.errno == 116, "the generation has moved on, once"
    length = ops.BlockCommit(scene.block.block, scene.block.generation + 1, 5)
    scene.session.do(ops.Commit(scene.ino, (), (length,)))


def prepare_write(scene: Scene) -> ops.AnyMutation:
    return ops.Write(scene.open_file(), 0, b"0123456789", append=True)


def prepare_report(scene: Scene) -> ops.AnyMutation:
    scene.open_file()
    block = scene.allocate()
    return ops.ReportCorrupt(block.block, block.generation, block.replicas[0].node)


def prepare_allocation(scene: Scene) -> ops.AnyMutation:
    ino = scene.open_file()
    return ops.AllocateBlock(ino)


CASES: dict[str, tuple[Prepare, Check]] = {
    "MakeDirectory": (lambda s: ops.MakeDirectory(1, s.path(b"d"), 0o755), exists(b"d")),
    "CreateFile": (lambda s: ops.CreateFile(1, s.path(b"f"), 0o644, exclusive=True), exists(b"f")),
    "CreateOrphan": (lambda s: ops.CreateOrphan(0o644), lambda s: None),
    "Publish": (prepare_orphan, exists(b"published")),
    "WriteFile": (lambda s: ops.WriteFile(1, s.path(b"w"), 0o644, b"abc", exclusive=True), has_size(b"w", 3)),
    "MakeNode": (lambda s: ops.MakeNode(1, s.path(b"fifo"), 0o010644), exists(b"fifo")),
    "MakeSymlink": (lambda s: ops.MakeSymlink(1, s.path(b"l"), b"target"), exists(b"l")),
    "MakeLink": (
        lambda s: ops.MakeLink(1, file(s, b"a"), 1, s.path(b"b")),
        lambda s: None if attributes(s.session, s.path(b"b")).nlink == 2 else pytest.fail("linked twice"),
    ),
    "Unlink": (lambda s: ops.Unlink(1, file(s, b"gone")), is_gone(b"gone")),
    "RemoveDirectory": (
        lambda s: (s.session.do(ops.MakeDirectory(1, s.path(b"rd"), 0o755)), ops.RemoveDirectory(1, s.path(b"rd")))[1],
        is_gone(b"rd"),
    ),
    "Rename": (lambda s: ops.Rename(1, file(s, b"old"), 1, s.path(b"new")), exists(b"new")),
    "SetAttributes": (lambda s: ops.SetAttributes(1, file(s, b"t"), size=3), has_size(b"t", 3)),
    "SetXattr": (
        lambda s: ops.SetXattr(1, file(s, b"x"), b"user.a", b"1", ops.XATTR_CREATE),
        lambda s: None if s.session.do(ops.GetXattr(1, s.path(b"x"), b"user.a")) else pytest.fail("not set"),
    ),
    "RemoveXattr": (
        lambda s: (
            s.session.do(ops.SetXattr(1, file(s, b"rx"), b"user.a", b"1")),
            ops.RemoveXattr(1, s.path(b"rx"), b"user.a"),
        )[1],
        lambda s: (
            None
            if s.session.call(ops.GetXattr(1, s.path(b"rx"), b"user.a")).errno == 61
            else pytest.fail("still there")
        ),
    ),
    "Write": (prepare_write, has_size(b"open", 10)),
    "AllocateBlock": (prepare_allocation, lambda s: None),
    "RenewBlock": (prepare_renewal, check_renewal),
    "Commit": (prepare_commit, has_size(b"open", 100)),
    "AllocateRange": (lambda s: ops.AllocateRange(s.open_file(), 0, 0, 50), has_size(b"open", 50)),
    "CopyFile": (lambda s: ops.CopyFile(1, file(s, b"c1"), 1, s.path(b"c2"), exclusive=True), has_size(b"c2", 7)),
    "ReportCorrupt": (prepare_report, lambda s: None),
}


def test_every_mutation_has_a_case() -> None:
    """A new operation needs a case here."""
    assert set(CASES) == {kind.__name__ for kind in ops.Mutation.__subclasses__()}


@pytest.fixture(scope="module")
def datanodes(group: NamenodeGroup) -> None:
    """Three datanodes that the leader believes alive: registered, with room, and heard of by every member."""
    register_datanodes(group)


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_mutation_whose_answer_was_lost_is_applied_once(
    group: NamenodeGroup, session: RawSession, folder: bytes, datanodes: None, name: str
) -> None:
    """The story: sent, committed, answer lost; another namenode leads; sent again: the first answer, one effect."""
    prepare, check = CASES[name]
    scene = Scene(session, folder)
    operation = prepare(scene)
    sequence = session.send(operation)
    before = session.answer(sequence)
    assert before.errno == 0, before.message
    session.disconnect()
    group.move_leadership()
    session.connect(group.addresses)
    session.send(operation, sequence=sequence)
    after = session.answer(sequence)
    assert (after.errno, after.body) == (before.errno, before.body)
    check(scene)


def test_a_refusal_is_repeated_too(group: NamenodeGroup, session: RawSession, folder: bytes) -> None:
    """An operation that was refused is not tried again, even where it would succeed by now."""
    sequence = session.send(ops.Unlink(1, folder + b"/later"))
    assert session.answer(sequence).errno == 2
    session.do(ops.WriteFile(1, folder + b"/later", 0o644, b""))
    session.disconnect()
    group.move_leadership()
    session.connect(group.addresses)
    session.send(ops.Unlink(1, folder + b"/later"), sequence=sequence)
    assert session.answer(sequence).errno == 2
    session.do(ops.GetAttributes(1, folder + b"/later"))


def test_an_internal_command_outlives_a_leader(group: NamenodeGroup) -> None:
    """A datanode that registers again keeps its number."""

    def register() -> bytes:
        outcomes: list[Outcome | None] = []
        command = RegisterDatanode("same-uuid", "127.0.0.1:9")
        node = group.servers[group.leader()].node
        node.propose([Proposal(internal_item(command), outcomes.append)])
        wait_until(lambda: bool(outcomes), "the command is applied")
        assert outcomes[0] is not None
        return outcomes[0].body

    first = register()
    group.move_leadership()
    assert register() == first
