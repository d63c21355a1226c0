"""What the leader learns of datanodes: registration, reports, deletions done."""

import errno

from cairnfs.common.errors import Refused
from cairnfs.common.operations import Done
from cairnfs.namenode.state.call import Call, settings_of
from cairnfs.namenode.state.commands import ConfirmDeletions, NodeRegistered, RegisterDatanode, UpdateReplicas
from cairnfs.namenode.state.schema import U32_MAX, U64_MAX, DatanodeRecord
from cairnfs.namenode.state.tables.update import Update

_UUID_BYTES_MAX = 128
_ADDRESS_MAX = 300


def register_datanode(update: Update, _call: Call, command: RegisterDatanode) -> NodeRegistered:
    """The number of the datanode, new or known; its address is the one it has now."""
    settings_of(update)
    uuid = command.uuid.encode()
    if not 0 < len(uuid) <= _UUID_BYTES_MAX or not 0 < len(command.address) <= _ADDRESS_MAX:
        raise Refused(errno.EINVAL, "a datanode registers with a uuid and an address")
    node = update.datanode_of(uuid)
    if not node:
        node = update.count.next_node
        update.count.next_node += 1
    update.save_datanode(node, DatanodeRecord(command.uuid, command.address))
    return NodeRegistered(node)


def update_replicas(update: Update, _call: Call, command: UpdateReplicas) -> Done:
    """Reconcile the block map with a report."""
    if update.datanode(command.node) is None:
        raise Refused(errno.EINVAL, f"datanode {command.node} is not registered")
    for block, generation, length in command.added:
        _add_copy(update, command.node, block, generation, length)
    for block in command.removed:
        record = update.block(block)
        if record is not None and command.node in record.replicas:
            del record.replicas[command.node]
            update.remove_replica(command.node, block)
            update.save_block(record)
    return Done()


def _add_copy(update: Update, node: int, block: int, generation: int, length: int) -> None:
    """Note a copy that a datanode has; have it deleted where the block is gone or has moved on without it.

    A block never heard of is left alone: the copy may belong to a state newer than this one, or to
    another. So is a replica of an older generation, for the pipeline may be about to renew it, and
    a copy shorter than what is committed.
    """
    if not (0 < block < update.count.next_block and 0 < generation <= U32_MAX and 0 <= length <= U64_MAX):
        return
    record = update.block(block)
    if record is None:
        update.save_deletion(node, block, generation)
        return
    if node in record.replicas:
        return
    if generation < record.generation:
        update.save_deletion(node, block, generation)
    elif generation == record.generation and length >= record.length:
        record.replicas[node] = False
        update.save_replica(node, block)
        update.save_block(record)


def confirm_deletions(update: Update, _call: Call, command: ConfirmDeletions) -> Done:
    """Forget the deletions that a datanode has carried out."""
    if not 0 < command.node <= U32_MAX:
        raise Refused(errno.EINVAL, f"{command.node} is no datanode")
    for block, generation in command.blocks:
        wanted = update.deletion(command.node, block) if 0 < block <= U64_MAX else None
        if wanted is not None and wanted <= generation:
            update.remove_deletion(command.node, block)
    return Done()
