"""How fast blocks move: a chain of three datanode processes without a namenode, beside plain local copies.

    PYTHONPATH=.build python tests/bench/bench_transfer.py [--mib 1024] [--rounds 3] [--dir DIR] [--cold]

Each round writes the same bytes as three local copies with fsync and through one chain, one after
the other, so that only figures of one run are compared. `--cold` drops the page cache before the
cold read (needs root). Prints a table of medians, and each datanode's anonymous memory.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from cairnfs.client.block_reader import BlockReader
from cairnfs.client.block_writer import BlockWriter
from cairnfs.common.blocks import BLOCK_BYTES_MAX, PIECE_BYTES_MAX
from cairnfs.common.operations import LocatedBlock, Replica
from cairnfs.common.tokens import make_token
from cairnfs.datanode.access import AccessGuard
from cairnfs.datanode.environment import Limits
from cairnfs.datanode.transfer_server import TransferServer
from cairnfs.datanode.volumes import Volumes

CLUSTER = "bench"
KEY = b"k" * 32


def run_datanode(folder: Path, pipe: Connection) -> None:
    """The whole life of one datanode process: tell the port, stop when told."""
    volumes = Volumes.open([folder], CLUSTER, Limits())
    guard = AccessGuard(CLUSTER)
    guard.set_token_key(KEY)
    server = TransferServer(("127.0.0.1", 0), volumes, guard)
    pipe.send(server.port)
    pipe.recv()
    server.stop()
    volumes.close()


class Chain:
    """Three datanode processes."""

    def __init__(self, folder: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._nodes = []
        self.addresses: list[str] = []
        for index in range(3):
            here, there = spawn.Pipe()
            process = spawn.Process(target=run_datanode, args=(folder / f"volume-{index}", there))
            process.start()
            self._nodes.append((process, here))
        for _, pipe in self._nodes:
            self.addresses.append(f"127.0.0.1:{pipe.recv()}")

    def located(self, block: int, length: int) -> LocatedBlock:
        """A block on all three, the first member taking turns."""
        turn = block % 3
        order = [*range(turn, 3), *range(turn)]
        replicas = tuple(Replica(index + 1, self.addresses[index]) for index in order)
        token = make_token(KEY, block, 1, writable=True, now_s=int(time.time()))
        return LocatedBlock(block, 1, length, replicas, token)

    def anonymous_mib(self) -> list[float]:
        """RssAnon of each datanode."""
        found = []
        for process, _ in self._nodes:
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            found.append(next(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon")))
        return found

    def stop(self) -> None:
        """End the processes."""
        for process, pipe in self._nodes:
            pipe.send("stop")
            process.join()


def write_chain(chain: Chain, first_block: int, total: int, pieces: list[memoryview]) -> list[LocatedBlock]:
    """Write `total` bytes as blocks, each synced, the next opened while the last one drains."""
    blocks: list[LocatedBlock] = []
    draining: BlockWriter | None = None
    left = total
    while left:
        size = min(BLOCK_BYTES_MAX, left)
        located = chain.located(first_block + len(blocks), size)
        writer = BlockWriter(located, CLUSTER)
        at = 0
        while at < size:
            piece = pieces[len(blocks) % len(pieces)][: min(PIECE_BYTES_MAX, size - at)]
            writer.send(piece)
            at += len(piece)
        if draining is not None:
            draining.flush()
            draining.close()
        draining = writer
        blocks.append(located)
        left -= size
    assert draining is not None
    draining.flush()
    draining.close()
    return blocks


def write_into(
    blocks: list[LocatedBlock], chain: Chain, first_block: int, total: int, pieces: list[memoryview]
) -> None:
    """write_chain, its blocks added to `blocks`."""
    blocks.extend(write_chain(chain, first_block, total, pieces))


def write_locally(folder: Path, total: int, pieces: list[memoryview]) -> None:
    """Three plain files, one after the other, each with fsync."""
    for copy in range(3):
        path = folder / f"copy-{copy}"
        with path.open("wb", buffering=0) as file:
            for at in range(0, total, PIECE_BYTES_MAX):
                file.write(pieces[0][: min(PIECE_BYTES_MAX, total - at)])
            os.fsync(file.fileno())
    for copy in range(3):
        (folder / f"copy-{copy}").unlink()


def read_all(reader: BlockReader, blocks: list[LocatedBlock], streams: int) -> None:
    """Read every block, `streams` at once, each from one replica into memory that is used again."""
    todo = iter(blocks)
    lock = threading.Lock()

    def work() -> None:
        into = memoryview(bytearray(BLOCK_BYTES_MAX))
        while True:
            with lock:
                block = next(todo, None)
            if block is None:
                return
            reader.read_into(block, block.replicas[0], 0, into[: block.length])

    threads = [threading.Thread(target=work) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def drop_page_cache() -> None:
    """Let reads come from the disk."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("1")


def append_synced(writer: BlockWriter, piece: bytes) -> None:
    """One append, done when it is synced on every member."""
    writer.send(piece)
    writer.flush()


def latencies(chain: Chain, block: int) -> tuple[float, float]:
    """Milliseconds of a 4 KiB append that is synced on three nodes, and of a 4 KiB read (medians)."""
    located = chain.located(block, 0)
    piece = os.urandom(4096)
    with BlockWriter(located, CLUSTER) as writer:
        appends = [timed(partial(append_synced, writer, piece)) for _ in range(200)]
    reader = BlockReader(CLUSTER)
    into = memoryview(bytearray(4096))
    replica = located.replicas[0]
    reads = [timed(partial(reader.read_into, located, replica, at * 4096, into)) for at in range(200)]
    reader.close()
    return statistics.median(appends) * 1e3, statistics.median(reads) * 1e3


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Measure the block transfer without a namenode.")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=None)
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cairn-bench-", dir=options.dir))
    total = options.mib << 20
    pieces = [memoryview(os.urandom(PIECE_BYTES_MAX)) for _ in range(4)]
    rates: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        rates.setdefault(name, []).append(total / 1e6 / seconds)

    chain = Chain(folder)
    try:
        for turn in range(options.rounds):
            note("three local copies, fsync", timed(partial(write_locally, folder, total, pieces)))
            first = 1 + turn * 1000
            written: list[LocatedBlock] = []
            seconds = timed(partial(write_into, written, chain, first, total, pieces))
            note("chain of three, synced", seconds)
            reader = BlockReader(CLUSTER)
            for streams in (1, 3):
                if options.cold:
                    drop_page_cache()
                    note(f"read, cold, {streams} streams", timed(partial(read_all, reader, written, streams)))
                else:
                    read_all(reader, written, streams)
                note(f"read, warm, {streams} streams", timed(partial(read_all, reader, written, streams)))
            reader.close()
        append_ms, read_ms = latencies(chain, 999_999)
        for name, values in rates.items():
            print(f"{name:28} {statistics.median(values):7.0f} MB/s   ({' '.join(f'{v:.0f}' for v in values)})")
        print(f"4 KiB append, synced on 3    {append_ms:7.2f} ms")
        print(f"4 KiB read, warm             {read_ms:7.2f} ms")
        print("datanodes' anonymous memory  ", " ".join(f"{mib:.0f} MiB" for mib in chain.anonymous_mib()))
    finally:
        chain.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
