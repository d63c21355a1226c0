"""Typed writes of one write transaction, with an overlay of the inodes and sessions it has touched.

A hundred files made in one folder change that folder a hundred times: the overlay writes it once,
when it is flushed. Whoever changes an object that came from here says so with `save_…`, and only
after all checks have passed: a refused command leaves no trace.
"""

from cairnfs.common.attributes import HAS_XATTRS, Attributes
from cairnfs.common.operations import Extent
from cairnfs.namenode.state import schema
from cairnfs.namenode.state.schema import BlockRecord, ClusterSettings, Counters, DatanodeRecord, SessionRecord
from cairnfs.namenode.state.tables.store import Rows
from cairnfs.namenode.state.tables.view import View

_OVERLAY_INODES_MAX = 4096


class Update(View):
    """Reads and writes of one write transaction; `flush` before it commits."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self.count: Counters = self.counters()
        self._put = rows.put
        self._inodes: dict[int, Attributes] = {}
        self._changed_inodes: dict[int, Attributes] = {}
        self._sessions: dict[int, SessionRecord] = {}
        self._changed_sessions: dict[int, SessionRecord] = {}
        self._cluster: ClusterSettings | None = None

    def flush(self) -> None:
        """Write the overlay and the counters to the tables."""
        for ino, inode in self._changed_inodes.items():
            self._put(self.tables.inodes, schema.u64_key(ino), inode.pack())
        for session, record in self._changed_sessions.items():
            self._put(self.tables.sessions, schema.u64_key(session), record.pack())
        self._put(self.tables.meta, schema.META_COUNTERS, self.count.pack())
        self._inodes.clear()
        self._changed_inodes.clear()
        self._sessions.clear()
        self._changed_sessions.clear()

    def flush_if_large(self) -> None:
        """Keep the overlay small in a long transaction; no object from here may be in use."""
        if len(self._inodes) > _OVERLAY_INODES_MAX:
            self.flush()

    # --- namespace

    def inode(self, ino: int) -> Attributes | None:
        """The attributes of an inode, with the changes made in this transaction."""
        inode = self._inodes.get(ino)
        if inode is None:
            inode = super().inode(ino)
            if inode is not None:
                self._inodes[ino] = inode
        return inode

    def save_inode(self, inode: Attributes) -> None:
        """Note that an inode has changed, or is new."""
        self._inodes[inode.ino] = self._changed_inodes[inode.ino] = inode

    def add_inode(self, inode: Attributes) -> None:
        """Add a new inode."""
        self.count.inodes += 1
        self.save_inode(inode)

    def next_ino(self) -> int:
        """A number that no inode ever had."""
        ino = self.count.next_ino
        self.count.next_ino = ino + 1
        return ino

    def remove_inode(self, inode: Attributes) -> None:
        """Forget an inode, its inline content and its extended attributes."""
        key = schema.u64_key(inode.ino)
        self._inodes.pop(inode.ino, None)
        self._changed_inodes.pop(inode.ino, None)
        self.rows.delete(self.tables.inodes, key)
        self.rows.delete(self.tables.contents, key)
        if inode.flags & HAS_XATTRS:
            for name in self.xattr_names(inode.ino):
                self.rows.delete(self.tables.xattrs, schema.xattr_key(inode.ino, name))
        self.count.inodes -= 1

    def save_child(self, folder: int, name: bytes, inode: Attributes) -> None:
        """Make a name in a folder stand for an inode."""
        self._put(self.tables.dentries, schema.u64_key(folder) + name, schema.DENTRY.pack(inode.ino, inode.mode >> 12))

    def remove_child(self, folder: int, name: bytes) -> None:
        """Remove a name from a folder."""
        self.rows.delete(self.tables.dentries, schema.dentry_key(folder, name))

    def save_content(self, ino: int, content: bytes) -> None:
        """Set the inline bytes of a file, or the target of a symbolic link; empty removes the row."""
        if content:
            self._put(self.tables.contents, schema.u64_key(ino), content)
        else:
            self.rows.delete(self.tables.contents, schema.u64_key(ino))

    def save_xattr(self, ino: int, name: bytes, value: bytes) -> None:
        """Set an extended attribute."""
        self._put(self.tables.xattrs, schema.xattr_key(ino, name), value)

    def remove_xattr(self, ino: int, name: bytes) -> None:
        """Remove an extended attribute."""
        self.rows.delete(self.tables.xattrs, schema.xattr_key(ino, name))

    def save_orphan(self, ino: int, session: int) -> None:
        """Note that an inode has no name (any more)."""
        self._put(self.tables.orphans, schema.u64_key(ino), schema.U64.pack(session))

    def remove_orphan(self, ino: int) -> None:
        """Note that an inode has a name, or is gone."""
        self.rows.delete(self.tables.orphans, schema.u64_key(ino))

    def save_extent(self, ino: int, extent: Extent) -> None:
        """Write an extent."""
        self._put(
            self.tables.extents,
            schema.u64_pair_key(ino, extent.offset),
            schema.EXTENT.pack(extent.length, extent.block, extent.block_offset),
        )

    def remove_extent(self, ino: int, offset: int) -> None:
        """Remove the extent that begins at `offset`."""
        self.rows.delete(self.tables.extents, schema.u64_pair_key(ino, offset))

    # --- blocks and datanodes

    def next_block(self) -> int:
        """A number that no block ever had."""
        block = self.count.next_block
        self.count.next_block = block + 1
        return block

    def save_block(self, record: BlockRecord) -> None:
        """Write a block's record."""
        self._put(self.tables.blocks, schema.u64_key(record.block), record.pack())

    def remove_block(self, block: int) -> None:
        """Remove a block's record."""
        self.rows.delete(self.tables.blocks, schema.u64_key(block))

    def save_writer(self, session: int, block: int) -> None:
        """Note that a session has a block open."""
        self._put(self.tables.writers, schema.u64_pair_key(session, block), b"")

    def remove_writer(self, session: int, block: int) -> None:
        """Note that a session no longer has a block open."""
        self.rows.delete(self.tables.writers, schema.u64_pair_key(session, block))

    def save_replica(self, node: int, block: int) -> None:
        """Note in the index by node that a datanode holds a copy."""
        self._put(self.tables.replicas, schema.node_block_key(node, block), b"")

    def remove_replica(self, node: int, block: int) -> None:
        """Remove a copy from the index by node."""
        self.rows.delete(self.tables.replicas, schema.node_block_key(node, block))

    def save_deletion(self, node: int, block: int, generation: int) -> None:
        """Have a datanode delete its copy of a block, of this generation or older."""
        known = self.deletion(node, block)
        if known is None or known < generation:
            self._put(self.tables.deletions, schema.node_block_key(node, block), schema.U32.pack(generation))

    def remove_deletion(self, node: int, block: int) -> None:
        """Note that a deletion is done."""
        self.rows.delete(self.tables.deletions, schema.node_block_key(node, block))

    def save_datanode(self, node: int, record: DatanodeRecord) -> None:
        """Write a datanode's record, and find it by its uuid."""
        self._put(self.tables.datanodes, schema.u32_key(node), record.pack())
        self._put(self.tables.uuids, record.uuid.encode(), schema.U32.pack(node))

    # --- sessions and the cluster

    def session(self, session: int) -> SessionRecord | None:
        """A session's record, with the changes made in this transaction."""
        record = self._sessions.get(session)
        if record is None:
            record = super().session(session)
            if record is not None:
                self._sessions[session] = record
        return record

    def save_session(self, session: int, record: SessionRecord) -> None:
        """Note that a session has changed."""
        self._sessions[session] = self._changed_sessions[session] = record

    def add_session(self, session: int, record: SessionRecord) -> None:
        """Add a new session, and find it by its nonce."""
        self.count.sessions += 1
        self._put(self.tables.nonces, record.nonce, schema.U64.pack(session))
        self._put(self.tables.sessions, schema.u64_key(session), record.pack())

    def remove_session(self, session: int, record: SessionRecord) -> None:
        """Forget a session and all that was answered to it."""
        self._sessions.pop(session, None)
        self._changed_sessions.pop(session, None)
        self.rows.delete(self.tables.sessions, schema.u64_key(session))
        self.rows.delete(self.tables.nonces, record.nonce)
        self.remove_replies(session, 0, schema.U64_MAX)
        self.count.sessions -= 1

    def save_reply(self, session: int, sequence: int, reply: bytes) -> None:
        """Remember an answer."""
        self._put(self.tables.replies, schema.u64_pair_key(session, sequence), reply)

    def remove_replies(self, session: int, first: int, last: int) -> None:
        """Forget the answers to the operations from `first` to `last`."""
        self.rows.delete_range(
            self.tables.replies, schema.u64_pair_key(session, first), schema.u64_pair_key(session, last)
        )

    def cluster(self) -> ClusterSettings | None:
        """The settings of the cluster; None before InitializeCluster."""
        if self._cluster is None:
            self._cluster = super().cluster()
        return self._cluster

    def save_cluster(self, settings: ClusterSettings) -> None:
        """Write the settings of the cluster."""
        self._put(self.tables.meta, schema.META_CLUSTER, schema.encode_settings(settings))
        self._cluster = settings
