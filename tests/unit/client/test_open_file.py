"""File objects against those of the local file system: the same calls give the same answers."""

import io
import itertools
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from cairnfs.client import block_stream, read_ahead
from cairnfs.client.filesystem import FileSystem
from cairnfs.client.open_file import File
from cairnfs.common.errors import ClusterUnavailable, SessionExpired
from cairnfs.common.operations import Commit, GetMap, Operation, ReleaseFiles, Write
from tests.unit.client.memory_blocks import MemoryBlocks
from tests.unit.client.memory_namenode import MemoryNamenode
from tests.unit.state.driver import INLINE_MAX

MODES = [action + rest for action in "rwax" for rest in ("b", "b+", "", "+")]
BAD_MODES = ["", "b", "rw", "rr", "rbt", "q", "r++", "U", "wax", "rb t"]


def kinds(operations: list[Operation]) -> list[str]:
    return [type(operation).__name__ for operation in operations if not isinstance(operation, ReleaseFiles)]


def outcome(open_it: Any, *args: Any, **options: Any) -> tuple[Any, ...]:
    """What an open did: the state of the file object, or the error."""
    try:
        with open_it(*args, **options) as file:
            return (file.mode, file.readable(), file.writable(), file.seekable(), file.tell())
    except (OSError, ValueError) as error:
        text = str(error) if isinstance(error, ValueError) and not isinstance(error, OSError) else ""
        return (type(error), getattr(error, "errno", None), text)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("exists", [True, False])
def test_every_mode_opens_as_builtin_open_does(fs: FileSystem, tmp_path: Path, mode: str, exists: bool) -> None:
    """The same abilities, position, mode string and content after each mode, or the same error."""
    local = tmp_path / "f"
    if exists:
        local.write_bytes(b"old content")
        fs.pipe_file("/f", b"old content")
    expected = outcome(open, local, mode)
    found = outcome(fs.open, "/f", mode)
    assert found[1:] == expected[1:]
    assert fs.exists("/f") == local.exists()
    if local.exists():
        assert fs.cat_file("/f") == local.read_bytes()


@pytest.mark.parametrize("mode", BAD_MODES)
def test_bad_modes_are_value_errors(fs: FileSystem, mode: str) -> None:
    """What is no mode is a ValueError, and no file is made."""
    with pytest.raises(ValueError, match="mode"):
        fs.open("/f", mode)
    assert fs.ls("/") == []


@pytest.mark.parametrize(
    ("mode", "options"),
    [("rb", {"encoding": "utf-8"}), ("rb", {"errors": "strict"}), ("wb", {"newline": ""}), ("r", {"buffering": 0})],
)
def test_arguments_that_do_not_fit_the_mode(fs: FileSystem, tmp_path: Path, mode: str, options: Any) -> None:
    """Text arguments of binary files, and unbuffered text, are refused with builtin open's words."""
    fs.pipe_file("/f", b"")
    (tmp_path / "f").touch()
    expected = outcome(open, tmp_path / "f", mode, **options)
    assert outcome(fs.open, "/f", mode, **options) == expected
    assert expected[0] is ValueError


def test_text_is_utf8_with_pythons_newlines(fs: FileSystem) -> None:
    """Text files encode as UTF-8, translate newlines, iterate by line, and have fsync."""
    with fs.open("/f", "w") as file:
        file.write("grüße\nzwei\n")
        file.fsync()
        assert fs.cat_file("/f") == "grüße\nzwei\n".encode()
    with fs.open("/f") as file:
        assert list(file) == ["grüße\n", "zwei\n"]
        assert file.name == "/f"


def test_a_folder_is_not_opened(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """Opening a folder, to read or to write, is IsADirectoryError with the path, and holds nothing."""
    fs.mkdir("/d")
    for mode in ("rb", "wb", "r+b"):
        with pytest.raises(IsADirectoryError) as error:
            fs.open("/d", mode)
        assert error.value.filename == "/d"
    assert not +namenode.held


def test_small_content_is_two_operations(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """A small file written through open is CreateFile and one Write, however many writes it came in."""
    fs.pipe_file("/other", b"x")
    namenode.asked.clear()
    with fs.open("/f", "wb") as file:
        for number in range(100):
            file.write(b"%d" % number)
    names = [name for name in kinds(namenode.asked) if name != "GetFileSystemStatus"]
    assert names == ["CreateFile", "Write"]


def test_large_content_is_one_commit(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """A large file written in small pieces is one Commit of one extent at close."""
    with fs.open("/f", "wb") as file:
        for _ in range(100):
            file.write(b"x" * 100)
    commits = [operation for operation in namenode.asked if isinstance(operation, Commit)]
    assert [len(commit.extents) for commit in commits] == [1]


def test_close_lets_go(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """After close the session holds nothing, and no block is left open."""
    with fs.open("/f", "w+b") as file:
        file.write(b"x" * 5000)
        file.fsync()
        file.seek(0)
        file.read()
        file.write(b"y" * 5000)
    assert not +namenode.held
    assert not namenode.driver.machine.block(1).is_open  # type: ignore[union-attr]


def test_flush_makes_it_visible_and_unlink_does_not_take_it_away(fs: FileSystem) -> None:
    """What is flushed is seen by others; an unlinked file lives on for those who have it open."""
    with fs.open("/f", "w+b") as file:
        file.write(b"x" * 3000)
        assert fs.cat_file("/f") == b""
        file.flush()
        assert fs.cat_file("/f") == b"x" * 3000
        fs.unlink("/f")
        file.write(b"more")
        file.seek(0)
        assert file.read() == b"x" * 3000 + b"more"
    assert not fs.exists("/f")


def test_a_reader_of_uncommitted_bytes_commits_them_only_where_it_must(
    fs: FileSystem, namenode: MemoryNamenode
) -> None:
    """A handle sees what it wrote: from memory while that will do, through a commit where blocks have it."""
    with fs.open("/f", "w+b", buffering=0) as file:
        file.write(b"x" * 600)
        file.seek(100)
        assert file.read(500) == b"x" * 500
        assert namenode.count(Commit) == namenode.count(Write) == 0
        file.write(b"y" * (2 << 20))
        file.seek(0)
        assert file.read(700) == b"x" * 600 + b"y" * 100
        assert namenode.count(Commit) == 1


def test_appenders_never_overwrite_each_other(fs: FileSystem) -> None:
    """Two handles that append in turn, small and large, leave all of both, in the order of their flushes."""
    with fs.open("/log", "ab") as first, fs.open("/log", "ab") as second:
        first.write(b"a1")
        second.write(b"b1")
        second.flush()
        first.flush()
        first.write(b"A" * 2000)
        second.write(b"B" * 3000)
        first.flush()
        second.flush()
        first.write(b"a2")
    assert fs.cat_file("/log") == b"b1a1" + b"A" * 2000 + b"B" * 3000 + b"a2"


def test_an_append_that_no_longer_fits_inline_goes_into_a_block(fs: FileSystem) -> None:
    """Where others have made the file too long for the namespace meanwhile (EFBIG), the append goes to a block."""
    with fs.open("/log", "ab") as file:
        file.write(b"a" * 10)
        with fs.open("/log", "ab") as other:
            other.write(b"b" * (INLINE_MAX - 5))
        file.flush()
    assert fs.cat_file("/log") == b"b" * (INLINE_MAX - 5) + b"a" * 10


def test_many_small_writes_to_a_small_file_stay_out_of_blocks(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """A buffer that fills up with overwrites of a small file is compacted, not sent into a block."""
    with fs.open("/f", "wb", buffering=0) as file:
        for number in range(3000):
            file.seek(number * 7 % 900)
            file.write(b"%d" % (number % 10))
    assert namenode.count(Commit) == 0
    assert fs.info("/f")["size"] == 900


def test_a_failed_flush_is_told_until_the_end(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """A flush that fails raises, and so do later writes and close: nobody takes lost bytes for saved."""
    file = fs.open("/f", "wb")
    file.write(b"x")
    namenode.refusals[Write] = [ClusterUnavailable("no leader")]
    with pytest.raises(ClusterUnavailable):
        file.flush()
    with pytest.raises(ClusterUnavailable):
        file.close()
    assert file.closed
    assert not +namenode.held


def test_a_writers_session_that_expired_is_told(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """What was not flushed when the session expired is reported lost; a new file works."""
    file = fs.open("/f", "wb")
    file.write(b"x" * 5000)
    namenode.expire()
    with pytest.raises(SessionExpired):
        file.flush()
    with pytest.raises(SessionExpired):
        file.close()
    fs.pipe_file("/g", b"fine")
    assert fs.cat_file("/g") == b"fine"


def test_a_readers_session_may_expire(fs: FileSystem, namenode: MemoryNamenode, blocks: MemoryBlocks) -> None:
    """A file open for reading goes on after its session has expired: it is opened again by its inode number."""
    fs.pipe_file("/f", b"x" * 5000)
    with fs.open("/f", "rb", buffering=0) as file:
        namenode.expire()
        assert file.read(10) == b"x" * 10
        for node in (1, 2, 3):
            blocks.nodes[node].is_dead = True
        moved = blocks.nodes[1].copies
        blocks.nodes[1].is_dead = False
        assert moved
        assert file.read(10) == b"x" * 10
    assert not +namenode.held


def test_permissions_are_less_the_umask(fs: FileSystem) -> None:
    """A file that is made has the permissions asked for without the umask's bits; one that is there keeps its own."""
    fs.open("/a", "w").close()
    fs.open("/b", "x", permissions=0o777).close()
    fs.chmod("/a", 0o600)
    fs.open("/a", "w").close()
    assert [fs.info(path)["mode"] & 0o7777 for path in ("/a", "/b")] == [0o600, 0o755]


def test_a_long_map_is_read_page_by_page(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """A file of more extents than one answer has is read whole, and from its middle."""
    with fs.open("/f", "wb", buffering=0) as file:
        for number in range(3000):
            file.seek(number * 8)
            file.write(b"%04d" % number)
    whole = b"\0\0\0\0".join(b"%04d" % number for number in range(3000))
    assert fs.cat_file("/f") == whole
    assert fs.cat_file("/f", 20_000, 20_100) == whole[20_000:20_100]
    assert namenode.count(GetMap) >= 2


NUMBERS = itertools.count()

# --- the model: one file here, one there ------------------------------------------------------------

OFFSETS = st.one_of(st.integers(0, 3000), st.integers(0, 200))
DATA = st.one_of(st.binary(min_size=0, max_size=40), st.integers(1, 2500).map(lambda length: b"%d;" % length * length))
OPEN_MODES = st.sampled_from(["rb", "wb", "ab", "r+b", "w+b", "a+b"])


class OneFileTwice(RuleBasedStateMachine):
    """Calls on a file object of the library and on a local one, compared call by call."""

    folder: Path
    fs: FileSystem
    namenode: MemoryNamenode
    blocks: MemoryBlocks

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.ours: File | None = None
        self.theirs: IO[Any] | None = None
        self.is_appending = False

    @initialize(old=DATA, lag=st.integers(0, 3))
    def begin(self, old: bytes, lag: int) -> None:
        self.blocks.lag = lag
        self.name = f"/f-{next(NUMBERS)}"
        self.local = self.folder / "local"
        self.local.write_bytes(old)
        self.fs.pipe_file(self.name, old)

    @precondition(lambda self: self.ours is None)
    @rule(mode=OPEN_MODES, buffering=st.sampled_from([-1, 0, 64]))
    def open(self, mode: str, buffering: int) -> None:
        self.ours = self.fs.open(self.name, mode, buffering=buffering)
        self.theirs = open(self.local, mode, buffering=buffering)  # noqa: SIM115
        self.is_appending = mode.startswith("a")

    @precondition(lambda self: self.ours is not None)
    @rule(offset=OFFSETS, whence=st.sampled_from([0, 1, 2]))
    def seek(self, offset: int, whence: int) -> None:
        self.both(lambda file: file.seek(offset, whence))

    @precondition(lambda self: self.ours is not None)
    @rule(data=DATA)
    def write(self, data: bytes) -> None:
        self.both(lambda file: file.write(data))

    @precondition(lambda self: self.ours is not None)
    @rule(count=st.one_of(st.just(-1), st.integers(0, 3000)))
    def read(self, count: int) -> None:
        self.both(lambda file: file.read(count))

    @precondition(lambda self: self.ours is not None)
    @rule(size=st.one_of(st.none(), OFFSETS))
    def truncate(self, size: int | None) -> None:
        self.both(lambda file: file.truncate(size))

    @precondition(lambda self: self.ours is not None)
    @rule()
    def flush(self) -> None:
        self.both(lambda file: file.flush())
        if self.ours is not None and self.ours.writable():
            self.compare()

    @precondition(lambda self: self.ours is not None)
    @rule()
    def tell(self) -> None:
        if (
            self.is_appending
        ):  # where buffered bytes will go, io can only guess: its answer depends on its buffer's size
            self.both(lambda file: file.flush())
        self.both(lambda file: file.tell())

    @precondition(lambda self: self.ours is not None)
    @rule()
    def close(self) -> None:
        self.both(lambda file: file.close())
        self.ours = self.theirs = None
        self.compare()
        assert not +self.namenode.held

    def both(self, action: Any) -> None:
        found, expected = (self.result(action, file) for file in (self.ours, self.theirs))
        assert found == expected

    def result(self, action: Any, file: Any) -> Any:
        try:
            return action(file)
        except io.UnsupportedOperation:
            return "unsupported"
        except OSError as error:
            return error.errno

    def compare(self) -> None:
        assert self.fs.cat_file(self.name) == self.local.read_bytes()

    def teardown(self) -> None:
        if self.ours is not None:
            self.close()


@pytest.fixture
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_stream, "BLOCK_BYTES_MAX", 3000)
    monkeypatch.setattr(read_ahead, "CHUNK_BYTES", 512)
    monkeypatch.setattr("cairnfs.client.piece_buffers.PIECE_BYTES_MAX", 700)
    monkeypatch.setattr("cairnfs.client.file_handle.PIECE_BYTES_MAX", 700)
    monkeypatch.setattr("cairnfs.client.open_file.READ_BUFFER_BYTES", 128)
    monkeypatch.setattr("cairnfs.client.open_file.WRITE_BUFFER_BYTES", 256)


def test_a_file_behaves_as_a_local_one(
    tmp_path: Path, small_sizes: None, fs: FileSystem, namenode: MemoryNamenode, blocks: MemoryBlocks
) -> None:
    """Any sequence of calls in any mode gives the same results and the same content as on a local file."""

    class Here(OneFileTwice):
        pass

    Here.folder, Here.fs, Here.namenode, Here.blocks = tmp_path, fs, namenode, blocks

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=100,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
