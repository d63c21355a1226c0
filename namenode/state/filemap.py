"""The answer that tells where the content of a file is."""

from itertools import islice

from cairnfs.common.attributes import HAS_EXTENTS, HAS_INLINE, Attributes
from cairnfs.common.operations import Extent, FileMap, LocatedBlock
from cairnfs.namenode.state.blocks import Addresses, located
from cairnfs.namenode.state.call import settings_of
from cairnfs.namenode.state.tables.view import View

EXTENTS_MAX = 1024


def file_map(view: View, inode: Attributes, offset: int, now_s: int) -> FileMap:
    """Attributes and content map of a file from `offset` on, at most EXTENTS_MAX extents; inline with offset 0 only."""
    inline = view.content(inode.ino) if inode.flags & HAS_INLINE and offset == 0 else b""
    if not inode.flags & HAS_EXTENTS:
        return FileMap(inode.pack(), inline, (), ())
    extents = list(islice(view.extents_from(inode.ino, offset), EXTENTS_MAX + 1))
    next_offset = extents.pop().offset if len(extents) > EXTENTS_MAX else -1
    return FileMap(inode.pack(), inline, tuple(extents), _blocks_of(view, extents, now_s), next_offset)


def _blocks_of(view: View, extents: list[Extent], now_s: int) -> tuple[LocatedBlock, ...]:
    cluster = settings_of(view)
    addresses: Addresses = {}
    blocks: list[LocatedBlock] = []
    for block in dict.fromkeys(extent.block for extent in extents):
        record = view.block(block)
        assert record is not None, "extents name blocks that exist"
        blocks.append(located(view, record, cluster, now_s, writable=False, addresses=addresses))
    return tuple(blocks)
