"""The content of a file under all operations that change it, against a bytearray (as fsx does)."""

from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.common.operations import (
    FALLOC_KEEP_SIZE,
    FALLOC_PUNCH_HOLE,
    FALLOC_ZERO_RANGE,
    AllocateRange,
    BlockCommit,
    Commit,
    CopyFile,
    Extent,
    GetMap,
    OpenFile,
    SetAttributes,
    Write,
    WriteFile,
)
from tests.unit.state.check import check
from tests.unit.state.driver import INLINE_MAX, Driver, fast_folder

offsets = st.integers(0, 2 * INLINE_MAX)
lengths = st.integers(1, INLINE_MAX)


class FileContent(RuleBasedStateMachine):
    """One file, its model, and what the blocks hold."""

    @initialize()
    def start(self) -> None:
        self.folder = fast_folder()
        self.driver = Driver(Path(self.folder.name))
        self.ino = self.driver.put(b"/f").ino
        self.model = bytearray()
        self.copy = b""
        self.blocks: dict[int, bytearray] = {}
        self.open_block = 0
        self.byte = 0

    def teardown(self) -> None:
        if hasattr(self, "driver"):
            check(self.driver.machine)
            self.driver.machine.close()
            self.folder.cleanup()

    def data(self, length: int) -> bytes:
        self.byte = self.byte % 250 + 1
        return bytes((self.byte + i) % 251 + 1 for i in range(length))

    def place(self, offset: int, data: bytes) -> None:
        self.model.extend(bytes(max(0, offset + len(data) - len(self.model))))
        self.model[offset : offset + len(data)] = data

    @rule(length=st.integers(0, INLINE_MAX))
    def replace_whole(self, length: int) -> None:
        data = self.data(length)
        self.driver.do(WriteFile(ROOT_INO, b"/f", 0o644, data))
        self.model[:] = data

    @rule(offset=st.integers(0, INLINE_MAX - 1), length=lengths)
    def write_inline(self, offset: int, length: int) -> None:
        data = self.data(min(length, INLINE_MAX - offset))
        self.driver.do(Write(self.ino, offset, data))
        self.place(offset, data)

    @rule(parts=st.lists(st.tuples(offsets, lengths), min_size=1, max_size=4), seal=st.booleans(), append=st.booleans())
    def commit(self, parts: list[tuple[int, int]], seal: bool, append: bool) -> None:
        block = self.open_block or self.driver.allocate(self.ino).block
        held = self.blocks.setdefault(block, bytearray())
        base = len(self.model) if append else 0
        extents = []
        for offset, length in parts:
            data = self.data(length)
            extents.append(Extent(offset, length, block, len(held)))
            held += data
            self.place(base + offset, data)
        answer = self.driver.do(Commit(self.ino, tuple(extents), (BlockCommit(block, 1, len(held), seal),), append))
        assert answer.offset == base + parts[0][0]
        self.open_block = 0 if seal else block

    @rule(size=st.integers(0, 4 * INLINE_MAX))
    def truncate(self, size: int) -> None:
        self.driver.do(SetAttributes(self.ino, b"", size=size, by_handle=True))
        self.model[size:] = bytes(max(0, size - len(self.model)))

    @rule(
        offset=offsets,
        length=lengths,
        mode=st.sampled_from([0, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, FALLOC_ZERO_RANGE, 17]),
    )
    def allocate_range(self, offset: int, length: int, mode: int) -> None:
        self.driver.do(AllocateRange(self.ino, mode, offset, length))
        end = offset + length
        if not mode & FALLOC_KEEP_SIZE:
            self.model.extend(bytes(max(0, end - len(self.model))))
        if mode & ~FALLOC_KEEP_SIZE:
            cut = min(end, len(self.model))
            self.model[offset:cut] = bytes(max(0, cut - offset))

    @rule()
    def make_copy(self) -> None:
        self.driver.do(CopyFile(ROOT_INO, b"/f", ROOT_INO, b"/copy"))
        self.copy = bytes(self.model)

    def read(self, path: bytes) -> bytes:
        found = self.driver.do(OpenFile(ROOT_INO, path))
        record = Attributes.unpack(found.record)
        content = bytearray(record.size)
        content[: len(found.inline)] = found.inline
        extents = list(found.extents)
        while found.next_offset != -1:
            found = self.driver.do(GetMap(record.ino, found.next_offset))
            extents += found.extents
        for extent in extents:
            held = self.blocks[extent.block][extent.block_offset : extent.block_offset + extent.length]
            assert len(held) == extent.length
            content[extent.offset : extent.offset + extent.length] = held
        assert len(content) == record.size
        return bytes(content)

    @invariant()
    def reads_as_the_model(self) -> None:
        """Every byte is the one that was written last."""
        if hasattr(self, "driver"):
            assert self.read(b"/f") == self.model
            if "copy" in self.__dict__ and b"copy" in self.driver.names(b"/"):
                assert self.read(b"/copy") == self.copy


def test_a_file_reads_as_it_was_written() -> None:
    """A file has the bytes that were written last, by whatever operation, and a copy those of its moment."""
    run_state_machine_as_test(FileContent, settings=settings(max_examples=100, stateful_step_count=30, deadline=None))
