"""The content of one file: inline bytes below extents, and how much of each block the file names.

A byte is taken from the extent that covers it, else from the inline bytes, else it is zero.
`allocated` is the inline bytes and the bytes of the extents together. A block's live bytes follow
at the end of an operation, from the differences gathered in `Live`.
"""

from itertools import islice

from cairnfs.common.attributes import HAS_EXTENTS, HAS_INLINE, Attributes
from cairnfs.common.operations import Extent
from cairnfs.namenode.state import extents
from cairnfs.namenode.state.tables.update import Update

Live = dict[int, int]  # block → change of its live bytes


def lay(update: Update, inode: Attributes, new: Extent, live: Live) -> None:
    """Lay an extent over the content."""
    touching = update.extents_touching(inode.ino, new.offset, new.offset + new.length)
    _replace(update, inode, touching, extents.overlay(touching, new), live)
    inode.flags |= HAS_EXTENTS


def punch(update: Update, inode: Attributes, start: int, end: int, live: Live) -> None:
    """Let no extent have bytes in [start, end)."""
    if inode.flags & HAS_EXTENTS:
        touching = update.extents_touching(inode.ino, start, end)
        _replace(update, inode, touching, extents.punch(touching, start, end), live)
        _note_extents(update, inode)


def drop_extents(
    update: Update, inode: Attributes, live: Live, *, from_offset: int = 0, limit: int | None = None
) -> int:
    """Cut the extents at an offset, at most `limit` of them (None: all); how many were cut or dropped."""
    if not inode.flags & HAS_EXTENTS:
        return 0
    found = list(islice(update.extents_from(inode.ino, from_offset), limit))
    _replace(update, inode, found, extents.truncate(found, from_offset), live)
    _note_extents(update, inode)
    return len(found)


def set_inline(update: Update, inode: Attributes, old_length: int, content: bytes) -> None:
    """Replace the inline bytes, `old_length` of them, with others."""
    inode.allocated += len(content) - old_length
    inode.flags = inode.flags | HAS_INLINE if content else inode.flags & ~HAS_INLINE
    if content or old_length:
        update.save_content(inode.ino, content)


def inline_of(update: Update, inode: Attributes) -> bytes:
    """The inline bytes."""
    return update.content(inode.ino) if inode.flags & HAS_INLINE else b""


def replace_all(update: Update, inode: Attributes, content: bytes, live: Live) -> None:
    """Make `content`, inline, the whole content."""
    drop_extents(update, inode, live)
    set_inline(update, inode, inode.allocated, content)
    inode.size = len(content)


def truncate(update: Update, inode: Attributes, size: int, live: Live) -> None:
    """Set the size: what is cut is gone for good, what is added reads as zeros."""
    if size < inode.size:
        drop_extents(update, inode, live, from_offset=size)
        inline = inline_of(update, inode)
        if len(inline) > size:
            set_inline(update, inode, len(inline), inline[:size])
    inode.size = size


def zero(update: Update, inode: Attributes, start: int, end: int, live: Live) -> None:
    """Make [start, end) a hole."""
    punch(update, inode, start, end, live)
    inline = inline_of(update, inode)
    kept = inline[:start] if end >= len(inline) else inline[:start] + bytes(end - start) + inline[end:]
    if kept != inline:
        set_inline(update, inode, len(inline), kept)


def write_inline(update: Update, inode: Attributes, offset: int, data: bytes, live: Live) -> None:
    """Put bytes at `offset` into the inline content; extents under them give way."""
    end = offset + len(data)
    punch(update, inode, offset, end, live)
    inline = inline_of(update, inode)
    set_inline(update, inode, len(inline), inline[:offset].ljust(offset, b"\0") + data + inline[end:])
    inode.size = max(inode.size, end)


def trim_inline(update: Update, inode: Attributes) -> None:
    """Drop the inline bytes at the end that extents cover: nobody can read them any more."""
    inline = inline_of(update, inode)
    if inline:
        kept = extents.uncovered_end(update.extents_from(inode.ino, 0), len(inline))
        if kept < len(inline):
            set_inline(update, inode, len(inline), inline[:kept])


def share(update: Update, source: Attributes, copy: Attributes, live: Live) -> None:
    """Make the content of `copy`, which is empty, that of `source`."""
    if source.flags & HAS_EXTENTS:
        for extent in list(update.extents_from(source.ino, 0)):
            update.save_extent(copy.ino, extent)
            live[extent.block] = live.get(extent.block, 0) + extent.length
    inline = inline_of(update, source)
    if inline:
        update.save_content(copy.ino, inline)
    copy.size = source.size
    copy.allocated = source.allocated
    copy.flags |= source.flags & (HAS_INLINE | HAS_EXTENTS)


def _replace(update: Update, inode: Attributes, before: list[Extent], after: list[Extent], live: Live) -> None:
    """Write the difference between two runs of extents of a file."""
    kept = {extent.offset: extent for extent in after}
    known = {extent.offset: extent for extent in before}
    for offset in known:
        if offset not in kept:
            update.remove_extent(inode.ino, offset)
    for offset, extent in kept.items():
        if known.get(offset) != extent:
            update.save_extent(inode.ino, extent)
    for block, used in extents.usage(after).items():
        live[block] = live.get(block, 0) + used
    for block, used in extents.usage(before).items():
        live[block] = live.get(block, 0) - used
    inode.allocated += extents.total(after) - extents.total(before)


def _note_extents(update: Update, inode: Attributes) -> None:
    """Set HAS_EXTENTS by what is left."""
    has_extents = inode.allocated > len(inline_of(update, inode))
    inode.flags = inode.flags | HAS_EXTENTS if has_extents else inode.flags & ~HAS_EXTENTS
