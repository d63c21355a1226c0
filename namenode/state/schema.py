"""The key space: every table, the builder of its keys, and the records in it.

Format 1. Integers in keys are big-endian, so that the order of keys is the order of numbers;
integers in records are little-endian, but for the inode number in a dentry, which is a key.

| table      | key                       | value                                                        |
|------------|---------------------------|--------------------------------------------------------------|
| inodes     | ino u64                   | Attributes record (common/attributes.py)                     |
| dentries   | folder u64 + name         | ino u64, big-endian · kind u8 (S_IFMT >> 12)                 |
| contents   | ino u64                   | inline bytes of a file, or the target of a symbolic link     |
| extents    | ino u64 + file offset u64 | length u64 · block u64 · block offset u64                    |
| xattrs     | ino u64 + name            | value                                                        |
| orphans    | ino u64                   | session u64 that made it by CreateOrphan, 0 where unlinked   |
| blocks     | block u64                 | BlockRecord                                                  |
| replicas   | node u32 + block u64      | empty: which blocks a datanode holds                         |
| deletions  | node u32 + block u64      | generation u32: the copy to delete is of this one or older   |
| writers    | session u64 + block u64   | empty: the blocks that a session has open                    |
| sessions   | session u64               | SessionRecord, MessagePack                                   |
| nonces     | nonce                     | session u64                                                  |
| replies    | session u64 + sequence u64| errno u32 · held ino u64 · answer or message                 |
| datanodes  | node u32                  | DatanodeRecord, MessagePack                                  |
| uuids      | uuid                      | node u32                                                     |
| meta       | name                      | `format` u32 · `counters` Counters · `cluster` ClusterSettings, MessagePack |

`meta` is last: a snapshot loads it last, so that a state without it is known to be incomplete.
"""

import struct
from typing import Final

import msgspec

FORMAT: Final = 1

TABLE_NAMES: Final = (
    "inodes",
    "dentries",
    "contents",
    "extents",
    "xattrs",
    "orphans",
    "blocks",
    "replicas",
    "deletions",
    "writers",
    "sessions",
    "nonces",
    "replies",
    "datanodes",
    "uuids",
    "meta",
)

META_FORMAT: Final = b"format"
META_COUNTERS: Final = b"counters"
META_CLUSTER: Final = b"cluster"

U32_MAX: Final = (1 << 32) - 1
U64_MAX: Final = (1 << 64) - 1

u64_key = struct.Struct(">Q").pack
u64_pair_key = struct.Struct(">QQ").pack
u32_key = struct.Struct(">I").pack
node_block_key = struct.Struct(">IQ").pack
unpack_u64_key = struct.Struct(">Q").unpack
unpack_u64_pair = struct.Struct(">QQ").unpack
unpack_u32_key = struct.Struct(">I").unpack
unpack_node_block = struct.Struct(">IQ").unpack

U32: Final = struct.Struct("<I")
U64: Final = struct.Struct("<Q")
DENTRY: Final = struct.Struct(">QB")
EXTENT: Final = struct.Struct("<QQQ")
REPLY_HEAD: Final = struct.Struct("<IQ")

_BLOCK_HEAD = struct.Struct("<IQQQHH")
_BLOCK_REPLICA = struct.Struct("<IB")
_COUNTERS = struct.Struct("<QQqQQQQQQQ")

_encode = msgspec.msgpack.Encoder().encode


def dentry_key(folder: int, name: bytes) -> bytes:
    """The key of `name` in a folder; names are at most 255 bytes."""
    return u64_key(folder) + name


def xattr_key(ino: int, name: bytes) -> bytes:
    """The key of an extended attribute; names are at most 255 bytes."""
    return u64_key(ino) + name


class Counters(msgspec.Struct, gc=False):
    """What rises with the log: the last entry applied, the latest time seen, the next ids, and how much there is."""

    applied_index: int = 0
    applied_term: int = 0
    time_ns: int = 0
    next_ino: int = 2
    next_block: int = 1
    next_node: int = 1
    next_session: int = 1
    inodes: int = 0
    blocks: int = 0
    sessions: int = 0

    def pack(self) -> bytes:
        """The record of these counters."""
        return _COUNTERS.pack(*msgspec.structs.astuple(self))

    @classmethod
    def unpack(cls, record: bytes) -> "Counters":
        """The counters in a record."""
        return cls(*_COUNTERS.unpack(record))


class ClusterSettings(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What InitializeCluster fixed: identity, key of the block tokens, replication, and sizes in bytes."""

    cluster_id: str
    token_key: bytes
    replication: int
    min_replicas: int
    inline_max: int
    block_size: int


class SessionRecord(msgspec.Struct, array_like=True, gc=False):
    """One client's session: it has every answer up to `answered_through`, and was opened with `nonce`."""

    answered_through: int
    opened_ns: int
    nonce: bytes
    client_name: str

    def pack(self) -> bytes:
        """The record of this session."""
        return _encode(self)


class DatanodeRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A datanode: its permanent uuid, and the `host:port` of its transfer service."""

    uuid: str
    address: str

    def pack(self) -> bytes:
        """The record of this datanode."""
        return _encode(self)


class BlockRecord(msgspec.Struct, gc=False):
    """A block: `writer` is the session that has it open, 0 once sealed.

    `length` bytes are committed, `live` bytes are named by extents of all files together;
    `replicas` tells for each node that holds a copy whether that copy is known to be corrupt.
    """

    block: int
    generation: int
    length: int
    live: int
    writer: int
    wanted: int
    replicas: dict[int, bool]

    @property
    def is_open(self) -> bool:
        """Whether a session may still append to the block."""
        return self.writer != 0

    def pack(self) -> bytes:
        """The record of this block, without its number."""
        head = _BLOCK_HEAD.pack(self.generation, self.length, self.live, self.writer, self.wanted, len(self.replicas))
        return head + b"".join([_BLOCK_REPLICA.pack(node, bad) for node, bad in self.replicas.items()])

    @classmethod
    def unpack(cls, block: int, record: bytes) -> "BlockRecord":
        """The block in a record."""
        generation, length, live, writer, wanted, _ = _BLOCK_HEAD.unpack_from(record)
        replicas = {node: bad != 0 for node, bad in _BLOCK_REPLICA.iter_unpack(record[_BLOCK_HEAD.size :])}
        return cls(block, generation, length, live, writer, wanted, replicas)


encode_settings = _encode
decode_settings = msgspec.msgpack.Decoder(ClusterSettings).decode
decode_session = msgspec.msgpack.Decoder(SessionRecord).decode
decode_datanode = msgspec.msgpack.Decoder(DatanodeRecord).decode
