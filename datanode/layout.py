"""How one volume's LMDB environment is laid out: keys and records, pure.

Owns the format on disk, version 1. Big-endian keys sort by number; records are little-endian.

    table   key                      value
    meta    name                     text: format, cluster_id, datanode_uuid, volume_uuid; used_bytes is a u64
    blocks  block u64                generation u32 · reserved u32 · length u64: one row a replica
    pieces  block u64 · offset u32   1 to PIECE_BYTES_MAX bytes of the replica, from `offset` on
    sums    as pieces                length u32 · CRC32C u32 of each CHECKSUM_RUN_BYTES of the piece

The pieces of a replica lie end to end from offset 0 to its length. `used_bytes` is the sum of
stored_bytes() of all pieces, kept in the transaction that changes them.
"""

import struct
from typing import Final, NamedTuple

Bytes = bytes | memoryview

FORMAT_VERSION: Final = 1
TABLES: Final = (b"meta", b"blocks", b"pieces", b"sums")

META_FORMAT: Final = b"format"
META_CLUSTER: Final = b"cluster_id"
META_DATANODE: Final = b"datanode_uuid"
META_VOLUME: Final = b"volume_uuid"
META_USED: Final = b"used_bytes"

_PAGE_BYTES = 4096
_OVERFLOW_HEADER_BYTES = 16
_INLINE_BYTES_MAX = 2000
_ROW_OVERHEAD_BYTES = 256  # keys, checksums and the share of tree pages that a piece takes besides its bytes

_BLOCK_KEY = struct.Struct(">Q")
_PIECE_KEY = struct.Struct(">QI")
_REPLICA = struct.Struct("<IIQ")
_LENGTH = struct.Struct("<I")
USED = struct.Struct("<Q")


class Replica(NamedTuple):
    """One block's copy on this volume."""

    generation: int
    length: int


def block_key(block: int) -> bytes:
    """The key of a replica's row."""
    return _BLOCK_KEY.pack(block)


def block_of(key: Bytes) -> int:
    """The block whose row has this key."""
    return int(_BLOCK_KEY.unpack(key)[0])


def piece_key(block: int, offset: int) -> bytes:
    """The key of the piece that starts at `offset`."""
    return _PIECE_KEY.pack(block, offset)


def split_piece_key(key: Bytes) -> tuple[int, int]:
    """The block and offset of a piece's key."""
    block, offset = _PIECE_KEY.unpack(key)
    return block, offset


def pack_replica(replica: Replica) -> bytes:
    """The row of a replica."""
    return _REPLICA.pack(replica.generation, 0, replica.length)


def unpack_replica(row: Bytes) -> Replica:
    """The replica in a row."""
    generation, _, length = _REPLICA.unpack(row)
    return Replica(generation, length)


def pack_sums(length: int, checksums: bytes) -> bytes:
    """The row of a piece's checksums."""
    return _LENGTH.pack(length) + checksums


def unpack_sums(row: Bytes) -> tuple[int, bytes]:
    """The length of a piece, and its checksums."""
    return _LENGTH.unpack_from(row)[0], bytes(row[_LENGTH.size :])


def stored_bytes(length: int) -> int:
    """How much of the disk a piece of `length` bytes takes, within a page."""
    if length <= _INLINE_BYTES_MAX:
        return length + _ROW_OVERHEAD_BYTES
    pages = (length + _OVERFLOW_HEADER_BYTES + _PAGE_BYTES - 1) // _PAGE_BYTES
    return pages * _PAGE_BYTES + _ROW_OVERHEAD_BYTES
