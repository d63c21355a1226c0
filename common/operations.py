"""Every operation a client can ask of the namenode, and every answer: the one home of that vocabulary.

An operation is a frozen msgspec struct, encoded as a MessagePack array headed by the name of its
class. gRPC carries it as bytes in `session.proto`, the leader writes the same bytes to the Raft
log, and `apply` decodes them there: one definition, typed, and decoded in half a microsecond.
New fields go at the end with a default: an older reader skips them, a newer one fills them in.

Paths. `at` is the inode that `path` starts from (ROOT_INO for absolute use); the server walks it,
checks search permission on every folder and follows symbolic links (at most 40). A path is bytes,
at most 4,095 of them, its names at most 255 each; any byte but NUL and the separating `/` is legal.
An empty path names `at` itself, where an operation allows that.

Times are nanoseconds since the epoch. Sizes, offsets and lengths are bytes.
"""

from typing import Final

import msgspec

PATH_MAX: Final = 4096
NAME_MAX: Final = 255
SYMLINK_HOPS_MAX: Final = 40
NODE_NONE: Final = 0

# SetAttributes and utimens: besides a time in nanoseconds
TIME_NOW: Final = -1
TIME_OMIT: Final = -2

# Rename.flags, as renameat2(2)
RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2

# SetXattr.flags, as setxattr(2)
XATTR_CREATE: Final = 1
XATTR_REPLACE: Final = 2

# Allocate.mode bits, as fallocate(2)
FALLOC_KEEP_SIZE: Final = 1
FALLOC_PUNCH_HOLE: Final = 2
FALLOC_ZERO_RANGE: Final = 16

# access(2)
READ: Final = 4
WRITE: Final = 2
EXECUTE: Final = 1


class Credentials(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who asks: the effective user, group and supplementary groups of the calling process."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


class Operation(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What a client asks for."""


class Mutation(Operation, frozen=True, array_like=True, tag=True, gc=False):
    """An operation that goes through the log, once for each (session, sequence)."""


class Query(Operation, frozen=True, array_like=True, tag=True, gc=False):
    """An operation that reads the applied state."""


class Extent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`length` bytes of a file at `offset` are the bytes of `block` from `block_offset` on."""

    offset: int
    length: int
    block: int
    block_offset: int


# --- answers -------------------------------------------------------------------------------------


class Done(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """It is done, and there is nothing more to say."""


class Node(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`record` is the packed Attributes of an inode (see attributes.py)."""

    record: bytes


class Replica(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A datanode that holds a copy, and the `host:port` of its transfer service."""

    node: int
    address: str
    is_corrupt: bool = False


class LocatedBlock(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a block is: `length` is its committed bytes, `token` the right to read (or write) it."""

    block: int
    generation: int
    length: int
    replicas: tuple[Replica, ...]
    token: bytes


class FileMap(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Attributes and content map of a file.

    A byte of the file is taken from the extent that covers it, else from `inline` (which starts
    at offset 0), else it is zero. `extents` are sorted and do not overlap; `blocks` locates each
    block they name. When `next_offset` is not -1 more extents follow: ask again with GetMap from there.
    """

    record: bytes
    inline: bytes
    extents: tuple[Extent, ...]
    blocks: tuple[LocatedBlock, ...]
    next_offset: int = -1


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a symbolic link points, or the value of an extended attribute."""

    value: bytes


class Names(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Names of extended attributes."""

    names: tuple[bytes, ...]


class Listing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A page of a folder, in the order of the names' bytes, without `.` and `..`.

    `names` joins the names with `/`, which no name contains. `inodes` holds a u64, little-endian,
    per name, `kinds` a byte per name: S_IFMT(mode) >> 12, as d_type. With attributes asked for, `records` holds an
    Attributes record per name; else it is empty. `is_last` tells that the folder ends here;
    otherwise ask again after the last name.
    """

    names: bytes
    inodes: bytes
    kinds: bytes
    records: bytes
    is_last: bool


class Appended(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """After a commit or a write: the attributes, and where in the file the first byte of it went."""

    record: bytes
    offset: int


class FileSystemStatus(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """As statvfs: bytes of all live datanodes' volumes, and inodes in use."""

    capacity: int
    free: int
    inodes: int
    block_size: int
    min_replicas: int
    replication: int
    inline_max: int


# --- mutations -----------------------------------------------------------------------------------


class MakeDirectory(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """mkdir(2). With `parents` missing folders on the way are made too and an existing folder is no error. → Node"""

    at: int
    path: bytes
    mode: int
    parents: bool = False


class CreateFile(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """open(2) with O_CREAT, and with O_EXCL and O_TRUNC as told. The session holds the inode afterwards. → FileMap

    `access` is the READ and WRITE bits the handle wants, checked where the file exists.
    """

    at: int
    path: bytes
    mode: int
    exclusive: bool = False
    truncate: bool = False
    access: int = READ | WRITE


class CreateOrphan(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """open(2) with O_TMPFILE: a regular file without a name, held by the session until Publish. → FileMap"""

    mode: int


class Publish(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """Give an orphan its name, at once replacing a file that has it unless `exclusive`. → Node

    EISDIR where the name is a folder's, EEXIST where it exists and `exclusive` is set, ENOENT
    where `ino` has been reaped. A file that is replaced keeps nothing; the new file has its own mode.
    """

    ino: int
    at: int
    path: bytes
    exclusive: bool = False


class WriteFile(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """Create a file, or replace the whole content of one, with at most inline_max bytes, in one commit. → Node

    Atomic: a reader sees the old content or the new. A new file gets `mode`, an old one keeps its own.
    """

    at: int
    path: bytes
    mode: int
    content: bytes
    exclusive: bool = False


class MakeNode(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """mknod(2): `mode` with the type bits of a fifo, socket, device or regular file. → Node"""

    at: int
    path: bytes
    mode: int
    rdev: int = 0


class MakeSymlink(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """symlink(2): a link at `path` that contains `target` (1 to 4,095 bytes). → Node"""

    at: int
    path: bytes
    target: bytes


class MakeLink(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """linkat(2): a new name at `to_path` for the file at `path`; a final link is followed only if asked. → Node"""

    at: int
    path: bytes
    to_at: int
    to_path: bytes
    follow: bool = False


class Unlink(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """unlink(2). Content stays while a session holds the inode. → Done"""

    at: int
    path: bytes


class RemoveDirectory(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """rmdir(2). → Done"""

    at: int
    path: bytes


class Rename(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """renameat2(2) with RENAME_NOREPLACE or RENAME_EXCHANGE in `flags`. → Done"""

    at: int
    path: bytes
    to_at: int
    to_path: bytes
    flags: int = 0


class SetAttributes(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """chmod, chown, truncate and utimens in one; -1 leaves mode, uid, gid or size as it is. → Node

    Times take nanoseconds, TIME_NOW or TIME_OMIT. `by_handle` says that the caller holds the file
    open for writing: a truncate is then not checked against the mode bits (ftruncate(2)).
    """

    at: int
    path: bytes
    mode: int = -1
    uid: int = -1
    gid: int = -1
    size: int = -1
    atime_ns: int = TIME_OMIT
    mtime_ns: int = TIME_OMIT
    follow: bool = True
    by_handle: bool = False


class SetXattr(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """setxattr(2), with XATTR_CREATE or XATTR_REPLACE in `flags`; names 1 to 255 bytes, values to 65,536. → Done"""

    at: int
    path: bytes
    name: bytes
    value: bytes
    flags: int = 0
    follow: bool = True


class RemoveXattr(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """removexattr(2). → Done"""

    at: int
    path: bytes
    name: bytes
    follow: bool = True


class Write(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """Bytes at `offset` (or at the end, with `append`) that stay in the namespace, by a holder of the file. → Appended

    EFBIG where offset + len(data) exceeds inline_max: such bytes belong in a block. Extents under
    the range give way to it. `size` and `mtime_ns` follow as in write(2).
    """

    ino: int
    offset: int
    data: bytes
    append: bool = False


class AllocateBlock(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """A new, empty block for the session to append to, for bytes of file `ino`. → LocatedBlock (token: write)

    `excluded` are datanodes the writer found dead or full. `placement` is filled in by the leader.
    ENOSPC where no datanode has room, EHOSTDOWN where fewer than min_replicas are alive.
    """

    ino: int
    excluded: tuple[int, ...] = ()
    placement: tuple[int, ...] = ()


class RenewBlock(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """Go on with a block on `survivors` only, under a new generation: the others' copies are stale. → LocatedBlock

    ESTALE where `generation` is not the block's, EHOSTDOWN where survivors are fewer than min_replicas.
    """

    block: int
    generation: int
    survivors: tuple[int, ...]


class BlockCommit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first `length` bytes of `block` are durable on its replicas; `seal` ends the writing."""

    block: int
    generation: int
    length: int
    seal: bool = False


class Commit(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """What fsync and close publish: bytes that lie in blocks become bytes of the file, in this order. → Appended

    `extents` may overlap each other and what the file has: the later wins. With `append` their
    offsets count from the end of the file, which `apply` adds (O_APPEND). ESTALE where a block's
    generation has moved on, EINVAL where an extent reaches beyond its block's committed length.
    `blocks` alone (no extents) seals. `size` of the file grows to the end of the extents.
    """

    ino: int
    extents: tuple[Extent, ...]
    blocks: tuple[BlockCommit, ...]
    append: bool = False


class AllocateRange(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """fallocate(2) by a holder of the file, `mode` from FALLOC_*; a preallocated range reads as zeros. → Node"""

    ino: int
    mode: int
    offset: int
    length: int


class CopyFile(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """Make `to_path` a copy of the file at `path` in one commit, sharing its (immutable) blocks. → Node

    A file that has the name is replaced unless `exclusive`; EISDIR for folders, EINVAL for other kinds.
    Mode, and nothing else of the metadata, is taken from the source.
    """

    at: int
    path: bytes
    to_at: int
    to_path: bytes
    exclusive: bool = False


class ReportCorrupt(Mutation, frozen=True, array_like=True, tag=True, gc=False):
    """A reader found that `node`'s copy of `block` fails its checksum: it is read last from now on. → Done"""

    block: int
    generation: int
    node: int


# --- queries -------------------------------------------------------------------------------------


class GetAttributes(Query, frozen=True, array_like=True, tag=True, gc=False):
    """stat(2), or lstat(2) without `follow`. → Node"""

    at: int
    path: bytes
    follow: bool = True


class OpenFile(Query, frozen=True, array_like=True, tag=True, gc=False):
    """open(2) of a regular file, `access` from READ and WRITE; the session holds the inode afterwards. → FileMap

    Linearizable whatever level is asked for (close-to-open). ELOOP for a final link without `follow`,
    EISDIR for a folder opened for writing; a folder opened for reading gives its attributes only.
    """

    at: int
    path: bytes
    access: int = READ
    follow: bool = True


class GetMap(Query, frozen=True, array_like=True, tag=True, gc=False):
    """The content map of `ino` from `offset` on, by a holder of the file. → FileMap (`inline` only with offset 0)"""

    ino: int
    offset: int = 0


class ReleaseFiles(Query, frozen=True, array_like=True, tag=True, gc=False):
    """The session no longer holds these inodes (one hold each; an inode may be named repeatedly). → Done"""

    inodes: tuple[int, ...]


class Access(Query, frozen=True, array_like=True, tag=True, gc=False):
    """access(2): EACCES unless the caller may do all that `mask` (READ, WRITE, EXECUTE; 0 = exists) names. → Node"""

    at: int
    path: bytes
    mask: int


class ReadLink(Query, frozen=True, array_like=True, tag=True, gc=False):
    """readlink(2). → Target"""

    at: int
    path: bytes


class ListDirectory(Query, frozen=True, array_like=True, tag=True, gc=False):
    """A page of at most `limit` names greater than `after` (empty: from the start). → Listing"""

    at: int
    path: bytes
    after: bytes = b""
    limit: int = 4096
    with_attributes: bool = False


class GetXattr(Query, frozen=True, array_like=True, tag=True, gc=False):
    """getxattr(2); ENODATA where it is not set. → Target"""

    at: int
    path: bytes
    name: bytes
    follow: bool = True


class ListXattrs(Query, frozen=True, array_like=True, tag=True, gc=False):
    """listxattr(2). → Names"""

    at: int
    path: bytes
    follow: bool = True


class GetFileSystemStatus(Query, frozen=True, array_like=True, tag=True, gc=False):
    """statvfs(3). → FileSystemStatus"""


AnyMutation = (
    MakeDirectory
    | CreateFile
    | CreateOrphan
    | Publish
    | WriteFile
    | MakeNode
    | MakeSymlink
    | MakeLink
    | Unlink
    | RemoveDirectory
    | Rename
    | SetAttributes
    | SetXattr
    | RemoveXattr
    | Write
    | AllocateBlock
    | RenewBlock
    | Commit
    | AllocateRange
    | CopyFile
    | ReportCorrupt
)
AnyQuery = (
    GetAttributes
    | OpenFile
    | GetMap
    | ReleaseFiles
    | Access
    | ReadLink
    | ListDirectory
    | GetXattr
    | ListXattrs
    | GetFileSystemStatus
)
AnyOperation = AnyMutation | AnyQuery

encode = msgspec.msgpack.Encoder().encode
_operation_decoder: msgspec.msgpack.Decoder[AnyOperation] = msgspec.msgpack.Decoder(AnyOperation)


def decode_operation(body: bytes) -> AnyOperation:
    """The operation in `body`; msgspec.ValidationError or DecodeError where it is none."""
    return _operation_decoder.decode(body)
