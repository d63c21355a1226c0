"""The block map: which blocks exist, how much of each lives, who has copies, and which copies are to be deleted."""

import errno

from cairnfs.common.blocks import BLOCK_BYTES_MAX
from cairnfs.common.errors import NotEnoughDatanodes, Refused
from cairnfs.common.operations import AllocateBlock, BlockCommit, Done, LocatedBlock, RenewBlock, Replica, ReportCorrupt
from cairnfs.common.tokens import make_token
from cairnfs.namenode.state.call import Call, file_held, settings_of
from cairnfs.namenode.state.content import Live
from cairnfs.namenode.state.schema import U32_MAX, BlockRecord, ClusterSettings
from cairnfs.namenode.state.tables.update import Update
from cairnfs.namenode.state.tables.view import View

Addresses = dict[int, str]  # datanode → host:port of its transfer service


def allocate_block(update: Update, call: Call, operation: AllocateBlock) -> LocatedBlock:
    """A new block that the session has open."""
    cluster = settings_of(update)
    inode = file_held(update, operation.ino)
    placement = operation.placement
    if not placement or len(placement) < cluster.min_replicas:
        raise _too_few(len(placement), cluster)
    if len(set(placement)) != len(placement) or any(update.datanode(node) is None for node in placement):
        raise Refused(errno.EINVAL, "the placement names a datanode twice, or one that is not registered")
    record = BlockRecord(update.next_block(), 1, 0, 0, call.session, inode.replication, dict.fromkeys(placement, False))
    update.count.blocks += 1
    update.save_block(record)
    update.save_writer(call.session, record.block)
    for node in placement:
        update.save_replica(node, record.block)
    return located(update, record, cluster, call.now_s, writable=True)


def renew_block(update: Update, call: Call, operation: RenewBlock) -> LocatedBlock:
    """Raise the generation of an open block and keep the survivors only."""
    cluster = settings_of(update)
    record = block_written(update, call, operation.block, operation.generation)
    survivors = set(operation.survivors)
    if not survivors or len(survivors) < cluster.min_replicas:
        raise _too_few(len(survivors), cluster)
    if not survivors <= record.replicas.keys():
        raise Refused(errno.EINVAL, f"block {record.block} has no copy on one of the survivors")
    if record.generation >= U32_MAX:
        raise Refused(errno.EOVERFLOW)
    for node in [node for node in record.replicas if node not in survivors]:
        drop_replica(update, record, node)
    record.generation += 1
    update.save_block(record)
    return located(update, record, cluster, call.now_s, writable=True)


def report_corrupt(update: Update, _call: Call, operation: ReportCorrupt) -> Done:
    """Note that a copy is corrupt; a report about an older generation, or a copy that is gone, says nothing."""
    record = update.block(operation.block)
    if record is not None and record.generation == operation.generation and operation.node in record.replicas:
        record.replicas[operation.node] = True
        update.save_block(record)
    return Done()


def block_written(view: View, call: Call, block: int, generation: int) -> BlockRecord:
    """A block that the session has open: ESTALE where it is gone, sealed or of another generation, EPERM otherwise."""
    record = view.block(block)
    if record is None or not record.is_open or record.generation != generation:
        raise Refused(errno.ESTALE, f"block {block} of generation {generation} is no longer open")
    if record.writer != call.session:
        raise Refused(errno.EPERM, f"block {block} is written by another session")
    return record


def check_commit(view: View, call: Call, commit: BlockCommit) -> BlockRecord:
    """The block with the committed length and, if asked, the seal it will have; nothing is written yet."""
    record = block_written(view, call, commit.block, commit.generation)
    if not record.length <= commit.length <= BLOCK_BYTES_MAX:
        raise Refused(errno.EINVAL, f"block {commit.block} cannot go from {record.length} to {commit.length} bytes")
    record.length = commit.length
    record.writer = 0 if commit.seal else record.writer
    return record


def save_commit(update: Update, call: Call, record: BlockRecord) -> None:
    """Write what `check_commit` made; a sealed block that no extent names goes with `settle`."""
    if not record.is_open:
        update.remove_writer(call.session, record.block)
    update.save_block(record)


def settle(update: Update, live: Live) -> None:
    """Change the live bytes of blocks; delete those that are sealed and have none left."""
    for block, change in live.items():
        record = update.block(block)
        assert record is not None, "extents name blocks that exist"
        record.live += change
        assert record.live >= 0, "live bytes are the sum over all extents"
        if record.live == 0 and not record.is_open:
            delete_block(update, record)
        elif change:
            update.save_block(record)


def seal(update: Update, session: int, block: int) -> None:
    """End the writing of a block at its committed length; it is deleted where no extent names it."""
    record = update.block(block)
    assert record is not None, "the writers table names blocks that exist"
    assert record.writer == session, "a block has one writer"
    update.remove_writer(session, block)
    record.writer = 0
    if record.live == 0:
        delete_block(update, record)
    else:
        update.save_block(record)


def delete_block(update: Update, record: BlockRecord) -> None:
    """Forget a sealed block and have all its copies deleted."""
    for node in list(record.replicas):
        drop_replica(update, record, node)
    update.remove_block(record.block)
    update.count.blocks -= 1


def drop_replica(update: Update, record: BlockRecord, node: int) -> None:
    """Take a node from a block's replicas and have its copy deleted; the caller saves the block."""
    del record.replicas[node]
    update.remove_replica(node, record.block)
    update.save_deletion(node, record.block, record.generation)


def located(
    view: View,
    record: BlockRecord,
    cluster: ClusterSettings,
    now_s: int,
    *,
    writable: bool,
    addresses: Addresses | None = None,
) -> LocatedBlock:
    """Where the block is, corrupt copies last, with a token; `addresses` spares many blocks the same look-ups."""
    addresses = {} if addresses is None else addresses
    replicas: list[Replica] = []
    for node, is_corrupt in sorted(record.replicas.items(), key=_is_corrupt):
        if node not in addresses:
            datanode = view.datanode(node)
            assert datanode is not None, "replicas are on registered datanodes"
            addresses[node] = datanode.address
        replicas.append(Replica(node, addresses[node], is_corrupt))
    token = make_token(cluster.token_key, record.block, record.generation, writable=writable, now_s=now_s)
    return LocatedBlock(record.block, record.generation, record.length, tuple(replicas), token)


def _is_corrupt(replica: tuple[int, bool]) -> bool:
    return replica[1]


def _too_few(count: int, cluster: ClusterSettings) -> Refused:
    message = f"{count} datanodes for a block, {cluster.min_replicas} are needed: check that datanodes run"
    return Refused(NotEnoughDatanodes.code, message)
