"""Arithmetic on extents: pure functions over lists sorted by offset, without overlap.

Neighbours that continue each other in the file and in the block are always one extent.
"""

from collections.abc import Iterable, Sequence

from cairnfs.common.operations import Extent


def overlay(extents: Sequence[Extent], new: Extent) -> list[Extent]:
    """The extents after `new` was laid over them."""
    end = new.offset + new.length
    merged: list[Extent] = []
    is_placed = False
    for extent in punch(extents, new.offset, end):
        if not is_placed and extent.offset > new.offset:
            _add(merged, new)
            is_placed = True
        _add(merged, extent)
    if not is_placed:
        _add(merged, new)
    return merged


def punch(extents: Iterable[Extent], start: int, end: int) -> list[Extent]:
    """The extents without what lies in [start, end)."""
    left: list[Extent] = []
    for extent in extents:
        extent_end = extent.offset + extent.length
        if extent_end <= start or extent.offset >= end:
            left.append(extent)
            continue
        if extent.offset < start:
            left.append(Extent(extent.offset, start - extent.offset, extent.block, extent.block_offset))
        if extent_end > end:
            skipped = end - extent.offset
            left.append(Extent(end, extent_end - end, extent.block, extent.block_offset + skipped))
    return left


def truncate(extents: Iterable[Extent], size: int) -> list[Extent]:
    """The extents of a file cut to `size` bytes."""
    kept: list[Extent] = []
    for extent in extents:
        if extent.offset >= size:
            break
        length = min(extent.length, size - extent.offset)
        kept.append(Extent(extent.offset, length, extent.block, extent.block_offset))
    return kept


def total(extents: Iterable[Extent]) -> int:
    """The bytes that the extents cover."""
    return sum(extent.length for extent in extents)


def usage(extents: Iterable[Extent]) -> dict[int, int]:
    """For each block, how many bytes of it the extents name."""
    used: dict[int, int] = {}
    for extent in extents:
        used[extent.block] = used.get(extent.block, 0) + extent.length
    return used


def uncovered_end(extents: Iterable[Extent], limit: int) -> int:
    """The end of the last byte in [0, limit) that no extent covers; 0 where all are covered."""
    end = 0
    position = 0
    for extent in extents:
        if extent.offset >= limit:
            break
        if extent.offset > position:
            end = extent.offset
        position = extent.offset + extent.length
    return limit if position < limit else end


def _add(extents: list[Extent], extent: Extent) -> None:
    """Put `extent` at the end of the list, joined to the last one where it continues that."""
    if extents:
        last = extents[-1]
        if (
            last.block == extent.block
            and last.offset + last.length == extent.offset
            and last.block_offset + last.length == extent.block_offset
        ):
            extents[-1] = Extent(last.offset, last.length + extent.length, last.block, last.block_offset)
            return
    extents.append(extent)
