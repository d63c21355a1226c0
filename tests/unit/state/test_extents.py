"""Arithmetic on extents, against a bytearray."""

from hypothesis import given
from hypothesis import strategies as st

from cairnfs.common.operations import Extent
from cairnfs.namenode.state.extents import overlay, punch, total, truncate, uncovered_end, usage

SIZE = 64
BLOCKS = {block: bytes((block * 50 + i) % 251 + 1 for i in range(SIZE)) for block in (1, 2, 3)}

new_extents = st.builds(
    Extent, st.integers(0, SIZE - 16), st.integers(1, 16), st.sampled_from(list(BLOCKS)), st.integers(0, SIZE - 16)
)
ranges = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(sorted)


@st.composite
def laid(draw: st.DrawFn) -> tuple[list[Extent], bytearray]:
    """Extents as a file has them, and the bytes they stand for (0: none)."""
    extents: list[Extent] = []
    model = bytearray(SIZE)
    for new in draw(st.lists(new_extents, max_size=12)):
        extents = overlay(extents, new)
        model[new.offset : new.offset + new.length] = content_of(new)
    return extents, model


def content_of(extent: Extent) -> bytes:
    return BLOCKS[extent.block][extent.block_offset : extent.block_offset + extent.length]


def render(extents: list[Extent]) -> bytearray:
    """The bytes that extents stand for; they must be sorted, apart, and joined where they can be."""
    content = bytearray(SIZE)
    end = 0
    for extent in extents:
        assert extent.length > 0
        assert extent.offset >= end
        end = extent.offset + extent.length
        content[extent.offset : end] = content_of(extent)
    return content


@given(laid())
def test_overlay_is_writing(file: tuple[list[Extent], bytearray]) -> None:
    """Extents laid over each other read as bytes written in that order."""
    extents, model = file
    assert render(extents) == model
    assert total(extents) == sum(byte != 0 for byte in model)


@given(laid(), ranges)
def test_punch_makes_a_hole(file: tuple[list[Extent], bytearray], hole: list[int]) -> None:
    """What is punched reads as nothing, and all else as before."""
    extents, model = file
    start, end = hole
    model[start:end] = bytes(end - start)
    assert render(punch(extents, start, end)) == model


@given(laid(), st.integers(0, SIZE))
def test_truncate_cuts_the_end(file: tuple[list[Extent], bytearray], size: int) -> None:
    """What lies beyond the size is gone, and all else as before."""
    extents, model = file
    model[size:] = bytes(SIZE - size)
    assert render(truncate(extents, size)) == model


@given(laid())
def test_usage_counts_each_block(file: tuple[list[Extent], bytearray]) -> None:
    """Usage is the bytes of all extents, told apart by block."""
    extents, _ = file
    used = usage(extents)
    assert sum(used.values()) == total(extents)
    assert set(used) == {extent.block for extent in extents}


@given(laid(), st.integers(0, SIZE))
def test_uncovered_end_is_the_last_gap(file: tuple[list[Extent], bytearray], limit: int) -> None:
    """The end of the last byte below the limit that no extent has."""
    extents, model = file
    gaps = [i + 1 for i in range(limit) if model[i] == 0]
    assert uncovered_end(extents, limit) == max(gaps, default=0)


def test_neighbours_that_continue_each_other_are_one() -> None:
    """A sequential writer that commits often leaves one extent a block, whichever part comes last."""
    first, middle, last = Extent(0, 10, 1, 0), Extent(10, 10, 1, 10), Extent(20, 10, 1, 20)
    assert overlay(overlay([first], middle), last) == [Extent(0, 30, 1, 0)]
    assert overlay(overlay([first], last), middle) == [Extent(0, 30, 1, 0)]


def test_neighbours_of_other_places_stay_apart() -> None:
    """Extents that touch in the file but not in a block are two."""
    assert len(overlay([Extent(0, 10, 1, 0)], Extent(10, 10, 1, 30))) == 2
    assert len(overlay([Extent(0, 10, 1, 0)], Extent(10, 10, 2, 10))) == 2
