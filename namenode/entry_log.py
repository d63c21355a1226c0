"""The entries of the Raft log, in files that are only ever appended to: one write and one sync for a batch.

    segment   magic "CAIRNLOG" · version u32 · salt u64 · CRC32C u32, then frames, then zeros to the end
    frame     magic "Fram" · sequence u64 · length u32 · CRC32C u32 of these, then entries: `length` bytes
    entry     term u64 · index u64 · kind u8 · length u32 · CRC32C u32 of these and the data, then the data

All little-endian. A frame is one append(), synced before the next is written; its sequence rises by one. An entry at or
below an index that is there replaces it and what follows, so nothing is overwritten. Segments are numbered in the order
of their making, filled with zeros before they are used (else each sync commits the file system's journal too: 0.31
against 0.19 ms, three nodes on one disk), and deleted whole.

What a crash may leave is one frame, the last, of which not every page has reached the disk: its entries
were not acknowledged, and it is wiped. A frame that does not hold and has a whole one after it was
acknowledged: that is a damaged disk, and CorruptData. The salt goes into every checksum, so no content of
an entry can pass for a frame.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from crc32c import crc32c

from cairnfs.common.errors import BadConfig, CorruptData
from cairnfs.namenode.raft import Compacted, Entry, EntryKind, Unavailable

SEGMENT_BYTES = 4 << 20
VERSION = 1

_SEGMENT = Struct("<8sIQI")
_SEGMENT_MAGIC = b"CAIRNLOG"
_FRAME = Struct("<4sQII")
_FRAME_MAGIC = b"Fram"
_FRAME_HEAD = Struct("<4sQI")
_ENTRY = Struct("<QQBII")
_ENTRY_HEAD = Struct("<QQBI")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry lies."""

    segment: int
    offset: int
    length: int
    term: int


class EntryLog:
    """The entries after `base`, which is what a snapshot or compaction covers. One thread at a time."""

    def __init__(self, directory: Path, *, base: int, first_segment: int) -> None:
        """Read the segments from number `first_segment` on, delete older ones; CorruptData, BadConfig."""
        self._directory = directory
        self._base = base
        self._places: list[_Place] = []
        self._last_in: dict[int, int] = {}
        self._files: dict[int, int] = {}
        self._salts: dict[int, int] = {}
        self._sequence = 0
        self._bytes = 0
        self._tail = 0
        self._size = 0
        numbers = sorted(int(path.stem) for path in directory.glob("*.entries"))
        for number in [number for number in numbers if number < first_segment]:
            self._path(number).unlink()
        self._current = first_segment - 1
        self._recover([number for number in numbers if number >= first_segment])

    @property
    def first_index(self) -> int:
        """The first entry that is there, or would be."""
        return self._base + 1

    @property
    def last_index(self) -> int:
        """The last entry that is there, or `first_index` - 1."""
        return self._base + len(self._places)

    @property
    def byte_count(self) -> int:
        """Bytes of the entries that are there."""
        return self._bytes

    @property
    def next_segment(self) -> int:
        """The number of a segment that does not exist yet."""
        return self._current + 1

    def term(self, index: int) -> int:
        """The term of an entry; Compacted, Unavailable."""
        return self._place(index).term

    def entries(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries [low, high), cut after `max_bytes` of data, but at least one; Compacted, Unavailable, CorruptData."""
        self._place(low)
        self._place(high - 1)
        found: list[Entry] = []
        total = 0
        for index in range(low, high):
            place = self._place(index)
            total += place.length
            if found and total > max_bytes:
                break
            found.append(self._read(index, place))
        return found

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries, which replace what is there from their first on, and sync."""
        first = entries[0].index
        if not self.first_index <= first <= self.last_index + 1:
            raise CorruptData(f"entry {first} does not join a log from {self.first_index} to {self.last_index}")
        self._make_room(sum(_ENTRY.size + len(entry.data) for entry in entries) + _FRAME.size)
        salt = self._salts[self._current]
        records = [_record(entry, salt) for entry in entries]
        body = b"".join(records)
        frame = _frame(self._sequence + 1, len(body), salt) + body
        handle = self._files[self._current]
        _write(handle, frame, self._tail)
        os.fdatasync(handle)
        self._drop_from(first)
        offset = self._tail + _FRAME.size
        for entry, record in zip(entries, records, strict=True):
            self._add(entry.index, _Place(self._current, offset, len(entry.data), entry.term))
            offset += len(record)
        self._sequence += 1
        self._tail += len(frame)

    def compact(self, index: int) -> None:
        """Forget the entries up to `index`, and delete the segments that hold no others."""
        count = min(index - self._base, len(self._places))
        if count <= 0:
            return
        self._bytes -= sum(place.length for place in self._places[:count])
        del self._places[:count]
        self._base += count
        for segment in sorted(self._files):
            # In order, and none past one that is kept: a younger one may say that entries of an older one are void.
            if segment == self._current or self._last_in.get(segment, 0) > self._base:
                break
            self._delete(segment)

    def reset(self, base: int) -> None:
        """Forget every entry, and go on after `base` in a new segment; the caller has noted its number before."""
        for segment in list(self._files):
            self._delete(segment)
        self._places.clear()
        self._bytes = 0
        self._base = base
        self._start_segment(SEGMENT_BYTES)

    def close(self) -> None:
        """Close the files; nothing is lost, for every write was synced."""
        for handle in self._files.values():
            os.close(handle)
        self._files.clear()

    # --- entries and places ----------------------------------------------------------------------

    def _place(self, index: int) -> _Place:
        if index <= self._base:
            raise Compacted(index)
        if index > self.last_index:
            raise Unavailable(index)
        return self._places[index - self._base - 1]

    def _read(self, index: int, place: _Place) -> Entry:
        record = os.pread(self._files[place.segment], _ENTRY.size + place.length, place.offset)
        entry = _parse(memoryview(record), self._salts[place.segment])
        if entry is None or entry.index != index:
            raise CorruptData(
                f"{self._path(place.segment)}: entry {index} fails its checksum:"
                " remove this namenode's folder and let it come back as a new member"
            )
        return entry

    def _add(self, index: int, place: _Place) -> None:
        self._last_in[place.segment] = max(index, self._last_in.get(place.segment, 0))
        if index > self._base:
            self._places.append(place)
            self._bytes += place.length

    def _drop_from(self, index: int) -> None:
        keep = max(0, index - self._base - 1)
        for place in self._places[keep:]:
            self._bytes -= place.length
        del self._places[keep:]

    # --- segments --------------------------------------------------------------------------------

    def _path(self, segment: int) -> Path:
        return self._directory / f"{segment:010d}.entries"

    def _make_room(self, size: int) -> None:
        if self._current not in self._files or self._tail + size > self._size:
            self._start_segment(max(SEGMENT_BYTES, size + _SEGMENT.size))

    def _start_segment(self, size: int) -> None:
        """Make the next segment: it is there, with its name, before anything is written to it."""
        number = self._current + 1
        handle = os.open(self._path(number), os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._files[number] = handle
        salt = int.from_bytes(os.urandom(8), "little")
        _write(handle, _segment_head(salt) + bytes(size - _SEGMENT.size), 0)
        os.fsync(handle)
        sync_directory(self._directory)
        self._salts[number] = salt
        self._current = number
        self._tail = _SEGMENT.size
        self._size = size

    def _delete(self, segment: int) -> None:
        os.close(self._files.pop(segment))
        self._salts.pop(segment)
        self._last_in.pop(segment, None)
        self._path(segment).unlink()

    # --- recovery --------------------------------------------------------------------------------

    def _recover(self, numbers: list[int]) -> None:
        for number in numbers:
            is_last = number == numbers[-1]
            handle = os.open(self._path(number), os.O_RDWR | os.O_CLOEXEC)
            content = memoryview(self._path(number).read_bytes())
            salt = _salt(content)
            if salt is None:
                os.close(handle)
                if not is_last:
                    raise CorruptData(f"{self._path(number)} is damaged, and has segments after it")
                self._path(number).unlink()  # a crash came before its head was synced: nothing is in it
                self._current = number
                continue
            if content[8:12] != VERSION.to_bytes(4, "little"):
                raise BadConfig(f"{self._path(number)} has a format that this version does not know")
            self._files[number], self._salts[number] = handle, salt
            self._current, self._size = number, len(content)
            self._tail = self._replay(number, content, salt)
            self._check_rest(number, content, salt, is_last=is_last)

    def _replay(self, number: int, content: memoryview, salt: int) -> int:
        """Take the entries of a segment's whole frames; where they end."""
        offset = _SEGMENT.size
        while (frame := _whole_frame(content, offset, salt, self._sequence)) is not None:
            self._sequence, body = frame
            at = offset + _FRAME.size
            for entry, length in _entries(body, salt):
                self._drop_from(entry.index)
                if self._base < entry.index != self.last_index + 1:
                    raise CorruptData(f"{self._path(number)}: entry {entry.index} follows {self.last_index}")
                self._add(entry.index, _Place(number, at, len(entry.data), entry.term))
                at += length
            offset = at
        return offset

    def _check_rest(self, number: int, content: memoryview, salt: int, *, is_last: bool) -> None:
        """What follows the whole frames is zeros, or one frame that a crash has torn, which is wiped."""
        rest = bytes(content[self._tail :])
        if not rest.strip(b"\0"):
            return
        torn = rest.find(_FRAME_MAGIC, 1)
        while torn >= 0:
            offset = self._tail + torn
            head = _frame_head(content, offset, salt)
            if head is not None and head[0] > self._sequence + 1:
                raise CorruptData(f"{self._path(number)}: a frame at {self._tail} is damaged, and has others after it")
            torn = rest.find(_FRAME_MAGIC, torn + 1)
        if not is_last:
            raise CorruptData(f"{self._path(number)}: a frame at {self._tail} is damaged, and has segments after it")
        _write(self._files[number], bytes(len(rest)), self._tail)
        os.fdatasync(self._files[number])


def sync_directory(directory: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def _segment_head(salt: int) -> bytes:
    head = _SEGMENT.pack(_SEGMENT_MAGIC, VERSION, salt, 0)[:-4]
    return head + crc32c(head).to_bytes(4, "little")


def _salt(content: memoryview) -> int | None:
    """The salt in a segment's head; None where the head does not hold."""
    if len(content) < _SEGMENT.size:
        return None
    magic, _, salt, checksum = _SEGMENT.unpack_from(content)
    is_whole = magic == _SEGMENT_MAGIC and crc32c(content[: _SEGMENT.size - 4]) == checksum
    return salt if is_whole else None


def _frame(sequence: int, length: int, salt: int) -> bytes:
    head = _FRAME_HEAD.pack(_FRAME_MAGIC, sequence, length)
    return head + crc32c(head, salt & 0xFFFFFFFF).to_bytes(4, "little")


def _record(entry: Entry, salt: int) -> bytes:
    head = _ENTRY_HEAD.pack(entry.term, entry.index, entry.kind, len(entry.data))
    return head + _checksum(head, entry.data, salt).to_bytes(4, "little") + entry.data


def _checksum(head: bytes | memoryview, data: bytes | memoryview, salt: int) -> int:
    return crc32c(data, crc32c(head, salt & 0xFFFFFFFF))


def _parse(record: memoryview, salt: int) -> Entry | None:
    """The entry that starts a record; None where it does not hold."""
    if len(record) < _ENTRY.size:
        return None
    term, index, kind, length, checksum = _ENTRY.unpack_from(record)
    data = record[_ENTRY.size : _ENTRY.size + length]
    if len(data) != length or _checksum(record[: _ENTRY_HEAD.size], data, salt) != checksum:
        return None
    return Entry(term=term, index=index, kind=EntryKind(kind), data=bytes(data))


def _frame_head(content: memoryview, offset: int, salt: int) -> tuple[int, int] | None:
    """Sequence and length of the frame at an offset; None where there is none."""
    if offset + _FRAME.size > len(content):
        return None
    magic, sequence, length, checksum = _FRAME.unpack_from(content, offset)
    head = content[offset : offset + _FRAME_HEAD.size]
    if magic != _FRAME_MAGIC or crc32c(head, salt & 0xFFFFFFFF) != checksum:
        return None
    return sequence, length


def _whole_frame(content: memoryview, offset: int, salt: int, previous: int) -> tuple[int, memoryview] | None:
    """Sequence and body of the frame at an offset; None where it does not hold, or does not follow `previous`."""
    head = _frame_head(content, offset, salt)
    if head is None or (previous and head[0] != previous + 1):
        return None
    sequence, length = head
    body = content[offset + _FRAME.size : offset + _FRAME.size + length]
    return (sequence, body) if len(body) == length and _is_whole(body, salt) else None


def _is_whole(body: memoryview, salt: int) -> bool:
    return sum(length for _, length in _entries(body, salt)) == len(body)


def _entries(body: memoryview, salt: int) -> Iterator[tuple[Entry, int]]:
    """The entries in a frame's body with the bytes each takes, up to the first that does not hold."""
    offset = 0
    while offset < len(body):
        entry = _parse(body[offset:], salt)
        if entry is None:
            return
        length = _ENTRY.size + len(entry.data)
        yield entry, length
        offset += length
