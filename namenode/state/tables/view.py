"""Typed reads of one transaction. It knows records and keys, and nothing of what they mean."""

from collections.abc import Iterator

from cairnfs.common.attributes import RECORD, Attributes
from cairnfs.common.operations import Extent
from cairnfs.namenode.state import schema
from cairnfs.namenode.state.schema import BlockRecord, ClusterSettings, Counters, DatanodeRecord, SessionRecord
from cairnfs.namenode.state.tables.store import Rows

_unpack_attributes = RECORD.unpack
_unpack_dentry = schema.DENTRY.unpack
_unpack_extent = schema.EXTENT.unpack


class View:
    """Reads of one transaction, by what is read. Numbers out of range are simply not found."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.tables = rows.tables
        self._get = rows.get

    # --- namespace

    def inode(self, ino: int) -> Attributes | None:
        """The attributes of an inode."""
        record = self._get(schema.u64_key(ino), None, self.tables.inodes) if ino > 0 else None
        return None if record is None else Attributes(*_unpack_attributes(record))

    def child(self, folder: int, name: bytes) -> int:
        """The inode that a name in a folder stands for; 0 where there is none."""
        record = self._get(schema.u64_key(folder) + name, None, self.tables.dentries)
        return 0 if record is None else int(_unpack_dentry(record)[0])

    def has_children(self, folder: int) -> bool:
        """Whether any name is in the folder."""
        key = schema.u64_key(folder)
        page = self.rows.page(self.tables.dentries, key, 1)
        return bool(page) and page[0][0].startswith(key)

    def content(self, ino: int) -> bytes:
        """The inline bytes of a file, or the target of a symbolic link; empty where there are none."""
        return self._get(schema.u64_key(ino), None, self.tables.contents) or b""

    def xattr(self, ino: int, name: bytes) -> bytes | None:
        """The value of an extended attribute."""
        return self._get(schema.xattr_key(ino, name), None, self.tables.xattrs)

    def xattr_names(self, ino: int) -> list[bytes]:
        """The names of all extended attributes of an inode, in order."""
        prefix = schema.u64_key(ino)
        return [key[8:] for key, _ in self.rows.scan(self.tables.xattrs, prefix, prefix)]

    def orphan(self, ino: int) -> int | None:
        """The session that made an orphan, 0 where it was unlinked; None where the inode is no orphan."""
        record = self._get(schema.u64_key(ino), None, self.tables.orphans)
        return None if record is None else int(schema.U64.unpack(record)[0])

    def orphans(self, after: int) -> Iterator[tuple[int, int]]:
        """(ino, session) of all orphans greater than `after`, in order."""
        if after < schema.U64_MAX:
            for key, value in self.rows.scan(self.tables.orphans, schema.u64_key(after + 1)):
                yield schema.unpack_u64_key(key)[0], schema.U64.unpack(value)[0]

    # --- extents

    def extents_from(self, ino: int, offset: int) -> Iterator[Extent]:
        """The extents of a file with bytes at `offset` or after it, in order. Not to be used across writes."""
        before = self.extent_before(ino, offset)
        if before is not None and before.offset + before.length > offset:
            yield before
        prefix = schema.u64_key(ino)
        for key, value in self.rows.scan(self.tables.extents, schema.u64_pair_key(ino, offset), prefix):
            yield Extent(schema.unpack_u64_pair(key)[1], *_unpack_extent(value))

    def extent_before(self, ino: int, offset: int) -> Extent | None:
        """The last extent that begins before `offset`."""
        row = self.rows.before(self.tables.extents, schema.u64_pair_key(ino, offset))
        if row is None or not row[0].startswith(schema.u64_key(ino)):
            return None
        return Extent(schema.unpack_u64_pair(row[0])[1], *_unpack_extent(row[1]))

    def extents_touching(self, ino: int, start: int, end: int) -> list[Extent]:
        """The extents that overlap [start, end) or end or begin right at it."""
        found: list[Extent] = []
        before = self.extent_before(ino, start)
        if before is not None and before.offset + before.length >= start:
            found.append(before)
        prefix = schema.u64_key(ino)
        for key, value in self.rows.scan(self.tables.extents, schema.u64_pair_key(ino, start), prefix):
            offset = schema.unpack_u64_pair(key)[1]
            if offset > end:
                break
            found.append(Extent(offset, *_unpack_extent(value)))
        return found

    # --- blocks and datanodes

    def block(self, block: int) -> BlockRecord | None:
        """A block's record."""
        if not 0 < block <= schema.U64_MAX:
            return None
        record = self._get(schema.u64_key(block), None, self.tables.blocks)
        return None if record is None else BlockRecord.unpack(block, record)

    def replicas_on(self, node: int, after_block: int) -> Iterator[int]:
        """The blocks greater than `after_block` of which a datanode holds a copy, in order."""
        if after_block < schema.U64_MAX:
            start = schema.node_block_key(node, after_block + 1)
            for key, _ in self.rows.scan(self.tables.replicas, start, schema.u32_key(node)):
                yield schema.unpack_node_block(key)[1]

    def deletion(self, node: int, block: int) -> int | None:
        """The generation up to which a datanode is to delete its copy of a block."""
        record = self._get(schema.node_block_key(node, block), None, self.tables.deletions)
        return None if record is None else int(schema.U32.unpack(record)[0])

    def deletions(self, node: int) -> Iterator[tuple[int, int]]:
        """(block, generation) of all copies that a datanode is to delete."""
        prefix = schema.u32_key(node)
        for key, value in self.rows.scan(self.tables.deletions, prefix, prefix):
            yield schema.unpack_node_block(key)[1], schema.U32.unpack(value)[0]

    def datanode(self, node: int) -> DatanodeRecord | None:
        """A datanode's record."""
        if not 0 < node <= schema.U32_MAX:
            return None
        record = self._get(schema.u32_key(node), None, self.tables.datanodes)
        return None if record is None else schema.decode_datanode(record)

    def datanode_of(self, uuid: bytes) -> int:
        """The number of the datanode with that uuid; 0 where there is none."""
        record = self._get(uuid, None, self.tables.uuids)
        return 0 if record is None else int(schema.U32.unpack(record)[0])

    def datanodes(self) -> Iterator[tuple[int, DatanodeRecord]]:
        """All datanodes, by number."""
        for key, value in self.rows.scan(self.tables.datanodes, b""):
            yield schema.unpack_u32_key(key)[0], schema.decode_datanode(value)

    # --- sessions and the cluster

    def session(self, session: int) -> SessionRecord | None:
        """A session's record."""
        record = self._get(schema.u64_key(session), None, self.tables.sessions)
        return None if record is None else schema.decode_session(record)

    def sessions(self) -> Iterator[tuple[int, SessionRecord]]:
        """All sessions, by number."""
        for key, value in self.rows.scan(self.tables.sessions, b""):
            yield schema.unpack_u64_key(key)[0], schema.decode_session(value)

    def session_of(self, nonce: bytes) -> int:
        """The session opened with a nonce; 0 where there is none."""
        record = self._get(nonce, None, self.tables.nonces)
        return 0 if record is None else int(schema.U64.unpack(record)[0])

    def reply(self, session: int, sequence: int) -> bytes | None:
        """What was answered to an operation: a REPLY_HEAD and the answer or message."""
        return self._get(schema.u64_pair_key(session, sequence), None, self.tables.replies)

    def blocks_written_by(self, session: int) -> list[int]:
        """The blocks that a session has open."""
        prefix = schema.u64_key(session)
        return [schema.unpack_u64_pair(key)[1] for key, _ in self.rows.scan(self.tables.writers, prefix, prefix)]

    def open_blocks(self) -> Iterator[int]:
        """The blocks that any session has open."""
        for key, _ in self.rows.scan(self.tables.writers, b""):
            yield schema.unpack_u64_pair(key)[1]

    def counters(self) -> Counters:
        """The counters as the transaction found them."""
        record = self._get(schema.META_COUNTERS, None, self.tables.meta)
        assert record is not None, "a state that was opened has counters"
        return Counters.unpack(record)

    def cluster(self) -> ClusterSettings | None:
        """The settings of the cluster; None before InitializeCluster."""
        record = self._get(schema.META_CLUSTER, None, self.tables.meta)
        return None if record is None else schema.decode_settings(record)
