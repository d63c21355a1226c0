"""Power cuts and deaths: whatever is killed, and whenever, nothing that was acknowledged is lost."""

import hashlib
import random
import threading
from collections.abc import Callable, Iterator

import pytest

from cairnfs.client import connect
from cairnfs.common.errors import NotEnoughDatanodes
from tests.cluster.harness import Cluster

ROUNDS = 20
WRITERS = 4
SIZES = (100, 4_096, 33_000, 300_000, 1_500_000, 5_000_000)
PUTS_BEFORE_THE_CUT = 12
OUTAGE_TIMEOUT_S = 60


class Writer(threading.Thread):
    """Puts files of random sizes one after the other until it is told to stop; notes what was acknowledged."""

    def __init__(self, address: str, name: str, seed: int, on_put: Callable[[], None]) -> None:
        super().__init__(name=name)
        self._address = address
        self._random = random.Random(seed)
        self._on_put = on_put
        self.is_stopping = False
        self.acknowledged: dict[str, str] = {}
        self.failures: list[OSError] = []

    def run(self) -> None:
        with connect(self._address, operation_timeout_s=OUTAGE_TIMEOUT_S) as fs:
            number = 0
            while not self.is_stopping:
                number += 1
                path = f"/{self.name}-{number}"
                content = self._random.randbytes(self._random.choice(SIZES))
                try:
                    fs.pipe_file(path, content)
                except OSError as error:  # a put may fail in an outage; it must only not be acknowledged and lost
                    self.failures.append(error)
                else:
                    self.acknowledged[path] = hashlib.sha256(content).hexdigest()
                    self._on_put()


def verify(address: str, files: dict[str, str]) -> None:
    """Every file is there, and is what was put."""
    with connect(address) as fs:
        for path, digest in files.items():
            assert hashlib.sha256(fs.cat_file(path)).hexdigest() == digest, f"{path} is damaged"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_acknowledged_is_lost_in_twenty_power_cuts(cluster: Cluster) -> None:
    """Each round: four writers, kill -9 of all six processes at a random moment, restart: every put is whole."""
    chance = random.Random(20)
    everything: dict[str, str] = {}
    for round_ in range(ROUNDS):
        puts = threading.Semaphore(0)
        writers = [
            Writer(cluster.address, f"r{round_}w{number}", 100 * round_ + number, puts.release)
            for number in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        for _ in range(chance.randrange(1, PUTS_BEFORE_THE_CUT)):
            assert puts.acquire(timeout=OUTAGE_TIMEOUT_S), [writer.failures for writer in writers]
        threading.Event().wait(chance.random() * 0.05)  # the moment of the cut, not a wait for anything
        cluster.kill()
        cluster.up()
        for writer in writers:
            writer.is_stopping = True
        for writer in writers:
            writer.join()
        new = {path: digest for writer in writers for path, digest in writer.acknowledged.items()}
        verify(cluster.address, new)
        everything |= new
    verify(cluster.address, everything)
    assert len(everything) > ROUNDS * WRITERS


def test_a_put_outlives_the_leader(cluster: Cluster) -> None:
    """kill -9 of the leading namenode in the middle of a big put: it ends well, and reads back whole."""
    content = random.Random(1).randbytes(150_000_000)
    killed = threading.Event()

    def pieces() -> Iterator[memoryview]:
        view = memoryview(content)
        for start in range(0, len(view), 1 << 20):
            if start > len(view) // 2 and not killed.is_set():
                killed.set()
                cluster.kill(cluster.leader())
            yield view[start : start + (1 << 20)]

    with connect(cluster.address) as fs:
        with fs.open("/big", "wb") as file:
            for piece in pieces():
                file.write(piece)
        assert killed.is_set()
        assert hashlib.sha256(fs.cat_file("/big")).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize("member", ["datanode-1", "datanode-2", "datanode-3"])
def test_a_put_and_a_get_outlive_a_datanode(cluster: Cluster, member: str) -> None:
    """Any one datanode killed in the middle of writing, and then of reading: the application does not notice."""
    content = random.Random(2).randbytes(100_000_000)
    view = memoryview(content)
    with connect(cluster.address) as fs:
        with fs.open("/big", "wb") as file:
            file.write(view[:50_000_000])
            cluster.kill(member)
            file.write(view[50_000_000:])
        assert fs.cat_file("/big") == content
        cluster.up()
        with fs.open("/big", "rb") as file:
            head = file.read(30_000_000)
            cluster.kill(member)
            assert head + file.read() == content


def test_a_cluster_without_majority_says_so_in_time_and_recovers(cluster: Cluster) -> None:
    """Two of three namenodes dead: an error within the stated time, and everything works once one is back."""
    with connect(cluster.address, operation_timeout_s=3) as fs:
        fs.pipe_file("/before", b"x")
        leader = cluster.leader()
        others = [name for name in cluster.running() if name.startswith("namenode") and name != leader]
        cluster.kill(leader, others[0])
        with pytest.raises(TimeoutError, match="no answer from"):
            fs.pipe_file("/during", b"y")
        cluster.up()
        fs.pipe_file("/after", b"z")
        assert fs.cat_file("/before") == b"x"


def test_too_few_datanodes_is_an_error_in_time_not_a_hang(cluster: Cluster) -> None:
    """With one datanode of three left a big put fails within its time and leaves nothing; small files still work."""
    with connect(cluster.address, datanode_timeout_s=3) as fs:
        cluster.kill("datanode-1", "datanode-2")
        with pytest.raises(NotEnoughDatanodes):
            fs.pipe_file("/big", b"x" * 1_000_000)
        assert not fs.exists("/big")
        fs.pipe_file("/small", b"x" * 1_000)
        cluster.up()
        fs.pipe_file("/big", b"x" * 1_000_000)
        assert fs.cat_file("/big") == b"x" * 1_000_000
