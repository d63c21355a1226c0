"""put, get and whole files: what arrives, and what is left when it cannot."""

import errno
import hashlib
import io
import itertools
import os
import random
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cairnfs.client import block_stream, download, upload
from cairnfs.client.filesystem import FileSystem
from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.errors import CairnError, ClusterUnavailable, CorruptData, NoSpace, Refused, ReplicaUnavailable
from cairnfs.common.operations import (
    Commit,
    CreateOrphan,
    LocatedBlock,
    OpenFile,
    Publish,
    Replica,
    ReportCorrupt,
    SetAttributes,
    WriteFile,
)
from cairnfs.namenode.state.commands import UpdateReplicas
from tests.unit.client.memory_blocks import MemoryBlocks
from tests.unit.client.memory_namenode import MemoryNamenode
from tests.unit.state.driver import INLINE_MAX

BIG = random.Random(1).randbytes(2 * PIECE_BYTES_MAX + 12345)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "local"
    folder.mkdir()
    return folder


@pytest.fixture
def big(local: Path) -> Path:
    path = local / "big"
    path.write_bytes(BIG)
    return path


def failure(action: Callable[..., Any], *args: Any, **options: Any) -> OSError:
    try:
        action(*args, **options)
    except OSError as error:
        return error
    raise AssertionError("it did not fail")


def leftovers(namenode: MemoryNamenode) -> tuple[int, int, int]:
    """(holds, orphans, open blocks): all zero where nothing was left behind."""
    machine = namenode.driver.machine
    is_open = [block for node in (1, 2, 3) for block, _, _, is_open in machine.replicas_on(node, 0, 1000) if is_open]
    return (+namenode.held).total(), len(machine.orphans(0, 1000)), len(is_open)


# --- whole files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, INLINE_MAX, INLINE_MAX + 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, len(BIG)])
def test_pipe_and_cat(fs: FileSystem, namenode: MemoryNamenode, size: int) -> None:
    """Content of any size comes back; up to inline_max it is one operation."""
    fs.statvfs()
    fs.pipe_file("/f", BIG[:size])
    assert fs.cat_file("/f") == BIG[:size]
    assert namenode.count(WriteFile) == (size <= INLINE_MAX)
    assert leftovers(namenode) == (0, 0, 0)


@pytest.mark.parametrize("size", [0, 5, INLINE_MAX + 1, len(BIG)])
@pytest.mark.parametrize("has_readinto", [True, False])
def test_pipe_from_a_stream(fs: FileSystem, size: int, has_readinto: bool) -> None:
    """A file object is read to its end, however little it gives at a time."""

    class Trickle:
        def __init__(self) -> None:
            self.source = io.BytesIO(BIG[:size])

        def read(self, count: int) -> bytes:
            return self.source.read(min(count, 77_777))

    fs.pipe_file("/f", io.BytesIO(BIG[:size]) if has_readinto else Trickle())  # type: ignore[arg-type]
    assert fs.cat_file("/f") == BIG[:size]


def test_ranges_of_a_file(fs: FileSystem) -> None:
    """cat_file's start and end are as those of a slice."""
    fs.pipe_file("/f", BIG)
    for start, end in itertools.product((None, 0, 10, -10, len(BIG) + 5, -len(BIG) - 5), repeat=2):
        assert fs.cat_file("/f", start, end) == BIG[start:end]


def test_checksum_is_that_of_sha256sum(fs: FileSystem) -> None:
    """The checksum is the SHA-256 of the content, whatever way it was written."""
    fs.pipe_file("/whole", BIG)
    with fs.open("/parts", "wb") as file:
        file.seek(1000)
        file.write(BIG[1000:])
        file.flush()
        file.seek(0)
        file.write(BIG[:1000])
    assert fs.checksum("/whole") == fs.checksum("/parts") == hashlib.sha256(BIG).hexdigest()


def test_exclusive_leaves_what_is_there(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """With exclusive a file that exists is FileExistsError, small content or large, and keeps its own."""
    fs.pipe_file("/f", b"old")
    for data in (b"new", BIG):
        with pytest.raises(FileExistsError):
            fs.pipe_file("/f", data, exclusive=True)
    assert fs.cat_file("/f") == b"old"
    fs.pipe_file("/g", BIG, exclusive=True)
    assert leftovers(namenode) == (0, 0, 0)


# --- put --------------------------------------------------------------------------------------------


def test_put_takes_content_mode_and_nothing_else(fs: FileSystem, big: Path, namenode: MemoryNamenode) -> None:
    """put makes the file with the local mode less the umask; a file that had the name is replaced."""
    big.chmod(0o776)
    fs.pipe_file("/big", b"old")
    moved: list[int] = []
    fs.put(big, "/big", progress=moved.append)
    assert fs.cat_file("/big") == BIG
    assert stat.S_IMODE(fs.info("/big")["mode"]) == 0o754
    assert sum(moved) == len(BIG)
    assert leftovers(namenode) == (0, 0, 0)


@pytest.mark.parametrize("size", [10, len(BIG)])
def test_put_preserves_when_asked(fs: FileSystem, local: Path, size: int) -> None:
    """With preserve all mode bits and the times are those of the local file."""
    path = local / "f"
    path.write_bytes(BIG[:size])
    path.chmod(0o2775)
    os.utime(path, ns=(1_234_567_890_123_456_789, 1_234_567_891_123_456_789))
    fs.put(path, "/f", preserve=True)
    info = fs.info("/f")
    assert stat.S_IMODE(info["mode"]) == 0o2775
    assert (info["atime_ns"], info["mtime_ns"]) == (1_234_567_890_123_456_789, 1_234_567_891_123_456_789)


def test_put_keeps_holes(fs: FileSystem, local: Path, namenode: MemoryNamenode) -> None:
    """A sparse local file arrives with its size and content, and only its data in blocks."""
    path = local / "sparse"
    with path.open("wb") as file:
        file.seek(4 << 20)
        file.write(b"middle")
        file.truncate(16 << 20)
    fs.put(path, "/sparse")
    assert fs.cat_file("/sparse") == path.read_bytes()
    assert fs.info("/sparse")["allocated"] < 1 << 20
    fs.get("/sparse", local / "back")
    assert (local / "back").read_bytes() == path.read_bytes()
    assert (local / "back").stat().st_blocks * 512 < 4 << 20


BAD_TARGETS = [("/d", IsADirectoryError), ("/no/f", FileNotFoundError), ("/file/f", NotADirectoryError)]


@pytest.mark.parametrize(("target", "expected"), BAD_TARGETS)
@pytest.mark.parametrize("size", [10, len(BIG)])
def test_put_over_a_folder_or_into_nothing(
    fs: FileSystem, local: Path, namenode: MemoryNamenode, target: str, expected: type[OSError], size: int
) -> None:
    """A target that cannot be is told by its name, before any bytes are sent, and nothing is left."""
    fs.mkdir("/d")
    fs.pipe_file("/file", b"")
    path = local / "f"
    path.write_bytes(BIG[:size])
    error = failure(fs.put, path, target)
    assert type(error) is expected
    assert error.filename == target
    assert namenode.count(CreateOrphan) == 0
    assert leftovers(namenode) == (0, 0, 0)


def test_put_of_what_is_not_there(fs: FileSystem, local: Path) -> None:
    """A missing local file is told by its path, a folder without recursive is refused, and no remote file is made."""
    error = failure(fs.put, local / "no", "/f")
    assert isinstance(error, FileNotFoundError)
    assert str(local / "no") in str(error.filename)
    assert isinstance(failure(fs.put, local, "/f"), IsADirectoryError)
    assert fs.ls("/") == []


def test_ctrl_c_in_a_put_leaves_nothing(fs: FileSystem, big: Path, namenode: MemoryNamenode) -> None:
    """KeyboardInterrupt in the middle: no file under the final name, no hold, no orphan, no open block."""

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fs.put(big, "/big", progress=interrupt)
    assert fs.ls("/") == []
    assert leftovers(namenode) == (0, 0, 0)


@pytest.mark.parametrize("step", [CreateOrphan, Commit, Publish])
def test_a_put_that_fails_anywhere_leaves_the_old_file(
    fs: FileSystem, big: Path, namenode: MemoryNamenode, step: type
) -> None:
    """Whichever operation is refused, the error comes out, the old content stays, and nothing is left behind."""
    fs.pipe_file("/big", b"old")
    namenode.refusals[step] = [Refused(errno.EIO, "a test wants it")]
    assert failure(fs.put, big, "/big").errno == errno.EIO
    assert fs.cat_file("/big") == b"old"
    assert leftovers(namenode) == (0, 0, 0)


def test_a_put_without_room_leaves_the_old_file(fs: FileSystem, big: Path, blocks: MemoryBlocks) -> None:
    """NoSpace from the datanodes comes out of put, and the old file stays."""
    fs.pipe_file("/big", b"old")
    for node in blocks.nodes.values():
        node.is_full = True
    with pytest.raises(NoSpace):
        fs.put(big, "/big")
    assert fs.cat_file("/big") == b"old"


def test_a_put_whose_session_expires_is_told(fs: FileSystem, big: Path, namenode: MemoryNamenode) -> None:
    """An expired session in the middle of a put is an error, not a file without its bytes."""
    expiries = iter([namenode.expire])

    def expire(_: int) -> None:
        next(expiries, lambda: None)()

    assert failure(fs.put, big, "/big", progress=expire).errno in (errno.ESTALE, errno.EBADF)
    assert fs.ls("/") == []


@pytest.fixture
def tree(local: Path) -> Path:
    top = local / "tree"
    (top / "sub" / "deeper").mkdir(parents=True)
    (top / "empty").mkdir(mode=0o750)
    for number in range(20):
        (top / f"small-{number}").write_bytes(b"%d" % number)
    (top / "sub" / "big").write_bytes(BIG)
    (top / "sub" / "deeper" / "mid").write_bytes(BIG[: INLINE_MAX + 1])
    (top / os.fsdecode(b"\xff\xfe")).write_bytes(b"not utf-8")
    (top / "link").symlink_to("sub/big")
    (top / "broken").symlink_to("/nowhere")
    (top / "small-0").chmod(0o755)
    return top


def listing_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of everything in a local folder."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(root, name)
            mode = path.lstat().st_mode
            content = os.fsencode(path.readlink()) if stat.S_ISLNK(mode) else b""
            if stat.S_ISREG(mode):
                content = path.read_bytes()
            found[str(path.relative_to(folder))] = (mode, content)
    return found


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("preserve", [False, True])
def test_a_tree_goes_in_and_comes_out(
    fs: FileSystem, namenode: MemoryNamenode, local: Path, tree: Path, threads: int, preserve: bool
) -> None:
    """Every file, folder and link of a tree arrives, also into one that is there, and comes back as it was."""
    moved: list[int] = []
    fs.put(tree, "/tree", recursive=True, threads=threads, preserve=preserve, progress=moved.append)
    fs.put(tree, "/tree", recursive=True, threads=threads, preserve=preserve)
    total = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    assert sum(moved) == total
    moved.clear()
    back = local / "back"
    for _ in range(2):
        fs.get("/tree", back, recursive=True, threads=threads, preserve=preserve, progress=moved.append)
    assert sum(moved) == 2 * total
    assert listing_of(back) == listing_of(tree)
    assert leftovers(namenode) == (0, 0, 0)
    if preserve:
        assert (back / "sub" / "big").stat().st_mtime_ns == (tree / "sub" / "big").stat().st_mtime_ns
        assert (back / "sub").stat().st_mtime_ns == (tree / "sub").stat().st_mtime_ns


def test_a_folder_that_may_not_be_written_is_filled_all_the_same(fs: FileSystem, tree: Path) -> None:
    """A read-only local folder arrives with its files, and read-only."""
    (tree / "sub").chmod(0o555)
    fs.put(tree, "/tree", recursive=True)
    (tree / "sub").chmod(0o755)
    assert fs.exists("/tree/sub/big")
    assert stat.S_IMODE(fs.info("/tree/sub")["mode"]) == 0o555


def test_a_tree_with_a_fifo_is_refused_by_name(fs: FileSystem, tree: Path) -> None:
    """What cannot be copied is told by its path."""
    os.mkfifo(tree / "fifo")
    error = failure(fs.put, tree, "/tree", recursive=True)
    assert error.errno == errno.EINVAL
    assert error.filename == str(tree / "fifo")


def test_the_error_that_stopped_a_tree_is_the_one_that_is_raised(
    fs: FileSystem, tree: Path, namenode: MemoryNamenode
) -> None:
    """Where one file of many fails, its error comes out, not that the others were stopped."""
    for number in range(10):
        (tree / "sub" / f"large-{number}").write_bytes(BIG[:5000])
    namenode.refusals[Publish] = [Refused(errno.EDQUOT)]
    assert failure(fs.put, tree, "/tree", recursive=True).errno == errno.EDQUOT
    assert leftovers(namenode) == (0, 0, 0)


# --- get --------------------------------------------------------------------------------------------


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_get_writes_the_file_at_once(fs: FileSystem, local: Path, namenode: MemoryNamenode) -> None:
    """get replaces a local file by the whole new one, with the remote mode, and leaves no temporary file."""
    fs.pipe_file("/f", BIG, mode=0o640)
    (local / "f").write_bytes(b"old")
    moved: list[int] = []
    fs.get("/f", local / "f", progress=moved.append)
    assert (local / "f").read_bytes() == BIG
    assert stat.S_IMODE((local / "f").stat().st_mode) == 0o640
    assert names_in(local) == ["f"]
    assert sum(moved) == len(BIG)
    assert leftovers(namenode) == (0, 0, 0)


def test_get_in_many_stretches(fs: FileSystem, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of several blocks and many stretches, fetched by several threads, is put together right."""
    monkeypatch.setattr(block_stream, "BLOCK_BYTES_MAX", 300_000)
    monkeypatch.setattr(download, "STRETCH_BYTES", 70_000)
    fs.pipe_file("/f", BIG)
    fs.get("/f", local / "f", threads=5)
    assert (local / "f").read_bytes() == BIG


def test_get_of_a_missing_file_leaves_no_file(fs: FileSystem, local: Path) -> None:
    """No empty local file, and the remote path in the error."""
    error = failure(fs.get, "/no", local / "f")
    assert isinstance(error, FileNotFoundError)
    assert error.filename == "/no"
    assert names_in(local) == []


def test_get_into_what_cannot_be(fs: FileSystem, local: Path, namenode: MemoryNamenode) -> None:
    """A local folder, a missing local folder, a remote folder without recursive, a device: each told by its path."""
    fs.pipe_file("/f", b"x")
    fs.mkdir("/d")
    os.mkfifo(local / "fifo")
    assert isinstance(failure(fs.get, "/f", local), IsADirectoryError)
    missing = failure(fs.get, "/f", local / "no" / "f")
    assert (type(missing), missing.filename) == (FileNotFoundError, str(local / "no" / "f"))
    folder = failure(fs.get, "/d", local / "f")
    assert (type(folder), folder.filename) == (IsADirectoryError, "/d")
    assert failure(fs.get, "/f", local / "fifo").errno == errno.EINVAL
    assert names_in(local) == ["fifo"]
    assert leftovers(namenode) == (0, 0, 0)


def test_get_through_a_local_link_replaces_its_target(fs: FileSystem, local: Path) -> None:
    """A local symbolic link stays one."""
    fs.pipe_file("/f", b"new")
    (local / "target").write_bytes(b"old")
    (local / "link").symlink_to("target")
    fs.get("/f", local / "link")
    assert (local / "target").read_bytes() == b"new"
    assert (local / "link").is_symlink()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_local_disk_that_fills_is_told_and_cleaned_up(
    fs: FileSystem, local: Path, monkeypatch: pytest.MonkeyPatch, namenode: MemoryNamenode, code: int
) -> None:
    """NoSpace with the local path; the temporary file is gone, and what was there before is as it was."""
    fs.pipe_file("/f", BIG)
    (local / "f").write_bytes(b"old")

    def full(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", full)
    error = failure(fs.get, "/f", local / "f")
    assert type(error) is NoSpace
    assert error.filename == str(local / "f")
    assert str(local / "f") in str(error)
    monkeypatch.undo()
    assert (local / "f").read_bytes() == b"old"
    assert names_in(local) == ["f"]
    assert leftovers(namenode) == (0, 0, 0)


def test_ctrl_c_in_a_get_leaves_nothing(fs: FileSystem, local: Path, namenode: MemoryNamenode) -> None:
    """KeyboardInterrupt in the middle leaves no local file and no hold."""
    fs.pipe_file("/f", BIG)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    for threads in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            fs.get("/f", local / "f", threads=threads, progress=interrupt)
    assert names_in(local) == []
    assert leftovers(namenode) == (0, 0, 0)


# --- reading from datanodes that fail ------------------------------------------------------------------


@pytest.fixture
def readers(fs: FileSystem, local: Path) -> list[Callable[[], bytes]]:
    """Every way to read /f."""

    def by_get() -> bytes:
        fs.get("/f", local / "got")
        return (local / "got").read_bytes()

    def by_open() -> bytes:
        with fs.open("/f", "rb") as file:
            return b"".join(iter(lambda: file.read(100_000), b""))

    fs.pipe_file("/f", BIG)
    return [lambda: fs.cat_file("/f"), by_get, by_open]


@pytest.mark.parametrize("survivor", [1, 2, 3])
def test_reads_go_on_with_any_one_replica(
    readers: list[Callable[[], bytes]], blocks: MemoryBlocks, survivor: int
) -> None:
    """With two of three datanodes dead every way of reading gives every byte."""
    for number, node in blocks.nodes.items():
        node.is_dead = number != survivor
    for read in readers:
        assert read() == BIG


def test_a_dead_datanode_is_remembered(readers: list[Callable[[], bytes]], blocks: MemoryBlocks) -> None:
    """After the first failure the dead node is asked last, so that it does not cost every read a time-out."""
    for node in blocks.nodes.values():
        node.is_dead = True
    blocks.nodes[3].is_dead = False
    readers[0]()
    asked = [node.reads for node in blocks.nodes.values()]
    readers[0]()
    assert [node.reads - before for node, before in zip(blocks.nodes.values(), asked, strict=True)][:2] == [0, 0]


def test_a_corrupt_replica_is_passed_over_and_reported(
    fs: FileSystem, readers: list[Callable[[], bytes]], blocks: MemoryBlocks, namenode: MemoryNamenode
) -> None:
    """Bytes that fail their checksum are never returned: another replica is read, and the namenode is told which."""
    replicas = tuple(Replica(node, "") for node in blocks.nodes)
    first = fs._services.replicas.order(LocatedBlock(1, 1, 0, replicas, b""))[0].node
    blocks.nodes[first].corrupt.add(1)
    for read in readers:
        assert read() == BIG
    assert {operation.node for operation in namenode.asked if isinstance(operation, ReportCorrupt)} == {first}


def test_no_good_replica_is_an_error(readers: list[Callable[[], bytes]], blocks: MemoryBlocks, local: Path) -> None:
    """With all replicas corrupt, CorruptData; with all unreachable, ReplicaUnavailable in time; both are EIO."""
    for node in blocks.nodes.values():
        node.corrupt.add(1)
    for read in readers:
        with pytest.raises(CorruptData) as error:
            read()
        assert error.value.errno == errno.EIO
    for node in blocks.nodes.values():
        node.corrupt.clear()
        node.is_dead = True
    for read in readers:
        with pytest.raises(ReplicaUnavailable):
            read()
    assert not [name for name in names_in(local) if name.startswith(".")]


def test_replicas_that_have_moved_are_found(
    fs: FileSystem, namenode: MemoryNamenode, blocks: MemoryBlocks, local: Path
) -> None:
    """Where all replicas that a map names have failed, the map is asked for again, and the read goes on."""
    fs.pipe_file("/f", BIG)
    namenode.add_nodes(4)
    with fs.open("/f", "rb", buffering=0) as file:
        blocks.nodes[4].copies = blocks.nodes[1].copies
        for number in (1, 2, 3):
            blocks.nodes[number].is_dead = True
        generation, data = blocks.nodes[4].copies[1]
        namenode.driver.internal(UpdateReplicas(4, [(1, generation, len(data))], []))
        assert file.read(1000) == BIG[:1000]


def test_a_tree_download_that_fails_lets_everything_go(
    fs: FileSystem, local: Path, tree: Path, namenode: MemoryNamenode
) -> None:
    """An error in the middle of many opened files is raised, and all of them are released."""
    fs.put(tree, "/tree", recursive=True)
    namenode.refusals[OpenFile] = [Refused(errno.EACCES)]
    with pytest.raises(PermissionError):
        fs.get("/tree", local / "back", recursive=True)
    assert leftovers(namenode) == (0, 0, 0)


def test_the_cluster_that_is_gone_is_told(fs: FileSystem, big: Path, namenode: MemoryNamenode) -> None:
    """ClusterUnavailable comes out as it is, not as another error."""
    namenode.refusals[CreateOrphan] = [ClusterUnavailable("no leader within 10 s")]
    with pytest.raises(ClusterUnavailable, match="no leader"):
        fs.put(big, "/big")
    assert isinstance(ClusterUnavailable("x"), CairnError)


def test_fill_reads_to_the_end_of_what_gives_little() -> None:
    """fill asks again until the memory is full or the source ends."""

    class One(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.left: Iterator[int] = iter(data)

        def readinto(self, into: Any) -> int:
            for value in self.left:
                into[0] = value
                return 1
            return 0

    into = bytearray(5)
    assert upload.fill(One(b"abc"), memoryview(into)) == 3  # type: ignore[arg-type]
    assert upload.fill(One(b"abcdefgh"), memoryview(into)) == 5  # type: ignore[arg-type]
    assert into == b"abcde"


def test_a_bytearray_of_the_caller_stays_the_callers(fs: FileSystem) -> None:
    """What is piped from a bytearray is never written into by files that are written later."""
    mine = bytearray(BIG)
    fs.pipe_file("/mine", mine)
    with fs.open("/other", "wb") as one, fs.open("/third", "wb") as two:
        one.write(b"1" * (PIECE_BYTES_MAX - 1))
        two.write(b"2" * (PIECE_BYTES_MAX - 1))
    assert mine == BIG
    assert fs.cat_file("/other") == b"1" * (PIECE_BYTES_MAX - 1)


def test_a_local_name_may_be_as_long_as_names_are(fs: FileSystem, local: Path) -> None:
    """The temporary file beside a name of 255 bytes, few of its characters ASCII, has a shorter one."""
    name = "文" * 85
    fs.pipe_file(f"/{name}", BIG)
    fs.get(f"/{name}", local / name)
    assert names_in(local) == [name]


@pytest.mark.parametrize("verb", ["readinto", "read"])
def test_a_source_that_has_nothing_yet_has_not_ended(fs: FileSystem, verb: str) -> None:
    """A pipe that does not block and is empty for now is an error: what came so far is not taken for the whole."""

    class Pipe:
        def __init__(self) -> None:
            self.given = 0

        def readinto(self, into: memoryview) -> int | None:
            self.given += 1
            into[:3] = b"abc"
            return 3 if self.given == 1 else None

        def read(self, count: int) -> bytes | None:
            self.given += 1
            return b"abc" if self.given == 1 else None

    source = Pipe()
    if verb == "read":
        del Pipe.readinto
    with pytest.raises(BlockingIOError, match="does not wait"):
        fs.pipe_file("/f", source)  # type: ignore[arg-type]
    assert not fs.exists("/f")


def cut_during(namenode: MemoryNamenode, fs: FileSystem, blocks: MemoryBlocks, path: str, size: int) -> None:
    """Another client cuts the file, and the datanodes have deleted its block since."""
    fs.truncate(path, size)
    for node in blocks.nodes.values():
        node.copies.clear()


def test_a_file_that_is_cut_during_a_get_is_not_filled_up(
    fs: FileSystem, local: Path, namenode: MemoryNamenode, blocks: MemoryBlocks
) -> None:
    """Zeros that were never in the file do not pass for its bytes: get says that it was cut."""
    fs.pipe_file("/f", BIG)

    def cut(_: int) -> None:
        if namenode.count(SetAttributes) == 0:
            cut_during(namenode, fs, blocks, "/f", 0)

    error = failure(fs.get, "/f", local / "f", threads=1, progress=cut)
    assert error.errno == errno.ESTALE
    assert names_in(local) == []


def test_a_reader_sees_a_file_that_was_cut_end(fs: FileSystem, namenode: MemoryNamenode, blocks: MemoryBlocks) -> None:
    """A read that finds the blocks gone ends where the file ends now, and is not filled up with zeros."""
    fs.pipe_file("/f", BIG)
    with fs.open("/f", "rb", buffering=0) as file:
        assert file.read(10) == BIG[:10]
        cut_during(namenode, fs, blocks, "/f", 0)
        assert file.read(10) == b""
