"""The state machine as a whole: log entries go in, outcomes come out, queries are answered.

It knows nothing of Raft or gRPC. One thread owns it: applies and queries go through one write
transaction that stays open over many entries, so that an entry costs no sync of its own; commit()
ends it. What a crash undoes, the log replays. Other threads read a Moment of it.
"""

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from cairnfs.common import operations as ops
from cairnfs.common.errors import ProtocolError, Refused
from cairnfs.namenode.state import (
    attribute_changes,
    blocks,
    cluster,
    commands,
    datanodes,
    directories,
    files,
    queries,
    rename,
    sessions,
    snapshot,
    xattrs,
)
from cairnfs.namenode.state.call import Call
from cairnfs.namenode.state.commands import AnyInternal, Item
from cairnfs.namenode.state.moment import Moment
from cairnfs.namenode.state.schema import BlockRecord, ClusterSettings, DatanodeRecord, SessionRecord
from cairnfs.namenode.state.sessions import Outcome
from cairnfs.namenode.state.tables.store import Store
from cairnfs.namenode.state.tables.update import Update
from cairnfs.namenode.state.tables.view import View

Entry = tuple[int, int, bytes]  # index, term, data: an encoded LogBatch, or empty for a no-op

_MUTATIONS: Final[dict[type, Callable[[Update, Call, Any], msgspec.Struct]]] = {
    ops.MakeDirectory: directories.make_directory,
    ops.CreateFile: files.create_file,
    ops.CreateOrphan: files.create_orphan,
    ops.Publish: files.publish,
    ops.WriteFile: files.write_file,
    ops.MakeNode: directories.make_node,
    ops.MakeSymlink: directories.make_symlink,
    ops.MakeLink: directories.make_link,
    ops.Unlink: directories.unlink,
    ops.RemoveDirectory: directories.remove_directory,
    ops.Rename: rename.rename,
    ops.SetAttributes: attribute_changes.set_attributes,
    ops.SetXattr: xattrs.set_xattr,
    ops.RemoveXattr: xattrs.remove_xattr,
    ops.Write: files.write,
    ops.AllocateBlock: blocks.allocate_block,
    ops.RenewBlock: blocks.renew_block,
    ops.Commit: files.commit,
    ops.AllocateRange: files.allocate_range,
    ops.CopyFile: files.copy_file,
    ops.ReportCorrupt: blocks.report_corrupt,
}

_INTERNALS: Final[dict[type, Callable[[Update, Call, Any], msgspec.Struct]]] = {
    commands.InitializeCluster: cluster.initialize_cluster,
    commands.OpenSession: sessions.open_session,
    commands.CloseSession: sessions.close_session,
    commands.RegisterDatanode: datanodes.register_datanode,
    commands.UpdateReplicas: datanodes.update_replicas,
    commands.ConfirmDeletions: datanodes.confirm_deletions,
    commands.ReapOrphans: cluster.reap_orphans,
}

_QUERIES: Final[dict[type, Callable[[View, Call, Any], msgspec.Struct]]] = {
    ops.GetAttributes: queries.get_attributes,
    ops.OpenFile: queries.open_file,
    ops.GetMap: queries.get_map,
    ops.ReleaseFiles: queries.release_files,
    ops.Access: queries.access,
    ops.ReadLink: queries.read_link,
    ops.ListDirectory: queries.list_directory,
    ops.GetXattr: xattrs.get_xattr,
    ops.ListXattrs: xattrs.list_xattrs,
    ops.GetFileSystemStatus: queries.get_file_system_status,
}

_NANOSECONDS = 1_000_000_000


class Statistics(msgspec.Struct, frozen=True):
    """How much there is."""

    inodes: int
    blocks: int
    sessions: int


class StateMachine:
    """The replicated state in a folder of its own. `applied_index` and `applied_term` are of the last entry in it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._update: Update | None = None
        with store.reading() as rows:
            counters = View(rows).counters()
        self.applied_index = counters.applied_index
        self.applied_term = counters.applied_term

    @classmethod
    def open(cls, directory: Path, *, map_size_bytes: int) -> "StateMachine":
        """Open the state in a folder, which is made if it is missing; BadState where it cannot be used."""
        directory.mkdir(parents=True, exist_ok=True)
        store = Store(directory, map_size_bytes=map_size_bytes)
        try:
            store.prepare()
            return cls(store)
        except BaseException:
            store.close()
            raise

    @classmethod
    def load(cls, directory: Path, chunks: Iterable[bytes], *, map_size_bytes: int) -> "StateMachine":
        """Build the state in a new folder from a dump, and sync it.

        BadSnapshot for a stream that is not whole, FileExistsError for a folder that has anything in it. What
        a failed load leaves cannot be opened. The caller compares the digest.
        """
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise FileExistsError(errno.EEXIST, "a snapshot is loaded into an empty folder only", str(directory))
        store = Store(directory, map_size_bytes=map_size_bytes)
        try:
            store.append_all(snapshot.parse(chunks))
            store.prepare()
            store.sync()
            return cls(store)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Commit, sync and close."""
        self.sync()
        self._store.close()

    # --- the log

    def apply(self, entries: Sequence[Entry]) -> list[list[Outcome]]:
        """Apply entries, in the same transaction as their index and term; outcomes by entry and item.

        Queries see the effects at once; commit() makes them last. An exception is a bug or a disk
        that fails: nothing since the last commit is kept, and the process must stop.
        """
        outcomes: list[list[Outcome]] = []
        update = self._update
        if update is None:
            update = self._update = Update(self._store.begin())
        try:
            for index, term, data in entries:
                assert index > update.count.applied_index, "an entry is applied once, in order"
                outcomes.append(_apply_batch(update, data) if data else [])
                update.count.applied_index = index
                update.count.applied_term = term
                update.flush_if_large()
            update.flush()
        except BaseException:
            self._update = None
            update.rows.abort()
            raise
        self.applied_index, self.applied_term = update.count.applied_index, update.count.applied_term
        return outcomes

    def commit(self) -> None:
        """What has been applied survives the process from now on, and other threads' reads see it."""
        update, self._update = self._update, None
        if update is not None:
            update.rows.commit()

    @contextmanager
    def _reading(self) -> Iterator[View]:
        """What has been applied, committed or not."""
        if self._update is not None:
            yield View(self._update.rows)
        else:
            with self._store.reading() as rows:
                yield View(rows)

    def query(self, session: int, credentials: ops.Credentials, operation: ops.AnyQuery, now_s: int) -> bytes:
        """The encoded answer to a query; Refused where it cannot be answered as asked."""
        call = Call(session, credentials, now_s * _NANOSECONDS)
        with self._reading() as view:
            return ops.encode(_QUERIES[type(operation)](view, call, operation))

    def sync(self) -> None:
        """All that has been applied is on disk when this returns; only then may the log be cut."""
        self.commit()
        self._store.sync()

    # --- snapshots

    def moment(self) -> Moment:
        """What has been applied by now, committed, for another thread to read while this one goes on."""
        self.commit()
        return Moment(self._store.begin(write=False))

    def digest(self) -> tuple[int, bytes]:
        """(applied index, BLAKE2b over every row)."""
        with self.moment() as moment:
            return moment.index, moment.digest()

    def dump(self) -> Iterator[bytes]:
        """The state as a stream in chunks of about 1 MiB."""
        with self.moment() as moment:
            yield from moment.dump()

    # --- for the leader's duties

    def cluster(self) -> ClusterSettings | None:
        """The settings of the cluster; None before InitializeCluster."""
        with self._reading() as view:
            return view.cluster()

    def sessions(self) -> list[tuple[int, SessionRecord]]:
        """All sessions, by number."""
        with self._reading() as view:
            return list(view.sessions())

    def session(self, session: int) -> SessionRecord | None:
        """A session's record; None once it is closed."""
        with self._reading() as view:
            return view.session(session)

    def earlier_outcome(self, session: int, sequence: int) -> Outcome | None:
        """What became of a mutation that was applied before, as long as the client may ask for it again."""
        with self._reading() as view:
            return sessions.earlier_outcome(view, session, sequence)

    def orphans(self, after: int, limit: int) -> list[tuple[int, int]]:
        """(ino, session that made it by CreateOrphan or 0) of at most `limit` orphans greater than `after`."""
        with self._reading() as view:
            return list(islice(view.orphans(after), limit))

    def datanodes(self) -> list[tuple[int, str, str]]:
        """(node, uuid, address) of all datanodes."""
        with self._reading() as view:
            return [(node, record.uuid, record.address) for node, record in view.datanodes()]

    def datanode(self, node: int) -> DatanodeRecord | None:
        """A datanode's record."""
        with self._reading() as view:
            return view.datanode(node)

    def deletions(self, node: int, limit: int) -> list[tuple[int, int]]:
        """(block, generation) of at most `limit` copies that a datanode is to delete."""
        with self._reading() as view:
            return list(islice(view.deletions(node), limit))

    def replicas_on(self, node: int, after_block: int, limit: int) -> list[tuple[int, int, int, bool]]:
        """(block, generation, length, is open) of at most `limit` blocks greater than `after_block` on a datanode."""
        found: list[tuple[int, int, int, bool]] = []
        with self._reading() as view:
            for block in islice(view.replicas_on(node, after_block), limit):
                record = view.block(block)
                assert record is not None, "the index by node names blocks that exist"
                found.append((block, record.generation, record.length, record.is_open))
        return found

    def block(self, block: int) -> BlockRecord | None:
        """A block's record."""
        with self._reading() as view:
            return view.block(block)

    def open_blocks(self) -> frozenset[int]:
        """All blocks that are being written."""
        with self._reading() as view:
            return frozenset(view.open_blocks())

    def next_block(self) -> int:
        """The number that the next block will have: blocks from it on do not exist yet."""
        with self._reading() as view:
            return view.counters().next_block

    def statistics(self) -> Statistics:
        """How many inodes, blocks and sessions there are."""
        with self._reading() as view:
            counters = view.counters()
        return Statistics(counters.inodes, counters.blocks, counters.sessions)


def _apply_batch(update: Update, data: bytes) -> list[Outcome]:
    batch = commands.decode_batch(data)
    if batch.version != commands.BATCH_VERSION:
        raise ProtocolError(f"a log entry of version {batch.version}: this namenode needs a newer cairnfs")
    update.count.time_ns = max(update.count.time_ns, batch.time_ns)
    return [_apply_item(update, item) for item in batch.items]


def _apply_item(update: Update, item: Item) -> Outcome:
    if item.session == 0:
        return _execute(update, item)
    outcome = sessions.answered_before(update, item)
    if outcome is None:
        outcome = _execute(update, item)
        sessions.remember(update, outcome)
    return outcome


def _execute(update: Update, item: Item) -> Outcome:
    call = Call(item.session, item.credentials, update.count.time_ns)
    try:
        command = _decode(item)
        handlers = _MUTATIONS if item.session else _INTERNALS
        answer = handlers[type(command)](update, call, command)
    except Refused as refusal:
        return Outcome(item.session, item.sequence, b"", refusal.errno or errno.EIO, str(refusal))
    return Outcome(item.session, item.sequence, ops.encode(answer), 0, "", call.holds)


def _decode(item: Item) -> ops.AnyMutation | AnyInternal:
    """The command of an item; a body that is none is refused alike on every namenode."""
    try:
        return commands.decode_mutation(item.body) if item.session else commands.decode_internal(item.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(errno.EINVAL, "not a command of this version") from None
