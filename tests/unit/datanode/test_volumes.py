"""Several volumes as one datanode."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import lmdb
import pytest

from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.errors import BadConfig, CairnError, NoSpace
from cairnfs.common.transfer import checksums
from cairnfs.datanode.environment import Limits
from cairnfs.datanode.errors import ReplicaMissing, VolumeFailed, VolumeLocked
from cairnfs.datanode.layout import Replica
from cairnfs.datanode.piece_store import PieceStore
from cairnfs.datanode.volumes import Volumes

CLUSTER = "volumes"
WAIT_S = 10.0


class FaultyStore(PieceStore):
    """A store whose disk breaks when told."""

    is_broken = False

    def _sync(self, txn: lmdb.Transaction) -> None:
        if self.is_broken:
            raise lmdb.Error("Input/output error")
        super()._sync(txn)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def write(volumes: Volumes, block: int, data: bytes, generation: int = 1) -> None:
    writer = volumes.open_replica(block, generation, 0).result(WAIT_S)
    for start in range(0, len(data), PIECE_BYTES_MAX):
        piece = data[start : start + PIECE_BYTES_MAX]
        writer.append(start, piece, checksums(piece), lambda: None)
    writer.wait_durable(len(data), WAIT_S)
    writer.close()


def test_blocks_spread_by_room(tmp_path: Path, stack: ExitStack) -> None:
    """A new block goes where most room is; both volumes fill, and every block is found wherever it is."""
    folders = [tmp_path / "a", tmp_path / "b"]
    volumes = Volumes.open(folders, CLUSTER, Limits(reserve_bytes=0, capacity_bytes=20 * PIECE_BYTES_MAX))
    stack.callback(volumes.close)
    for block in range(8):
        write(volumes, block, bytes([block]) * 2 * PIECE_BYTES_MAX)
    assert [usage.blocks for usage in volumes.usages()] == [4, 4]
    assert [block for block, _ in volumes.replicas()] == list(range(8))
    for block in range(8):
        assert volumes.verify(block) == Replica(1, 2 * PIECE_BYTES_MAX)
        assert volumes.delete(block, 1).result(WAIT_S) is True
    assert list(volumes.replicas()) == []
    assert volumes.delete(1, 1).result(WAIT_S) is False


def test_a_block_being_written_stays_on_its_volume(tmp_path: Path, stack: ExitStack) -> None:
    """A second opening of a block of which nothing is on a disk yet fences the first, on the same volume."""
    volumes = Volumes.open([tmp_path / "a", tmp_path / "b"], CLUSTER, Limits(reserve_bytes=0))
    stack.callback(volumes.close)
    first = volumes.open_replica(1, 1, 0).result(WAIT_S)
    second = volumes.open_replica(1, 2, 0).result(WAIT_S)
    assert first.error is not None
    assert second.error is None


def test_one_failed_volume_leaves_the_other(tmp_path: Path, stack: ExitStack) -> None:
    """After a disk error its replicas are gone, new blocks go to the other volume, and the heartbeat tells."""
    limits = Limits(reserve_bytes=0, capacity_bytes=50 * PIECE_BYTES_MAX)
    stores = [FaultyStore(tmp_path / name, CLUSTER, limits) for name in "ab"]
    for store in stores:
        store.adopt("uuid")
    volumes = Volumes(stores)
    stack.callback(volumes.close)
    for block in range(6):
        write(volumes, block, bytes(PIECE_BYTES_MAX))
    held = [{block for rows in store.replicas() for block, _ in rows} for store in stores]
    assert held[0]
    assert held[1]
    stores[0].is_broken = True
    writer = volumes.open_replica(min(held[0]), 2, 0)
    with pytest.raises(VolumeFailed):
        writer.result(WAIT_S)
    assert [usage.is_failed for usage in volumes.usages()] == [True, False]
    assert {block for block, _ in volumes.replicas()} == held[1]
    with pytest.raises(ReplicaMissing):
        volumes.verify(min(held[0]))
    for block in range(10, 14):
        write(volumes, block, b"fine")
        assert volumes.verify(block) == Replica(1, 4)
    stores[1].is_broken = True
    with pytest.raises(VolumeFailed):
        write(volumes, 20, b"x")
    with pytest.raises(VolumeFailed, match="every volume"):
        volumes.open_replica(21, 1, 0)


def test_full_volumes_are_told(tmp_path: Path, stack: ExitStack) -> None:
    """When no volume has room for a piece a new block is refused."""
    volumes = Volumes.open([tmp_path / "a", tmp_path / "b"], CLUSTER, Limits(reserve_bytes=0, capacity_bytes=100))
    stack.callback(volumes.close)
    with pytest.raises(NoSpace, match="every volume of this datanode is full"):
        volumes.open_replica(1, 1, 0)


def test_volumes_keep_their_datanode(tmp_path: Path) -> None:
    """Reopened volumes have the same id, an added one takes it over, and those of two datanodes do not mix."""
    mine, added, foreign = (tmp_path / name for name in ("mine", "added", "foreign"))
    volumes = Volumes.open([mine], CLUSTER, Limits())
    owner = volumes.datanode_uuid
    volumes.close()
    assert owner
    volumes = Volumes.open([added, mine], CLUSTER, Limits())
    assert volumes.datanode_uuid == owner
    volumes.close()
    Volumes.open([foreign], CLUSTER, Limits()).close()
    with pytest.raises(BadConfig, match="two different datanodes"):
        Volumes.open([mine, foreign], CLUSTER, Limits())
    Volumes.open([mine], CLUSTER, Limits()).close()


def test_a_failed_opening_lets_go_of_the_rest(tmp_path: Path) -> None:
    """Where one volume is in use the others are closed again."""
    used = Volumes.open([tmp_path / "used"], CLUSTER, Limits())
    with pytest.raises(VolumeLocked) as caught:
        Volumes.open([tmp_path / "free", tmp_path / "used"], CLUSTER, Limits())
    assert isinstance(caught.value, CairnError)
    used.close()
    Volumes.open([tmp_path / "free"], CLUSTER, Limits()).close()
