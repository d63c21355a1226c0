"""The sizes on which block storage and transfer agree.

A piece is what one LMDB value holds. LMDB puts a 16-byte header before a large value, so a piece
is 256 pages less 16 bytes; a block is 64 pieces: 67,107,840 bytes, 1,024 short of 64 MiB.
"""

from typing import Final

PIECE_BYTES_MAX: Final = 256 * 4096 - 16
PIECES_PER_BLOCK: Final = 64
BLOCK_BYTES_MAX: Final = PIECES_PER_BLOCK * PIECE_BYTES_MAX
CHECKSUM_RUN_BYTES: Final = 64 * 1024
