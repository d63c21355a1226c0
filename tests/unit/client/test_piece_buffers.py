"""Buffers go round among those who took them here, and nobody else's memory ever joins them."""

from cairnfs.client.piece_buffers import PieceBuffers
from cairnfs.common.blocks import PIECE_BYTES_MAX


def test_a_buffer_comes_back() -> None:
    """What was taken and given back whole is taken again."""
    buffers = PieceBuffers()
    buffer = buffers.take()
    buffers.give(memoryview(buffer))
    assert buffers.take() is buffer


def test_a_part_of_a_buffer_is_not_the_buffer() -> None:
    """The rest of it may still be in use."""
    buffers = PieceBuffers()
    buffer = buffers.take()
    buffers.give(memoryview(buffer)[1:])
    assert buffers.take() is not buffer


def test_memory_of_the_application_is_left_alone() -> None:
    """A bytearray that an application wrote from must not be written into, nor shared by two files."""
    buffers = PieceBuffers()
    mine = bytearray(3 * PIECE_BYTES_MAX)
    for at in range(0, len(mine), PIECE_BYTES_MAX):
        buffers.give(memoryview(mine)[at : at + PIECE_BYTES_MAX])
    just_as_long = bytearray(PIECE_BYTES_MAX)
    buffers.give(memoryview(just_as_long))
    assert all(buffers.take() is not each for each in (mine, just_as_long) for _ in range(4))
