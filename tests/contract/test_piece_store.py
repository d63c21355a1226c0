"""What every piece store promises: synced acknowledgements, generations, cuts, room, failures."""

import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import lmdb
import pytest

from cairnfs.common.blocks import BLOCK_BYTES_MAX, CHECKSUM_RUN_BYTES, PIECE_BYTES_MAX
from cairnfs.common.errors import BadConfig, CairnError, CorruptData, NoSpace
from cairnfs.common.transfer import checksums
from cairnfs.datanode.environment import Limits
from cairnfs.datanode.errors import BadRange, ReplicaMissing, StaleGeneration, VolumeFailed, VolumeLocked
from cairnfs.datanode.layout import Replica
from cairnfs.datanode.piece_store import PieceStore
from cairnfs.datanode.replica_writer import ReplicaWriter

CLUSTER = "contract"
WAIT_S = 10.0


class Stores:
    """Opens stores in one folder, and closes what a test leaves open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[PieceStore] = []

    def open(self, kind: Callable[..., PieceStore] = PieceStore, **limits: int) -> PieceStore:
        store = kind(self.folder, CLUSTER, Limits(**{"reserve_bytes": 0, **limits}))
        self._open.append(store)
        return store

    def reopen(self) -> PieceStore:
        self.close()
        return self.open()

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    made = Stores(tmp_path / "volume")
    yield made
    made.close()


def make_bytes(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


def begin(store: PieceStore, block: int, generation: int = 1, offset: int = 0) -> ReplicaWriter:
    return store.open_replica(block, generation, offset).result(WAIT_S)


def append(writer: ReplicaWriter, offset: int, data: bytes) -> int:
    """Queue `data` as pieces; where they end."""
    for start in range(0, len(data), PIECE_BYTES_MAX):
        piece = data[start : start + PIECE_BYTES_MAX]
        writer.append(offset + start, piece, checksums(piece), lambda: None)
    return offset + len(data)


def write(store: PieceStore, block: int, data: bytes, *, generation: int = 1, offset: int = 0) -> None:
    """Write `data` and wait until it is synced."""
    writer = begin(store, block, generation, offset)
    writer.wait_durable(append(writer, offset, data), WAIT_S)
    writer.close()


def read(store: PieceStore, block: int) -> bytes:
    replica = store.verify(block)
    found = bytearray()
    while len(found) < replica.length:
        with store.piece_at(block, len(found)) as piece:
            found += piece.data
    return bytes(found)


class TestWritingAndReading:
    def test_synced_pieces_come_back_after_reopening(self, stores: Stores) -> None:
        """What wait_durable has told of is there in a store opened afterwards, byte for byte, checksums included."""
        data = make_bytes(1, 3 * PIECE_BYTES_MAX + 12_345)
        write(stores.open(), 7, data)
        store = stores.reopen()
        assert store.find(7) == Replica(1, len(data))
        assert read(store, 7) == data

    def test_small_appends_become_small_pieces(self, stores: Stores) -> None:
        """Appends of any size, each synced by itself, read as one run of bytes."""
        store = stores.open()
        writer = begin(store, 1)
        data = b""
        for size in (1, 2, 4095, 4096, 65_536, 65_537, 3):
            piece = make_bytes(size, size)
            writer.wait_durable(append(writer, len(data), piece), WAIT_S)
            data += piece
        assert read(store, 1) == data

    def test_a_piece_is_found_by_any_offset_in_it(self, stores: Stores) -> None:
        """piece_at gives the piece across an offset, not only the one that starts there."""
        store = stores.open()
        writer = begin(store, 1)
        append(writer, append(writer, 0, b"a" * 100), b"b" * 200)
        writer.wait_durable(300, WAIT_S)
        for offset, start in ((0, 0), (99, 0), (100, 100), (299, 100)):
            with store.piece_at(1, offset) as piece:
                assert (piece.offset, len(piece.data)) == (start, 100 if start == 0 else 200)

    def test_what_is_not_there_is_told(self, stores: Stores) -> None:
        """A missing replica and a range beyond the end each have their error."""
        store = stores.open()
        write(store, 5, b"x" * 10, generation=2)
        assert store.find(4) is None
        with pytest.raises(ReplicaMissing), store.piece_at(4, 0):
            pass
        with pytest.raises(BadRange), store.piece_at(5, 10):
            pass
        with store.piece_at(5, 0) as piece:
            assert bytes(piece.data) == b"x" * 10

    def test_a_new_replica_has_no_row_before_its_first_piece(self, stores: Stores) -> None:
        """An opened replica without bytes leaves nothing behind."""
        store = stores.open()
        begin(store, 1).close()
        assert stores.reopen().find(1) is None
        assert store.failure is None

    def test_gaps_overlaps_and_overlong_blocks_are_refused(self, stores: Stores) -> None:
        """Only the very next byte can be appended, and never beyond the size of a block."""
        for offset in (5, 15):
            store = stores.reopen()
            writer = begin(store, 1, offset=0)
            append(writer, 0, b"0123456789")
            append(writer, offset, b"x")
            with pytest.raises(BadRange):
                writer.wait_durable(11, WAIT_S)
            assert read(store, 1) == b"0123456789"
        store = stores.reopen()
        writer = begin(store, 2)
        append(writer, 0, bytes(BLOCK_BYTES_MAX))
        append(writer, BLOCK_BYTES_MAX, b"x")
        with pytest.raises(BadRange):
            writer.wait_durable(BLOCK_BYTES_MAX + 1, WAIT_S)

    def test_buffers_are_released_once_each(self, stores: Stores) -> None:
        """Every buffer comes back exactly once, whether its piece is written or refused."""
        store = stores.open()
        writer = begin(store, 1)
        released: list[int] = []
        for number, offset in enumerate((0, 4, 8, 99, 12)):
            try:
                writer.append(offset, b"abcd", checksums(b"abcd"), partial(released.append, number))
            except BadRange:
                continue  # the writer had failed already: released all the same
        with pytest.raises(BadRange):
            writer.wait_durable(16, WAIT_S)
        stores.close()
        assert sorted(released) == [0, 1, 2, 3, 4]

    def test_replicas_are_listed_in_order_and_in_pages(self, stores: Stores) -> None:
        """The listing has every replica once, ordered by block, whatever the size of the pages."""
        store = stores.open()
        blocks = [3, 1, 300, 2**40, 256, 255]
        for block in blocks:
            write(store, block, b"x" * (block % 50 + 1))
        for page in (1, 2, 5, 6, 100):
            pages = list(store.replicas(page))
            assert [block for rows in pages for block, _ in rows] == sorted(blocks)
            assert max(map(len, pages)) <= page
        assert store.usage().blocks == len(blocks)


class TestGenerations:
    @pytest.mark.parametrize(
        ("generation", "offset", "outcome"),
        [
            (5, 1000, Replica(5, 1000)),
            (5, 400, Replica(5, 400)),
            (5, 0, Replica(5, 0)),
            (6, 1000, Replica(6, 1000)),
            (6, 400, Replica(6, 400)),
            (4, 1000, StaleGeneration),
            (4, 0, StaleGeneration),
            (5, 1001, BadRange),
            (6, 1001, BadRange),
        ],
    )
    def test_takeover(self, stores: Stores, generation: int, offset: int, outcome: Replica | type[CairnError]) -> None:
        """A replica of generation 5 with 1000 bytes: who may continue it where, and what it is then."""
        store = stores.open()
        data = make_bytes(5, 1000)
        write(store, 1, data, generation=5)
        if isinstance(outcome, Replica):
            begin(store, 1, generation, offset).close()
        else:
            with pytest.raises(outcome):
                begin(store, 1, generation, offset)
            outcome = Replica(5, 1000)
        store = stores.reopen()
        assert store.find(1) == outcome
        assert read(store, 1) == data[: outcome.length]

    def test_an_absent_replica_must_start_at_zero(self, stores: Stores) -> None:
        """Nobody continues what is not there."""
        with pytest.raises(ReplicaMissing):
            begin(stores.open(), 1, 1, 10)

    @pytest.mark.parametrize(
        "cut",
        [1, CHECKSUM_RUN_BYTES, CHECKSUM_RUN_BYTES + 1, PIECE_BYTES_MAX - 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 7],
    )
    def test_a_cut_replica_goes_on(self, stores: Stores, cut: int) -> None:
        """After a cut anywhere, the head stands with fitting checksums and new bytes follow it."""
        store = stores.open()
        data, more = make_bytes(1, 2 * PIECE_BYTES_MAX), make_bytes(2, PIECE_BYTES_MAX + 5)
        write(store, 1, data)
        write(store, 1, more, generation=2, offset=cut)
        assert read(stores.reopen(), 1) == data[:cut] + more

    def test_a_later_writer_fences_an_earlier_one(self, stores: Stores) -> None:
        """After a takeover, of the same or a newer generation, the earlier writer can add nothing more."""
        for generation in (1, 2):
            store = stores.reopen()
            early = begin(store, generation * 10, 1)
            early.wait_durable(append(early, 0, b"early"), WAIT_S)
            late = begin(store, generation * 10, generation, 5)
            with pytest.raises(StaleGeneration):
                append(early, 5, b"!")
            late.wait_durable(append(late, 5, b"late"), WAIT_S)
            assert read(store, generation * 10) == b"earlylate"

    def test_pieces_queued_before_a_takeover_are_not_behind_it(self, stores: Stores) -> None:
        """1. The early writer has a piece in a commit that hangs. 2. A later writer asks for offset 0. 3. The early
        writer queues another piece. 4. The commit ends: the replica is the later writer's, empty, and stays so."""
        store = stores.open(HeldStore)
        assert isinstance(store, HeldStore)
        early = begin(store, 1)
        with store.held():
            append(early, 0, b"first")
            store.wait_for_commit()
            opening = store.open_replica(1, 2, 0)
            early.append(5, b"second", checksums(b"second"), lambda: None)
        late = opening.result(WAIT_S)
        with pytest.raises(StaleGeneration):
            early.wait_durable(11, WAIT_S)
        assert store.find(1) == Replica(2, 0)
        late.wait_durable(append(late, 0, b"late"), WAIT_S)
        assert read(store, 1) == b"late"

    def test_an_older_writer_cannot_take_over_from_an_open_newer_one(self, stores: Stores) -> None:
        """Also where the newer one has written nothing yet."""
        store = stores.open()
        begin(store, 1, 7)
        with pytest.raises(StaleGeneration):
            begin(store, 1, 6)

    def test_deletion_goes_by_generation(self, stores: Stores) -> None:
        """An order deletes a copy of its own or an older generation, and never a newer one."""
        store = stores.open()
        write(store, 1, b"x" * 100_000, generation=5)
        assert store.delete(1, 4).result(WAIT_S) is False
        assert store.find(1) == Replica(5, 100_000)
        assert store.delete(1, 5).result(WAIT_S) is True
        assert store.delete(1, 5).result(WAIT_S) is False
        assert stores.reopen().find(1) is None

    def test_deletion_ends_a_writer(self, stores: Stores) -> None:
        """A writer whose replica is deleted under it adds nothing more."""
        store = stores.open()
        writer = begin(store, 1)
        writer.wait_durable(append(writer, 0, b"x"), WAIT_S)
        assert store.delete(1, 1).result(WAIT_S) is True
        with pytest.raises(StaleGeneration):
            append(writer, 1, b"y")

    def test_deletion_of_an_older_generation_leaves_a_newer_writer_alone(self, stores: Stores) -> None:
        """The order meant the copy before."""
        store = stores.open()
        writer = begin(store, 1, 3)
        assert store.delete(1, 2).result(WAIT_S) is False
        writer.wait_durable(append(writer, 0, b"x"), WAIT_S)


class HeldStore(PieceStore):
    """A store whose commits wait while it is held."""

    def __init__(self, *arguments: object) -> None:
        self._may_commit = threading.Event()
        self._may_commit.set()
        self._has_commit = threading.Event()
        self.commits = 0
        super().__init__(*arguments)  # type: ignore[arg-type]

    def held(self) -> "HeldStore":
        return self

    def __enter__(self) -> None:
        self._has_commit.clear()
        self._may_commit.clear()

    def __exit__(self, *_: object) -> None:
        self._may_commit.set()

    def wait_for_commit(self) -> None:
        assert self._has_commit.wait(WAIT_S)

    def _sync(self, txn: lmdb.Transaction) -> None:
        self._has_commit.set()
        assert self._may_commit.wait(WAIT_S)
        self.commits += 1
        super()._sync(txn)


class FaultyStore(PieceStore):
    """A store whose next commits fail as told."""

    def __init__(self, *arguments: object) -> None:
        self.faults: list[Exception | None] = []
        super().__init__(*arguments)  # type: ignore[arg-type]

    def _sync(self, txn: lmdb.Transaction) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        super()._sync(txn)


class TestCommits:
    def test_what_waits_becomes_one_commit(self, stores: Stores) -> None:
        """Pieces of many streams that gather while one commit runs are synced by the next, together."""
        store = stores.open(HeldStore)
        assert isinstance(store, HeldStore)
        writers = [begin(store, block) for block in range(10)]
        with store.held():
            append(writers[0], 0, b"x")
            store.wait_for_commit()
            for writer in writers[1:]:
                append(writer, 0, b"y" * 1000)
        for writer in writers:
            writer.wait_durable(1, WAIT_S)
        assert store.commits == 2

    def test_a_batch_is_bounded(self, stores: Stores) -> None:
        """A transaction takes no more than commit_bytes, whatever waits: dirty pages are memory."""
        store = stores.open(HeldStore, commit_bytes=2 * PIECE_BYTES_MAX)
        assert isinstance(store, HeldStore)
        writer = begin(store, 1)
        with store.held():
            append(writer, 0, b"x")
            store.wait_for_commit()
            end = append(writer, 1, bytes(6 * PIECE_BYTES_MAX))
        writer.wait_durable(end, WAIT_S)
        assert store.commits == 4

    def test_a_failed_sync_ends_the_volume(self, stores: Stores) -> None:
        """After a commit that failed for other reasons than room, nothing is acknowledged, served or tried again."""
        store = stores.open(FaultyStore)
        assert isinstance(store, FaultyStore)
        write(store, 1, b"good")
        writer = begin(store, 2)
        store.faults = [lmdb.Error("Input/output error")]
        append(writer, 0, b"lost")
        with pytest.raises(VolumeFailed):
            writer.wait_durable(4, WAIT_S)
        with pytest.raises(VolumeFailed):
            store.find(1)
        with pytest.raises(VolumeFailed):
            begin(store, 3)
        with pytest.raises(VolumeFailed):
            store.delete(1, 1).result(WAIT_S)
        assert store.usage().is_failed
        store = stores.reopen()
        assert read(store, 1) == b"good"
        assert store.find(2) is None

    @pytest.mark.parametrize("fault", [lmdb.MapFullError("map full"), lmdb.DiskError("No space left on device")])
    def test_a_full_disk_at_commit_loses_nothing(self, stores: Stores, fault: Exception) -> None:
        """Pieces of the failed commit are refused, deletions in it are done, what was synced stays, and it goes on."""
        store = stores.open(FaultyStore)
        assert isinstance(store, FaultyStore)
        write(store, 1, b"old")
        write(store, 2, b"doomed")
        used = store.usage().free_bytes
        writer = begin(store, 3)
        store.faults = [fault]
        append(writer, 0, b"new")
        with pytest.raises(NoSpace):
            writer.wait_durable(3, WAIT_S)
        store.faults = [fault]
        assert isinstance(used, int)
        with pytest.raises(NoSpace):
            store.delete(2, 1).result(WAIT_S)
        assert store.delete(2, 1).result(WAIT_S) is True
        assert read(store, 1) == b"old"
        write(store, 3, b"again")
        assert [block for rows in stores.reopen().replicas() for block, _ in rows] == [1, 3]

    def test_deletions_in_a_batch_that_did_not_fit_are_done(self, stores: Stores) -> None:
        """A full disk is left by deleting: an order in the same batch as a piece that failed is carried out."""
        store = stores.open(type("HeldFaultyStore", (FaultyStore, HeldStore), {}))
        assert isinstance(store, FaultyStore)
        assert isinstance(store, HeldStore)
        write(store, 1, b"doomed")
        writers = [begin(store, 2), begin(store, 3)]
        with store.held():
            append(writers[0], 0, b"x")
            store.wait_for_commit()
            append(writers[1], 0, b"y")
            order = store.delete(1, 1)
            store.faults = [lmdb.DiskError("No space left on device")]
        assert order.result(WAIT_S) is True
        writers[0].wait_durable(1, WAIT_S)
        with pytest.raises(NoSpace):
            writers[1].wait_durable(1, WAIT_S)


class TestRoom:
    def test_a_full_volume_refuses_pieces_and_still_deletes(self, stores: Stores) -> None:
        """At its capacity a volume refuses with NoSpace, keeps what it has, deletes, and then takes pieces again."""
        store = stores.open(capacity_bytes=10 * PIECE_BYTES_MAX)
        writer = begin(store, 1)
        written = 0
        with pytest.raises(NoSpace):  # noqa: PT012 - the loop is what fills it
            while True:
                written = writer.wait_durable(append(writer, written, bytes(PIECE_BYTES_MAX)), WAIT_S)
        assert 7 * PIECE_BYTES_MAX <= written < 10 * PIECE_BYTES_MAX
        assert store.usage().free_bytes < PIECE_BYTES_MAX
        assert store.verify(1).length == written
        assert store.delete(1, 1).result(WAIT_S) is True
        assert store.usage().free_bytes > 9 * PIECE_BYTES_MAX
        write(store, 2, bytes(5 * PIECE_BYTES_MAX))

    def test_a_full_map_is_a_full_volume(self, stores: Stores) -> None:
        """LMDB's own limit is met with NoSpace too, with nothing lost and deletions possible."""
        store = stores.open(map_bytes=24 << 20)
        writer = begin(store, 1)
        written = 0
        with pytest.raises(NoSpace):  # noqa: PT012 - the loop is what fills it
            while True:
                written = writer.wait_durable(append(writer, written, bytes(PIECE_BYTES_MAX)), WAIT_S)
        assert store.failure is None
        assert store.verify(1).length == written
        assert store.delete(1, 1).result(WAIT_S) is True
        write(store, 2, bytes(5 * PIECE_BYTES_MAX))

    def test_the_reserve_is_left_free(self, stores: Stores) -> None:
        """A reserve larger than what is free leaves no room for pieces."""
        store = stores.open(reserve_bytes=1 << 60)
        writer = begin(store, 1)
        append(writer, 0, b"x" * 100)
        with pytest.raises(NoSpace):
            writer.wait_durable(100, WAIT_S)

    def test_space_is_used_again(self, stores: Stores) -> None:
        """Writing and deleting over and over does not grow the volume, and its books end at zero."""
        store = stores.open(capacity_bytes=12 * PIECE_BYTES_MAX)
        for block in range(20):
            write(store, block, bytes(8 * PIECE_BYTES_MAX))
            assert store.delete(block, 1).result(WAIT_S) is True
        stores.close()
        assert (stores.folder / "data.mdb").stat().st_size <= 128 << 20
        assert stores.open(capacity_bytes=1 << 30).usage().free_bytes == 1 << 30


class TestOpening:
    def test_a_volume_has_one_user(self, stores: Stores) -> None:
        """A second opening is refused while the first lasts, and leaves it unharmed."""
        store = stores.open()
        with pytest.raises(VolumeLocked, match="in use by another datanode"):
            stores.open()
        write(store, 1, b"fine")
        assert read(stores.reopen(), 1) == b"fine"

    def test_a_volume_belongs_to_one_cluster(self, stores: Stores) -> None:
        """Another cluster's volume is refused in one clear line."""
        stores.open()
        stores.close()
        with pytest.raises(BadConfig, match="belongs to cluster 'contract', not to 'other'"):
            PieceStore(stores.folder, "other")

    def test_an_unknown_format_is_refused(self, stores: Stores) -> None:
        """A volume of a later version is left alone."""
        stores.open()
        stores.close()
        with lmdb.open(str(stores.folder), max_dbs=4) as environment:
            meta = environment.open_db(b"meta")
            with environment.begin(write=True, db=meta) as txn:
                txn.put(b"format", b"2")
        with pytest.raises(BadConfig, match="has format 2; this program has 1"):
            stores.open()

    def test_a_file_that_is_no_database_is_refused(self, stores: Stores) -> None:
        """Garbage in place of the data file is a clear error."""
        stores.folder.mkdir()
        (stores.folder / "data.mdb").write_bytes(b"garbage" * 10_000)
        with pytest.raises(BadConfig, match="cannot be opened"):
            stores.open()

    def test_a_folder_that_cannot_be_made_is_refused(self, stores: Stores) -> None:
        """A file in the folder's place is a clear error."""
        stores.folder.write_bytes(b"")
        with pytest.raises(BadConfig, match="cannot be used"):
            stores.open()


class TestCorruption:
    def flip(self, stores: Stores, content: bytes) -> None:
        """Change one byte of the data file where `content` lies."""
        stores.close()
        path = stores.folder / "data.mdb"
        at = path.read_bytes().index(content)
        with path.open("r+b") as file:
            file.seek(at + len(content) // 2)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 1]))

    def test_a_flipped_byte_is_found(self, stores: Stores) -> None:
        """One wrong bit on the disk fails the check of exactly that replica."""
        store = stores.open()
        good, bad = make_bytes(1, 100_000), make_bytes(2, 100_000)
        write(store, 1, good)
        write(store, 2, bad)
        self.flip(stores, bad[60_000:60_100])
        store = stores.open()
        assert read(store, 1) == good
        with pytest.raises(CorruptData, match="block 2"):
            store.verify(2)

    def test_a_corrupt_piece_is_not_cut_into_a_good_one(self, stores: Stores) -> None:
        """Cutting across a run that fails its checksum is refused: new checksums would hide the damage."""
        store = stores.open()
        data = make_bytes(3, 200_000)
        write(store, 1, data)
        self.flip(stores, data[70_000:70_010])
        store = stores.open()
        with pytest.raises(CorruptData):
            begin(store, 1, 2, 100_000)
        assert store.find(1) == Replica(1, len(data))
        begin(store, 1, 2, CHECKSUM_RUN_BYTES - 10).close()
        assert read(store, 1) == data[: CHECKSUM_RUN_BYTES - 10]
