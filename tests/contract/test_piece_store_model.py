"""The piece store against a model in memory, over random histories; and against kill -9."""

import multiprocessing
import random
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from cairnfs.common.blocks import BLOCK_BYTES_MAX, PIECE_BYTES_MAX
from cairnfs.common.errors import CairnError
from cairnfs.common.transfer import checksums
from cairnfs.datanode.environment import Limits
from cairnfs.datanode.errors import BadRange, ReplicaMissing, StaleGeneration
from cairnfs.datanode.layout import Replica
from cairnfs.datanode.piece_store import PieceStore
from cairnfs.datanode.replica_writer import ReplicaWriter

CLUSTER = "model"
WAIT_S = 30.0
SIZES = (1, 100, 4096, 65_536, 70_000, PIECE_BYTES_MAX)


def content(block: int, generation: int, offset: int, length: int) -> bytes:
    """Bytes that tell where they belong: each generation of each block has its own."""
    noise = random.Random(block * 1000 + generation).randbytes(4096)
    start = offset % 4096
    return (noise * (length // 4096 + 2))[start : start + length]


def read(store: PieceStore, block: int) -> bytes:
    replica = store.verify(block)
    found = bytearray()
    while len(found) < replica.length:
        with store.piece_at(block, len(found)) as piece:
            found += piece.data
    return bytes(found)


class Model:
    """What the store should have."""

    def __init__(self) -> None:
        self.replicas: dict[int, tuple[int, bytes]] = {}
        self.open: dict[int, tuple[ReplicaWriter, int]] = {}

    def expected_opening(self, block: int, generation: int, offset: int) -> type[CairnError] | None:
        held = self.open.get(block)
        if held is not None and held[0].generation > generation:
            return StaleGeneration
        if block not in self.replicas:
            return ReplicaMissing if offset else None
        stored, data = self.replicas[block]
        if generation < stored:
            return StaleGeneration
        return BadRange if offset > len(data) else None


class History:
    """One random run."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.model = Model()
        self.store = self.open_store()

    def open_store(self) -> PieceStore:
        return PieceStore(self.folder, CLUSTER, Limits(reserve_bytes=0))

    def step(self) -> None:
        action = self.random.choices((self.open_replica, self.append, self.delete, self.reopen), (4, 8, 1, 0.3))[0]
        action()

    def open_replica(self) -> None:
        block, generation = self.random.randrange(6), self.random.randrange(1, 6)
        length = len(self.model.replicas.get(block, (0, b""))[1])
        offset = self.random.choice((0, length, length, length + 1, self.random.randint(0, length)))
        expected = self.model.expected_opening(block, generation, offset)
        opening = self.store.open_replica(block, generation, offset)
        if expected is not None:
            assert isinstance(opening.exception(WAIT_S), expected)
            return
        self.model.open[block] = opening.result(WAIT_S), offset
        if block in self.model.replicas:
            self.model.replicas[block] = generation, self.model.replicas[block][1][:offset]

    def append(self) -> None:
        if not self.model.open:
            return
        block = self.random.choice(sorted(self.model.open))
        writer, offset = self.model.open[block]
        for _ in range(self.random.randint(1, 4)):
            data = content(block, writer.generation, offset, self.random.choice(SIZES))
            if offset + len(data) > 8 * PIECE_BYTES_MAX:
                break
            writer.append(offset, data, checksums(data), lambda: None)
            _, before = self.model.replicas.get(block, (0, b""))
            self.model.replicas[block] = writer.generation, before + data
            offset += len(data)
        self.model.open[block] = writer, offset
        if self.random.random() < 0.5:
            assert writer.wait_durable(offset, WAIT_S) == offset

    def delete(self) -> None:
        block, generation = self.random.randrange(6), self.random.randrange(1, 6)
        held = self.model.open.get(block)
        if held is not None and held[0].generation <= generation:
            del self.model.open[block]
        stored = self.model.replicas.get(block)
        is_deleted = stored is not None and stored[0] <= generation
        if is_deleted:
            del self.model.replicas[block]
        assert self.store.delete(block, generation).result(WAIT_S) is is_deleted

    def reopen(self) -> None:
        self.store.close()
        self.model.open.clear()
        self.store = self.open_store()

    def check(self) -> None:
        for block, (writer, offset) in self.model.open.items():
            assert writer.wait_durable(offset, WAIT_S) == offset, block
        listed = {block: replica for rows in self.store.replicas() for block, replica in rows}
        assert listed == {b: Replica(generation, len(data)) for b, (generation, data) in self.model.replicas.items()}
        for block, (_, data) in self.model.replicas.items():
            assert read(self.store, block) == data, block


@pytest.mark.parametrize("seed", range(12))
def test_random_histories_match_the_model(tmp_path: Path, seed: int) -> None:
    """Openings, appends, cuts, deletions and reopenings, in any order, leave what a dict of bytes would have."""
    history = History(tmp_path / "volume", seed)
    try:
        for number in range(150):
            history.step()
            if number % 50 == 49:
                history.check()
        history.reopen()
        history.check()
    finally:
        history.store.close()


def write_until_killed(folder: Path, first_block: int, pipe: Connection) -> None:
    """The child: writes blocks, two at a time, and tells each acknowledged length."""
    store = PieceStore(folder, CLUSTER, Limits(reserve_bytes=0))
    block = first_block
    while True:
        writers = [store.open_replica(block + index, 1, 0).result(WAIT_S) for index in range(2)]
        offset = 0
        for size in (1, 5000, PIECE_BYTES_MAX, PIECE_BYTES_MAX, 70_000, PIECE_BYTES_MAX):
            for writer in writers:
                data = content(writer.block, 1, offset, size)
                writer.append(offset, data, checksums(data), lambda: None)
            offset += size
            for writer in writers:
                pipe.send((writer.block, writer.wait_durable(offset, WAIT_S)))
        block += 2
        assert offset < BLOCK_BYTES_MAX


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """A process killed at ten random points of its writing has left every acknowledged byte, nothing torn."""
    spawn = multiprocessing.get_context("spawn")
    moments = random.Random(2)
    acknowledged: dict[int, int] = {}
    for turn in range(10):
        here, there = spawn.Pipe()
        child = spawn.Process(target=write_until_killed, args=(tmp_path / "volume", turn * 1000, there))
        child.start()
        for _ in range(moments.randint(1, 40)):
            block, length = here.recv()
            acknowledged[block] = length
        child.kill()
        child.join()
        there.close()
        try:
            while True:
                block, length = here.recv()
                acknowledged[block] = length
        except EOFError:
            here.close()
        store = PieceStore(tmp_path / "volume", CLUSTER, Limits(reserve_bytes=0))
        try:
            for block, length in acknowledged.items():
                data = read(store, block)
                assert len(data) >= length
                assert data == content(block, 1, 0, len(data))
        finally:
            store.close()
