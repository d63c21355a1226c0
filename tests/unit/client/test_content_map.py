"""Where a map says that bytes are."""

from hypothesis import given
from hypothesis import strategies as st

from cairnfs.client.content_map import ContentMap
from cairnfs.common.attributes import Attributes
from cairnfs.common.operations import Extent, FileMap, LocatedBlock


def record(size: int) -> bytes:
    return Attributes(5, 0o100644, 1, 0, 0, 0, size, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0).pack()


def make_map(size: int, inline: bytes, extents: list[Extent], page: int = 1000) -> ContentMap:
    pages = [extents[at : at + page] for at in range(0, len(extents), page)] or [[]]
    content = None
    for number, part in enumerate(pages):
        following = pages[number + 1][0].offset if number + 1 < len(pages) else -1
        blocks = tuple(LocatedBlock(each.block, 1, 100, (), b"") for each in part)
        file_map = FileMap(record(size), inline if number == 0 else b"", tuple(part), blocks, following)
        if content is None:
            content = ContentMap(file_map)
        else:
            content.add(file_map)
    assert content is not None
    return content


@st.composite
def files(draw: st.DrawFn) -> tuple[int, bytes, list[Extent]]:
    extents = []
    at = 0
    for number in range(draw(st.integers(0, 6))):
        at += draw(st.integers(0, 10))
        length = draw(st.integers(1, 10))
        extents.append(Extent(at, length, number, draw(st.integers(0, 50))))
        at += length
    return at + draw(st.integers(0, 10)), draw(st.binary(max_size=20)), extents


@given(files(), st.integers(0, 90), st.integers(0, 90), st.integers(1, 3))
def test_every_byte_comes_from_its_place(
    file: tuple[int, bytes, list[Extent]], offset: int, length: int, page: int
) -> None:
    """Parts cover the range within the size, in order; each byte is its extent's, else inline, else a hole."""
    size, inline, extents = file
    inline = inline[:size]
    expected: list[tuple[int, int] | int] = [0] * size
    expected[: len(inline)] = inline
    for extent in extents:
        for at in range(extent.length):
            expected[extent.offset + at] = (extent.block, extent.block_offset + at)
    found: list[tuple[int, int] | int] = []
    at = offset
    for part in make_map(size, inline, extents, page).parts(offset, offset + length):
        assert part.offset == at
        assert part.length > 0
        at += part.length
        if part.located is not None:
            found += [(part.located.block, part.block_offset + each) for each in range(part.length)]
        else:
            found += list(part.inline or bytes(part.length))
    assert found == expected[offset : offset + length]


def test_a_page_says_where_the_next_begins() -> None:
    """next_offset is that of the last page that was added."""
    extents = [Extent(0, 5, 1, 0), Extent(5, 5, 2, 0)]
    content = ContentMap(FileMap(record(10), b"", (extents[0],), (LocatedBlock(1, 1, 5, (), b""),), 5))
    assert content.next_offset == 5
    content.add(FileMap(record(10), b"", (extents[1],), (LocatedBlock(2, 1, 5, (), b""),)))
    assert content.next_offset == -1
