"""The attributes of an inode, and the one fixed record in which they are stored and sent.

The namenode keeps the record as the inode's value, a listing carries it as it lies in the
database, and the client unpacks it: nobody re-encodes attributes on the way.

Record, version 1, little-endian, 104 bytes:

    ino u64 · mode u32 · nlink u32 · uid u32 · gid u32 · rdev u64 · size u64 · allocated u64
    atime_ns i64 · mtime_ns i64 · ctime_ns i64 · btime_ns i64 · version u64
    flags u32 · replication u16 · reserved u16 · parent u64
"""

import struct
from collections.abc import Iterator

import msgspec

ROOT_INO = 1

HAS_XATTRS = 1
HAS_INLINE = 2
HAS_EXTENTS = 4

RECORD = struct.Struct("<QIIIIQQQqqqqQIHHQ")
RECORD_BYTES = RECORD.size


class Attributes(msgspec.Struct, gc=False):
    """What `stat` tells of one inode, and what the namenode needs beside it.

    `size` and `allocated` are bytes (`st_blocks` is allocated / 512, rounded up); times are
    nanoseconds since the epoch; `version` rises with every change of content or attributes;
    `parent` is set for folders only (0 elsewhere); `replication` is the wanted copies of a file's blocks.
    """

    ino: int
    mode: int
    nlink: int
    uid: int
    gid: int
    rdev: int
    size: int
    allocated: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    btime_ns: int
    version: int
    flags: int
    replication: int
    reserved: int
    parent: int

    def pack(self) -> bytes:
        """The record of these attributes."""
        return RECORD.pack(
            self.ino,
            self.mode,
            self.nlink,
            self.uid,
            self.gid,
            self.rdev,
            self.size,
            self.allocated,
            self.atime_ns,
            self.mtime_ns,
            self.ctime_ns,
            self.btime_ns,
            self.version,
            self.flags,
            self.replication,
            self.reserved,
            self.parent,
        )

    @classmethod
    def unpack(cls, record: bytes | memoryview) -> "Attributes":
        """The attributes in one record of exactly RECORD_BYTES bytes; struct.error otherwise."""
        return cls(*RECORD.unpack(record))

    @classmethod
    def unpack_many(cls, records: bytes | memoryview) -> Iterator["Attributes"]:
        """The attributes in records laid end to end, as a listing carries them."""
        for fields in RECORD.iter_unpack(records):
            yield cls(*fields)
