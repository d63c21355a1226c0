"""The write buffer against a plain array of bytes."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from cairnfs.client.write_buffer import RUNS_MAX, WriteBuffer

WRITES = st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=30)), max_size=12)


def content(buffer: WriteBuffer, size: int = 100) -> bytes:
    image = bytearray(size)
    buffer.overlay(0, memoryview(image))
    return bytes(image)


@given(WRITES, st.integers(20, 200))
def test_what_was_taken_is_what_is_seen(writes: list[tuple[int, bytes]], room: int) -> None:
    """The overlay, and the arena with its placements, are the accepted writes in their order."""
    buffer = WriteBuffer(bytearray(room))
    image = bytearray(100)
    for offset, data in writes:
        count = buffer.put(offset, memoryview(data))
        image[offset : offset + count] = data[:count]
        assert count == len(data) or buffer.is_full
    assert content(buffer) == image
    assert sum(length for _, length in buffer.placements) == buffer.used
    laid = bytearray(100)
    at = 0
    for offset, length in buffer.placements:
        laid[offset : offset + length] = buffer.arena[at : at + length]
        at += length
    assert laid == image


@given(WRITES)
def test_compacting_changes_nothing_that_is_seen(writes: list[tuple[int, bytes]]) -> None:
    """After compact the overlay is the same, no two runs touch or overlap, and it is at most as long."""
    buffer = WriteBuffer(bytearray(1000))
    for offset, data in writes:
        buffer.put(offset, memoryview(data))
    before, used, end = content(buffer), buffer.used, buffer.end
    buffer.compact()
    assert content(buffer) == before
    assert buffer.used <= used
    assert buffer.end == end
    places = buffer.placements
    assert all(first[0] + first[1] < second[0] for first, second in itertools.pairwise(places))


def test_writes_in_a_row_are_one_run() -> None:
    """Sequential writes grow one run, and an overwrite within the last run takes no room."""
    buffer = WriteBuffer(bytearray(100))
    buffer.put(10, memoryview(b"abc"))
    buffer.put(13, memoryview(b"def"))
    buffer.put(11, memoryview(b"XY"))
    assert buffer.placements == [(10, 6)]
    assert bytes(buffer.arena[:6]) == b"aXYdef"
    assert buffer.covers(11, 16)
    assert not buffer.covers(9, 12)


def test_the_number_of_runs_is_bounded() -> None:
    """A buffer with RUNS_MAX runs is full, however few bytes they have."""
    buffer = WriteBuffer(bytearray(10 * RUNS_MAX))
    for number in range(RUNS_MAX):
        assert buffer.put(2 * number, memoryview(b"x")) == 1
    assert buffer.is_full
    assert buffer.put(5 * RUNS_MAX, memoryview(b"x")) == 0
