"""Buffers of one piece each, used in turn: fresh memory costs more than the bytes that go through it."""

from collections import deque

from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.transfer import Bytes

KEPT_MAX = 24


class _Buffer(bytearray):
    """Memory that was taken here: only such comes back, never that of an application."""


class PieceBuffers:
    """Safe for many threads; a buffer that is never given back is left to the garbage collector."""

    def __init__(self) -> None:
        self._free: deque[bytearray] = deque(maxlen=KEPT_MAX)

    def take(self) -> bytearray:
        """A buffer of PIECE_BYTES_MAX bytes, with whatever is in it."""
        try:
            return self._free.pop()
        except IndexError:
            return _Buffer(PIECE_BYTES_MAX)

    def give(self, piece: Bytes) -> None:
        """Take back the buffer under a piece that fills it; parts of one may still be in use, and are passed over.

        So is memory that was not taken here: pieces of an application's own bytes come by this way too.
        """
        if isinstance(piece, memoryview) and len(piece) == PIECE_BYTES_MAX and isinstance(piece.obj, _Buffer):
            self._free.append(piece.obj)
