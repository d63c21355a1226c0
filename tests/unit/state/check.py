"""Checks that all tables of a state agree with each other: fsck, for tests."""

import stat
from collections import Counter
from itertools import pairwise

from cairnfs.common.attributes import HAS_EXTENTS, HAS_INLINE, HAS_XATTRS, ROOT_INO, Attributes
from cairnfs.common.operations import Extent
from cairnfs.namenode.state import schema
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.schema import TABLE_NAMES, BlockRecord
from cairnfs.namenode.state.tables.store import Rows
from cairnfs.namenode.state.tables.view import View


def check(machine: StateMachine) -> None:
    """AssertionError where two tables disagree."""
    with machine._reading() as view:
        if view.cluster() is not None:
            State(view.rows).check()


def traces_of(machine: StateMachine) -> object:
    """All that a mutation may change, but for the replies."""
    with machine._reading() as view:
        counters = view.counters()
        counters.applied_index = counters.time_ns = 0
        tables = zip(TABLE_NAMES, view.tables.in_order(), strict=True)
        rows = {name: list(view.rows.scan(table, b"")) for name, table in tables if name not in ("meta", "replies")}
    return counters, rows


class State:
    """All of a small state, in memory."""

    def __init__(self, rows: Rows) -> None:
        tables = rows.tables
        self.view = View(rows)
        self.counters = self.view.counters()
        self.cluster = self.view.cluster()
        self.inodes = {
            schema.unpack_u64_key(key)[0]: Attributes.unpack(value) for key, value in rows.scan(tables.inodes, b"")
        }
        self.dentries = [
            (schema.unpack_u64_key(key[:8])[0], key[8:], *schema.DENTRY.unpack(value))
            for key, value in rows.scan(tables.dentries, b"")
        ]
        self.contents = {schema.unpack_u64_key(key)[0]: value for key, value in rows.scan(tables.contents, b"")}
        self.extents: dict[int, list[Extent]] = {}
        for key, value in rows.scan(tables.extents, b""):
            ino, offset = schema.unpack_u64_pair(key)
            self.extents.setdefault(ino, []).append(Extent(offset, *schema.EXTENT.unpack(value)))
        self.xattrs = [schema.unpack_u64_key(key[:8])[0] for key, _ in rows.scan(tables.xattrs, b"")]
        self.orphans = dict(self.view.orphans(0))
        self.blocks = {
            schema.unpack_u64_key(key)[0]: BlockRecord.unpack(schema.unpack_u64_key(key)[0], value)
            for key, value in rows.scan(tables.blocks, b"")
        }
        self.replicas = {schema.unpack_node_block(key) for key, _ in rows.scan(tables.replicas, b"")}
        self.deletions = {
            schema.unpack_node_block(key): schema.U32.unpack(value)[0]
            for key, value in rows.scan(tables.deletions, b"")
        }
        self.writers = {schema.unpack_u64_pair(key) for key, _ in rows.scan(tables.writers, b"")}
        self.sessions = dict(self.view.sessions())
        self.nonces = {key: schema.U64.unpack(value)[0] for key, value in rows.scan(tables.nonces, b"")}
        self.replies = [schema.unpack_u64_pair(key) for key, _ in rows.scan(tables.replies, b"")]
        self.datanodes = dict(self.view.datanodes())
        self.uuids = {key: schema.U32.unpack(value)[0] for key, value in rows.scan(tables.uuids, b"")}

    def check(self) -> None:
        """All of it."""
        self.check_names()
        self.check_content()
        self.check_blocks()
        self.check_sessions()
        assert self.counters.inodes == len(self.inodes)
        assert self.counters.blocks == len(self.blocks)
        assert self.counters.sessions == len(self.sessions)
        assert self.counters.next_ino > max(self.inodes)
        assert self.counters.next_block > max(self.blocks, default=0)
        assert self.counters.next_session > max(self.sessions, default=0)
        assert self.counters.next_node > max(self.datanodes, default=0)
        assert self.uuids == {record.uuid.encode(): node for node, record in self.datanodes.items()}

    def check_names(self) -> None:
        """Dentries, link counts, parents and orphans agree."""
        links: Counter[int] = Counter()
        subfolders: Counter[int] = Counter()
        for folder, name, ino, kind in self.dentries:
            assert 0 < len(name) <= 255
            assert b"/" not in name
            assert name not in (b".", b"..")
            assert self.inodes[ino].mode >> 12 == kind
            assert stat.S_ISDIR(self.inodes[folder].mode)
            assert self.inodes[folder].nlink > 0, "a folder that was removed has nothing in it"
            links[ino] += 1
            if kind == stat.S_IFDIR >> 12:
                subfolders[folder] += 1
                assert self.inodes[ino].parent == folder
        assert self.inodes[ROOT_INO].parent == ROOT_INO
        for ino, inode in self.inodes.items():
            assert inode.ino == ino
            assert (ino in self.orphans) == (inode.nlink == 0)
            if not stat.S_ISDIR(inode.mode):
                assert inode.nlink == links[ino]
                assert inode.parent == 0
            elif ino in self.orphans:
                assert links[ino] == 0
            else:
                assert links[ino] == (ino != ROOT_INO)
                assert inode.nlink == 2 + subfolders[ino]
                self.check_reaches_root(ino)
        assert set(self.orphans) <= set(self.inodes)

    def check_reaches_root(self, ino: int) -> None:
        """A folder that has a name lies below the root, and not below itself."""
        seen = set()
        while ino != ROOT_INO:
            assert ino not in seen
            seen.add(ino)
            ino = self.inodes[ino].parent

    def check_content(self) -> None:
        """Inline bytes, extents, sizes, flags and extended attributes agree."""
        assert self.cluster is not None
        assert set(self.contents) | set(self.extents) | set(self.xattrs) <= set(self.inodes)
        for ino, inode in self.inodes.items():
            inline = self.contents.get(ino, b"")
            extents = self.extents.get(ino, [])
            assert bool(inode.flags & HAS_XATTRS) == (ino in self.xattrs)
            assert bool(inode.flags & HAS_EXTENTS) == bool(extents)
            if stat.S_ISLNK(inode.mode):
                assert inode.size == len(inline) > 0
                continue
            assert bool(inode.flags & HAS_INLINE) == bool(inline)
            assert stat.S_ISREG(inode.mode) or not (inline or extents)
            assert len(inline) <= min(inode.size, self.cluster.inline_max)
            assert inode.allocated == len(inline) + sum(extent.length for extent in extents)
            for extent in extents:
                assert extent.length > 0
                assert extent.offset + extent.length <= inode.size
                assert extent.block_offset + extent.length <= self.blocks[extent.block].length
            for one, two in pairwise(extents):
                assert one.offset + one.length <= two.offset

    def check_blocks(self) -> None:
        """Blocks, live bytes, replicas, writers and deletions agree."""
        live: Counter[int] = Counter()
        for extents in self.extents.values():
            for extent in extents:
                live[extent.block] += extent.length
        for block, record in self.blocks.items():
            assert record.live == live[block]
            assert record.is_open or record.live > 0, "a sealed block that nobody names is deleted"
            assert not record.is_open or record.writer in self.sessions
        assert set(live) <= set(self.blocks)
        assert self.replicas == {(node, block) for block, record in self.blocks.items() for node in record.replicas}
        assert self.writers == {(record.writer, block) for block, record in self.blocks.items() if record.is_open}
        assert {node for node, _ in self.replicas | set(self.deletions)} <= set(self.datanodes)
        for (node, block), generation in self.deletions.items():
            alive = self.blocks.get(block)
            assert alive is None or node not in alive.replicas or generation < alive.generation

    def check_sessions(self) -> None:
        """Sessions, nonces and replies agree."""
        assert self.nonces == {record.nonce: session for session, record in self.sessions.items()}
        for session, sequence in self.replies:
            assert sequence > self.sessions[session].answered_through
