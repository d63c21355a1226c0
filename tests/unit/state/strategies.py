"""Random commands: plausible ones, and ones with wild values in every field."""

from typing import Any, get_args, get_type_hints

import msgspec
from hypothesis import strategies as st

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO
from cairnfs.namenode.state import commands
from tests.unit.state.driver import ALICE, BOB, INLINE_MAX, ROOT

MUTATIONS: tuple[type, ...] = get_args(ops.AnyMutation)
INTERNALS: tuple[type, ...] = get_args(commands.AnyInternal)

credentials = st.sampled_from([ROOT, ROOT, ROOT, ALICE, BOB])
names = st.sampled_from([b"e", b"f", b"a", b"b", b"c", b"d"])
steps = st.one_of(names, names, names, st.sampled_from([b".", b".."]))
paths = st.one_of(
    names,
    names,
    st.builds(
        lambda parts, slash: b"/".join(parts) + slash,
        st.lists(steps, min_size=1, max_size=3),
        st.sampled_from([b"", b"", b"", b"/"]),
    ),
)
folders = st.sampled_from([ROOT_INO, ROOT_INO, ROOT_INO, 2, 3])
inos = st.integers(2, 12)
modes = st.sampled_from([0o644, 0o755, 0o777, 0o000, 0o1777, 0o2775, 0o4755, 0o6555])
offsets = st.sampled_from([0, 1, 100, INLINE_MAX - 1, INLINE_MAX, 5000])
lengths = st.sampled_from([0, 1, 100, INLINE_MAX, 3000])
blocks = st.integers(1, 8)
nodes = st.integers(1, 3)
placements = st.lists(nodes, unique=True, max_size=3).map(tuple)
extents = st.builds(ops.Extent, offsets, lengths, blocks, offsets)
block_commits = st.builds(ops.BlockCommit, blocks, st.integers(1, 2), st.integers(0, 10_000), st.booleans())
contents = lengths.map(lambda length: b"x" * length)
kinds = st.sampled_from([0, 0o100000, 0o010000, 0o140000, 0o020000, 0o060000, 0o040000, 0o120000])
times = st.sampled_from([ops.TIME_OMIT, ops.TIME_OMIT, ops.TIME_NOW, 5, 10**18])
xattr_names = st.sampled_from([b"user.a", b"user.b", b"trusted.a", b"security.a", b"system.posix_acl_access", b"x"])
ids = st.sampled_from([-1, -1, 0, 1000, 2000])

plausible: dict[type, st.SearchStrategy[Any]] = {
    ops.MakeDirectory: st.builds(ops.MakeDirectory, folders, paths, modes, st.booleans()),
    ops.CreateFile: st.builds(
        ops.CreateFile, folders, paths, modes, st.booleans(), st.booleans(), st.sampled_from([0, 2, 4, 6])
    ),
    ops.CreateOrphan: st.builds(ops.CreateOrphan, modes),
    ops.Publish: st.builds(ops.Publish, inos, folders, paths, st.booleans()),
    ops.WriteFile: st.builds(ops.WriteFile, folders, paths, modes, contents, st.booleans()),
    ops.MakeNode: st.builds(
        ops.MakeNode, folders, paths, st.builds(lambda kind, mode: kind | mode, kinds, modes), st.integers(0, 999)
    ),
    ops.MakeSymlink: st.builds(ops.MakeSymlink, folders, paths, paths),
    ops.MakeLink: st.builds(ops.MakeLink, folders, paths, folders, paths, st.booleans()),
    ops.Unlink: st.builds(ops.Unlink, folders, paths),
    ops.RemoveDirectory: st.builds(ops.RemoveDirectory, folders, paths),
    ops.Rename: st.builds(ops.Rename, folders, paths, folders, paths, st.sampled_from([0, 0, 1, 2])),
    ops.SetAttributes: st.builds(
        ops.SetAttributes,
        folders,
        st.one_of(paths, st.just(b"")),
        st.one_of(st.just(-1), modes),
        ids,
        ids,
        st.one_of(st.just(-1), lengths, st.just(1 << 40)),
        times,
        times,
        st.booleans(),
        st.booleans(),
    ),
    ops.SetXattr: st.builds(
        ops.SetXattr, folders, paths, xattr_names, st.binary(max_size=9), st.sampled_from([0, 1, 2]), st.booleans()
    ),
    ops.RemoveXattr: st.builds(ops.RemoveXattr, folders, paths, xattr_names, st.booleans()),
    ops.Write: st.builds(ops.Write, inos, offsets, contents, st.booleans()),
    ops.AllocateBlock: st.builds(ops.AllocateBlock, inos, st.just(()), placements),
    ops.RenewBlock: st.builds(ops.RenewBlock, blocks, st.integers(1, 2), placements),
    ops.Commit: st.builds(
        ops.Commit,
        inos,
        st.lists(extents, max_size=3).map(tuple),
        st.lists(block_commits, max_size=3).map(tuple),
        st.booleans(),
    ),
    ops.AllocateRange: st.builds(ops.AllocateRange, inos, st.sampled_from([0, 1, 3, 16, 17]), offsets, lengths),
    ops.CopyFile: st.builds(ops.CopyFile, folders, paths, folders, paths, st.booleans()),
    ops.ReportCorrupt: st.builds(ops.ReportCorrupt, blocks, st.integers(1, 2), nodes),
}
mutations = st.one_of(*plausible.values())

copies = st.tuples(blocks, st.integers(1, 3), st.sampled_from([0, 100, 10_000]))
internals = st.one_of(
    st.builds(commands.OpenSession, st.sampled_from([b"one", b"two", b"three"]), st.just("client")),
    st.builds(commands.CloseSession, st.integers(2, 6)),
    st.builds(commands.RegisterDatanode, st.sampled_from(["uuid-a", "uuid-d"]), st.sampled_from(["a:1", "a:2"])),
    st.builds(commands.UpdateReplicas, nodes, st.lists(copies, max_size=4), st.lists(blocks, max_size=2)),
    st.builds(commands.ConfirmDeletions, nodes, st.lists(st.tuples(blocks, st.integers(1, 3)), max_size=4)),
    st.builds(commands.ReapOrphans, st.lists(st.integers(1, 40), max_size=20)),
)

wild_numbers = st.one_of(
    st.integers(-2, 8),
    st.sampled_from([0o100644, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]),
    st.sampled_from([-(1 << 31), -(1 << 32), -(1 << 63)]),
)
wild_bytes = st.one_of(
    paths,
    xattr_names,
    st.sampled_from(
        [b"", b"/", b"//", b"\0", b"a\0b", b"\xff\xfe", b"n" * 255, b"n" * 256, b"a/" * 2048, b"n" * 70000]
    ),
    st.binary(max_size=20),
)


def wild(kind: type) -> st.SearchStrategy[Any]:
    """A command of this kind with any values that its types allow."""
    return st.builds(kind, **{name: _wild_field(hint) for name, hint in get_type_hints(kind).items()})


def _wild_field(hint: Any) -> st.SearchStrategy[Any]:
    plain = {int: wild_numbers, bytes: wild_bytes, bool: st.booleans(), str: st.sampled_from(["", "a", "é" * 400])}
    if hint in plain:
        return plain[hint]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return wild(hint)
    parts = get_args(hint)
    if len(parts) == 1 or parts[-1] is Ellipsis:
        items = st.lists(_wild_field(parts[0]), max_size=3)
        return items if hint.__origin__ is list else items.map(tuple)
    return st.tuples(*(_wild_field(part) for part in parts))
