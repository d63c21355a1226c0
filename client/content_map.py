"""Where the bytes of a file are: inline, in blocks, or nowhere (a hole). Pure; made from the namenode's FileMaps."""

from bisect import bisect_right
from collections.abc import Iterator

import msgspec

from cairnfs.common.attributes import Attributes
from cairnfs.common.operations import Extent, FileMap, LocatedBlock


class Part(msgspec.Struct, frozen=True):
    """`length` bytes of a file from `offset` on: of a block from `block_offset` on, or `inline` bytes, or zeros."""

    offset: int
    length: int
    located: LocatedBlock | None = None
    block_offset: int = 0
    inline: bytes = b""


def overlap(start: int, end: int, other_start: int, other_end: int) -> tuple[int, int]:
    """What two ranges have in common; empty (start >= end) where that is nothing."""
    return max(start, other_start), min(end, other_end)


class ContentMap:
    """The content of one file as it was when the namenode was asked."""

    def __init__(self, first: FileMap) -> None:
        self.attributes = Attributes.unpack(first.record)
        self._inline = first.inline
        self._extents: list[Extent] = []
        self._blocks: dict[int, LocatedBlock] = {}
        self._starts: list[int] = []
        self.next_offset = 0
        self.add(first)

    @property
    def size(self) -> int:
        """The size of the file."""
        return self.attributes.size

    def add(self, page: FileMap) -> None:
        """Take another page; `next_offset` is then where the page after it starts, or -1."""
        self._extents.extend(page.extents)
        self._starts.extend(extent.offset for extent in page.extents)
        for located in page.blocks:
            self._blocks[located.block] = located
        self.next_offset = page.next_offset

    def parts(self, offset: int, end: int) -> Iterator[Part]:
        """What the range within the file's size consists of, in order."""
        at = offset
        end = min(end, self.size)
        index = max(bisect_right(self._starts, at) - 1, 0)
        while at < end:
            extent = self._extents[index] if index < len(self._extents) else None
            if extent is not None and extent.offset + extent.length <= at:
                index += 1
                continue
            gap_end = end if extent is None else min(end, extent.offset)
            if at < gap_end:
                yield from self._between(at, gap_end)
                at = gap_end
                continue
            assert extent is not None
            length = min(end, extent.offset + extent.length) - at
            skipped = at - extent.offset
            yield Part(at, length, self._blocks[extent.block], extent.block_offset + skipped)
            at += length

    def _between(self, start: int, end: int) -> Iterator[Part]:
        """What no extent covers: inline content, then zeros."""
        inline_end = min(end, len(self._inline))
        if start < inline_end:
            yield Part(start, inline_end - start, inline=self._inline[start:inline_end])
            start = inline_end
        if start < end:
            yield Part(start, end - start)
