"""The state as a stream of bytes, and back. A digest of a state is a digest of this stream's rows.

Stream, version 1, little-endian:

    header   magic 8 bytes · applied index u64 · applied term u64
    row      table u8 · key length u16 · value length u32 · key · value
    end      table 255 · 0 · 0 · number of rows u64

Rows come table by table in the order of schema.py, and in the order of keys.
"""

import struct
from collections.abc import Iterable, Iterator

from cairnfs.common.errors import CairnError
from cairnfs.namenode.state.schema import TABLE_NAMES, Counters
from cairnfs.namenode.state.tables.store import Row, Rows

MAGIC = b"CAIRNST1"
_HEADER = struct.Struct("<8sQQ")
_ROW = struct.Struct("<BHI")
_END = struct.Struct("<BHIQ")
_END_TABLE = 255
_CHUNK_BYTES = 1 << 20
_TRANSACTION_BYTES = 8 << 20


class BadSnapshot(CairnError):
    """A stream is no snapshot of this version, or is cut short."""


def dump_rows(rows: Rows) -> Iterator[bytes]:
    """The rows and the end, in chunks of about 1 MiB."""
    parts: list[bytes] = []
    size = count = 0
    for place, table in enumerate(rows.tables.in_order()):
        for key, value in rows.scan(table, b""):
            parts += (_ROW.pack(place, len(key), len(value)), key, value)
            size += _ROW.size + len(key) + len(value)
            count += 1
            if size >= _CHUNK_BYTES:
                yield b"".join(parts)
                parts.clear()
                size = 0
    parts.append(_END.pack(_END_TABLE, 0, 0, count))
    yield b"".join(parts)


def dump(rows: Rows, counters: Counters) -> Iterator[bytes]:
    """The whole stream."""
    yield _HEADER.pack(MAGIC, counters.applied_index, counters.applied_term)
    yield from dump_rows(rows)


def parse(chunks: Iterable[bytes]) -> Iterator[tuple[int, list[Row]]]:
    """Runs of (table's place, rows) of some megabytes each; BadSnapshot where the stream is not whole."""
    reader = _Reader(chunks)
    if _HEADER.unpack(reader.take(_HEADER.size))[0] != MAGIC:
        raise BadSnapshot("not a snapshot of this version")
    run: list[Row] = []
    run_place = size = count = 0
    while True:
        place, key_length, value_length = _ROW.unpack(reader.take(_ROW.size))
        if place != run_place or size >= _TRANSACTION_BYTES:
            if run:
                yield run_place, run
            run, run_place, size = [], place, 0
        if place == _END_TABLE:
            break
        if place >= len(TABLE_NAMES):
            raise BadSnapshot(f"a row of table {place}, which does not exist")
        run.append((reader.take(key_length), reader.take(value_length)))
        size += key_length + value_length
        count += 1
    if struct.unpack("<Q", reader.take(8)) != (count,):
        raise BadSnapshot("rows are missing")


class _Reader:
    """Takes bytes from chunks, however they are cut."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._position = 0

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        end = self._position + length
        if end <= len(self._chunk):
            taken = self._chunk[self._position : end]
            self._position = end
            return taken
        parts = [self._chunk[self._position :]]
        missing = length - len(parts[0])
        while missing > 0:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise BadSnapshot("the snapshot is cut short")
            parts.append(chunk[:missing])
            self._chunk, self._position = chunk, min(missing, len(chunk))
            missing -= len(parts[-1])
        return b"".join(parts)
