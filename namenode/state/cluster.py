"""Setting the cluster up, and freeing what nobody can reach any more."""

import errno
import stat

from cairnfs.common.attributes import HAS_EXTENTS, ROOT_INO, Attributes
from cairnfs.common.blocks import BLOCK_BYTES_MAX
from cairnfs.common.errors import Refused
from cairnfs.common.operations import Done
from cairnfs.namenode.state import content
from cairnfs.namenode.state.blocks import settle
from cairnfs.namenode.state.call import Call
from cairnfs.namenode.state.commands import InitializeCluster, ReapOrphans
from cairnfs.namenode.state.schema import ClusterSettings
from cairnfs.namenode.state.tables.update import Update

EXTENTS_REAPED_MAX = 10_000
_REPLICATION_MAX = 16
_INLINE_BYTES_MAX = 1 << 20


def initialize_cluster(update: Update, call: Call, command: InitializeCluster) -> Done:
    """Fix the settings and make the root folder: once."""
    known = update.cluster()
    if known is not None:
        if known.cluster_id != command.cluster_id:
            raise Refused(errno.EEXIST, f"this is cluster {known.cluster_id} already")
        return Done()
    settings = ClusterSettings(
        command.cluster_id,
        command.token_key,
        command.replication,
        command.min_replicas,
        command.inline_max,
        command.block_size,
    )
    _check(settings)
    update.save_cluster(settings)
    now_ns = call.now_ns
    mode = stat.S_IFDIR | 0o755
    times = (now_ns, now_ns, now_ns, now_ns)
    update.add_inode(Attributes(ROOT_INO, mode, 2, 0, 0, 0, 0, 0, *times, 1, 0, 0, 0, ROOT_INO))
    return Done()


def _check(settings: ClusterSettings) -> None:
    """EINVAL for settings that cannot work."""
    if not settings.cluster_id or not settings.token_key:
        raise Refused(errno.EINVAL, "a cluster needs an id and a token key")
    if not 1 <= settings.min_replicas <= settings.replication <= _REPLICATION_MAX:
        raise Refused(errno.EINVAL, f"min_replicas is 1 to replication, and replication at most {_REPLICATION_MAX}")
    if not 0 <= settings.inline_max <= _INLINE_BYTES_MAX:
        raise Refused(errno.EINVAL, f"inline_max is 0 to {_INLINE_BYTES_MAX} bytes")
    if not 0 < settings.block_size <= BLOCK_BYTES_MAX:
        raise Refused(errno.EINVAL, f"block_size is 1 to {BLOCK_BYTES_MAX} bytes")


def reap_orphans(update: Update, _call: Call, command: ReapOrphans) -> Done:
    """Free orphans: their content, attributes and number. What has many extents goes in several steps."""
    budget = EXTENTS_REAPED_MAX
    for ino in command.inodes:
        inode = update.inode(ino)
        if inode is None or inode.nlink or update.orphan(ino) is None:
            continue
        live: content.Live = {}
        budget -= content.drop_extents(update, inode, live, limit=budget)
        settle(update, live)
        if inode.flags & HAS_EXTENTS:
            update.save_inode(inode)
        else:
            update.remove_orphan(ino)
            update.remove_inode(inode)
        if budget <= 0:
            break
    return Done()
