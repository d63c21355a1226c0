"""Operations that make files or change their content."""

import errno
import stat

from cairnfs.common.attributes import Attributes
from cairnfs.common.errors import Refused
from cairnfs.common.operations import (
    FALLOC_KEEP_SIZE,
    FALLOC_PUNCH_HOLE,
    FALLOC_ZERO_RANGE,
    READ,
    WRITE,
    AllocateRange,
    Appended,
    Commit,
    CopyFile,
    CreateFile,
    CreateOrphan,
    Extent,
    FileMap,
    Node,
    Publish,
    Write,
    WriteFile,
)
from cairnfs.namenode.state import content
from cairnfs.namenode.state.blocks import check_commit, save_commit, settle
from cairnfs.namenode.state.call import Call, check_range, file_held, settings_of, touch, touch_attributes
from cairnfs.namenode.state.filemap import file_map
from cairnfs.namenode.state.names import check_replaceable_file, drop_link, make, new_inode, set_name
from cairnfs.namenode.state.permissions import (
    check_may,
    check_may_add,
    is_file,
    is_folder,
    mode_after_write,
    mode_of_new,
)
from cairnfs.namenode.state.resolve import Place, existing, locate_name
from cairnfs.namenode.state.schema import BlockRecord
from cairnfs.namenode.state.tables.update import Update
from cairnfs.namenode.state.xattrs import drop_capability


def create_file(update: Update, call: Call, operation: CreateFile) -> FileMap:
    """open(2) with O_CREAT; the session holds the inode."""
    place = locate_name(update, call.who, operation.at, operation.path, follow=not operation.exclusive, makes_file=True)
    inode = place.inode
    if inode is None:
        inode = _make_file(update, call, place, operation.mode)
    else:
        access = operation.access & (READ | WRITE) | (WRITE if operation.truncate else 0)
        _check_open(inode, call, access, is_exclusive=operation.exclusive)
        if operation.truncate:
            _replace_content(update, call, inode, b"")
    call.holds = inode.ino
    return file_map(update, inode, 0, call.now_s)


def create_orphan(update: Update, call: Call, operation: CreateOrphan) -> FileMap:
    """open(2) with O_TMPFILE; the session holds the inode."""
    inode = new_inode(update, call, stat.S_IFREG | operation.mode & 0o7777, call.who.gid)
    inode.nlink = 0
    update.add_inode(inode)
    update.save_orphan(inode.ino, call.session)
    call.holds = inode.ino
    return file_map(update, inode, 0, call.now_s)


def publish(update: Update, call: Call, operation: Publish) -> Node:
    """Give an orphan that the session made its name."""
    inode = update.inode(operation.ino)
    maker = update.orphan(operation.ino) if inode is not None else None
    if inode is None or not maker:
        raise Refused(errno.ENOENT, "the file to publish is gone, or has a name already")
    if maker != call.session:
        raise Refused(errno.EPERM, "only the session that made a file without a name can publish it")
    place = _place_of_replacement(update, call, operation.at, operation.path, is_exclusive=operation.exclusive)
    inode.nlink = 1
    if place.folder.mode & stat.S_ISGID:
        inode.mode = mode_of_new(stat.S_IFREG, inode.mode, place.folder, call.who)
        inode.gid = place.folder.gid
    update.remove_orphan(inode.ino)
    _put_in_place(update, call, place, inode)
    return Node(inode.pack())


def write_file(update: Update, call: Call, operation: WriteFile) -> Node:
    """Create a file with its whole content, or replace all that one has."""
    _check_inline(update, len(operation.content))
    place = locate_name(update, call.who, operation.at, operation.path, follow=not operation.exclusive, makes_file=True)
    inode = place.inode
    if inode is None:
        inode = _make_file(update, call, place, operation.mode)
        content.set_inline(update, inode, 0, operation.content)
        inode.size = len(operation.content)
    else:
        _check_open(inode, call, WRITE, is_exclusive=operation.exclusive)
        _replace_content(update, call, inode, operation.content)
    return Node(inode.pack())


def write(update: Update, call: Call, operation: Write) -> Appended:
    """Put a few bytes into a file's inline content."""
    inode = file_held(update, operation.ino)
    offset = inode.size if operation.append else operation.offset
    check_range(offset, len(operation.data))
    if not operation.data:
        return Appended(inode.pack(), offset)
    _check_inline(update, offset + len(operation.data))
    live: content.Live = {}
    content.write_inline(update, inode, offset, operation.data, live)
    settle(update, live)
    _note_write(update, call, inode)
    return Appended(inode.pack(), offset)


def commit(update: Update, call: Call, operation: Commit) -> Appended:
    """Make bytes that lie in blocks bytes of the file."""
    inode = file_held(update, operation.ino)
    base = inode.size if operation.append else 0
    blocks = {}
    for block_commit in operation.blocks:
        if block_commit.block in blocks:
            raise Refused(errno.EINVAL, f"block {block_commit.block} is committed twice in one go")
        blocks[block_commit.block] = check_commit(update, call, block_commit)
    committed = list(blocks)
    placed = [_place_extent(update, call, blocks, extent, base) for extent in operation.extents]

    live: content.Live = dict.fromkeys(committed, 0)
    for block in committed:
        save_commit(update, call, blocks[block])
    for extent in placed:
        content.lay(update, inode, extent, live)
    if placed:
        content.trim_inline(update, inode)
        inode.size = max(inode.size, *(extent.offset + extent.length for extent in placed))
        _note_write(update, call, inode)
    settle(update, live)
    return Appended(inode.pack(), placed[0].offset if placed else base)


def _place_extent(update: Update, call: Call, blocks: dict[int, BlockRecord], extent: Extent, base: int) -> Extent:
    """The extent where it goes in the file; EINVAL unless it lies within a block that the session writes."""
    check_range(extent.offset, extent.length)
    check_range(extent.block_offset, extent.length)
    check_range(base + extent.offset, extent.length)
    record = blocks.get(extent.block)
    if record is None:
        record = update.block(extent.block)
        if record is None or record.writer != call.session:
            raise Refused(errno.ESTALE, f"block {extent.block} is not open in this session")
        blocks[extent.block] = record
    if extent.length == 0 or extent.block_offset + extent.length > record.length:
        raise Refused(errno.EINVAL, f"an extent must lie within the {record.length} bytes of block {extent.block}")
    return Extent(base + extent.offset, extent.length, extent.block, extent.block_offset)


def allocate_range(update: Update, call: Call, operation: AllocateRange) -> Node:
    """fallocate(2). Nothing is reserved: allocation without content only raises the size, `allocated` stays true."""
    inode = file_held(update, operation.ino)
    if operation.offset < 0 or operation.length <= 0:
        raise Refused(errno.EINVAL)
    check_range(operation.offset, operation.length)
    end = operation.offset + operation.length
    keeps_size = operation.mode & FALLOC_KEEP_SIZE != 0
    action = operation.mode & ~FALLOC_KEEP_SIZE
    if action not in (0, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE) or (action == FALLOC_PUNCH_HOLE and not keeps_size):
        raise Refused(errno.EOPNOTSUPP)
    if action:
        live: content.Live = {}
        content.zero(update, inode, operation.offset, end, live)
        settle(update, live)
    if not keeps_size:
        inode.size = max(inode.size, end)
    _note_write(update, call, inode)
    return Node(inode.pack())


def copy_file(update: Update, call: Call, operation: CopyFile) -> Node:
    """A copy that shares the blocks of its source."""
    source = existing(update, call.who, operation.at, operation.path, follow=True)
    if not is_file(source):
        raise Refused(errno.EISDIR if is_folder(source) else errno.EINVAL)
    check_may(source, call.who, READ)
    place = _place_of_replacement(update, call, operation.to_at, operation.to_path, is_exclusive=operation.exclusive)
    if place.inode is not None and place.inode.ino == source.ino:
        raise Refused(errno.EINVAL, "source and destination are the same file")
    gid = place.folder.gid if place.folder.mode & stat.S_ISGID else call.who.gid
    inode = new_inode(update, call, stat.S_IFREG | source.mode & 0o1777, gid)
    inode.replication = source.replication
    update.add_inode(inode)
    live: content.Live = {}
    content.share(update, source, inode, live)
    settle(update, live)
    _put_in_place(update, call, place, inode)
    return Node(inode.pack())


def truncate(update: Update, call: Call, inode: Attributes, size: int) -> None:
    """Set the size of a regular file; the caller has checked that it may."""
    live: content.Live = {}
    content.truncate(update, inode, size, live)
    settle(update, live)
    _note_write(update, call, inode)


def _place_of_replacement(update: Update, call: Call, at: int, path: bytes, *, is_exclusive: bool) -> Place:
    """Where a whole new file goes, be there a regular file to replace or nothing."""
    place = locate_name(update, call.who, at, path, follow=not is_exclusive, makes_file=True)
    if place.inode is not None and is_exclusive:
        raise Refused(errno.EEXIST)
    check_replaceable_file(place, call)
    return place


def _put_in_place(update: Update, call: Call, place: Place, inode: Attributes) -> None:
    """Give a whole new file its name; the file that had the name loses it."""
    if place.inode is not None:
        drop_link(update, call, place.folder, place.inode)
    touch_attributes(inode, call.now_ns)
    update.save_inode(inode)
    set_name(update, call, place.folder, place.name, inode)


def _make_file(update: Update, call: Call, place: Place, mode: int) -> Attributes:
    check_may_add(place.folder, call.who)
    return make(update, call, place.folder, place.name, stat.S_IFREG | mode & 0o7777)


def _check_open(inode: Attributes, call: Call, access: int, *, is_exclusive: bool) -> None:
    """Whether what exists can be opened as a regular file, with O_CREAT, for `access`."""
    if is_exclusive:
        raise Refused(errno.EEXIST)
    if is_folder(inode):
        raise Refused(errno.EISDIR)
    check_may(inode, call.who, access)
    if not is_file(inode):
        raise Refused(errno.ENXIO, "not a regular file")


def _check_inline(update: Update, length: int) -> None:
    inline_max = settings_of(update).inline_max
    if length > inline_max:
        raise Refused(errno.EFBIG, f"more than {inline_max} bytes do not stay in the namespace: write them to a block")


def _replace_content(update: Update, call: Call, inode: Attributes, data: bytes) -> None:
    live: content.Live = {}
    content.replace_all(update, inode, data, live)
    settle(update, live)
    _note_write(update, call, inode)


def _note_write(update: Update, call: Call, inode: Attributes) -> None:
    """Times, version, set-ID bits and capabilities after a write."""
    inode.mode = mode_after_write(inode, call.who)
    drop_capability(update, inode)
    touch(inode, call.now_ns)
    update.save_inode(inode)
