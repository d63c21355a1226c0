"""How long the state machine takes for an operation, alone: no Raft, no network.

    python -m tests.bench.bench_state [--batches N] [--files N]

Mutations in batches of 100, each batch one entry, as medians and best of the batches; the commit of
a transaction is a row of its own. Also what a state of many files costs on disk and in memory.
"""

import argparse
import itertools
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from cairnfs.common import operations as ops
from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.common.operations import Credentials
from cairnfs.namenode.state import commands
from cairnfs.namenode.state.commands import Item, LogBatch, encode_batch, internal_item
from cairnfs.namenode.state.machine import StateMachine

BATCH = 100
MAP_BYTES = 1 << 36
ROOT = Credentials(0, 0)
SETTINGS = commands.InitializeCluster("bench", b"k" * 32, 3, 2, 32 << 10, 32 << 20)


class Bench:
    """A machine, a session and its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machine = StateMachine.open(folder, map_size_bytes=MAP_BYTES)
        self.sequence = itertools.count(1)
        self.apply([internal_item(SETTINGS), internal_item(commands.OpenSession(b"bench", "bench"))])
        self.apply([internal_item(commands.RegisterDatanode(f"uuid-{n}", f"127.0.0.1:{n}")) for n in range(1, 4)])

    def apply(self, items: list[Item]) -> float:
        """Apply the items as one entry; the seconds it took."""
        data = encode_batch(LogBatch(commands.BATCH_VERSION, time.time_ns(), items))
        entry = (self.machine.applied_index + 1, 1, data)
        start = time.perf_counter()
        outcomes = self.machine.apply([entry])[0]
        took = time.perf_counter() - start
        assert all(outcome.errno == 0 for outcome in outcomes), [one.message for one in outcomes if one.errno][:1]
        return took

    def batch(self, make: Callable[[int], ops.AnyMutation], first: int, size: int = BATCH) -> float:
        """Apply `size` operations made from the numbers from `first` on."""
        items = []
        for number in range(first, first + size):
            sequence = next(self.sequence)
            items.append(Item(1, sequence, max(0, sequence - 2 * BATCH), ROOT, ops.encode(make(number))))
        return self.apply(items)

    def mutations(self, name: str, batches: int, make: Callable[[int], ops.AnyMutation]) -> None:
        """Print the row of one mutation."""
        applied, committed = [], []
        for number in range(batches):
            applied.append(self.batch(make, number * BATCH))
            start = time.perf_counter()
            self.machine.commit()
            committed.append(time.perf_counter() - start)
        row(name, [seconds / BATCH for seconds in applied])
        row("    and the commit of its transaction", [seconds / BATCH for seconds in committed])

    def queries(self, name: str, query: ops.AnyQuery, count: int) -> None:
        """Print the row of one query."""
        took = []
        for _ in range(20):
            start = time.perf_counter()
            for _ in range(count):
                self.machine.query(1, ROOT, query, 1)
            took.append((time.perf_counter() - start) / count)
        row(name, took)


def row(name: str, seconds: list[float]) -> None:
    """One line of the table, in microseconds."""
    print(f"{name:48} median {statistics.median(seconds) * 1e6:8.1f} µs   best {min(seconds) * 1e6:8.1f} µs")


def anonymous_mib() -> float:
    """Anonymous memory of this process: LMDB's mapped pages are not counted."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def measure_operations(bench: Bench, batches: int) -> None:
    """The rows of single operations."""
    content = bytes(4096)
    bench.mutations("MakeDirectory", batches, lambda n: ops.MakeDirectory(ROOT_INO, b"d%d" % n, 0o755))
    bench.mutations(
        "WriteFile 4 KiB, one folder", batches, lambda n: ops.WriteFile(ROOT_INO, b"f%d" % n, 0o644, content)
    )
    bench.mutations(
        "WriteFile 4 KiB, 100 folders",
        batches,
        lambda n: ops.WriteFile(ROOT_INO, b"d%d/f%d" % (n % 100, n), 0o644, content),
    )
    bench.mutations("CreateFile", batches, lambda n: ops.CreateFile(ROOT_INO, b"d1/c%d" % n, 0o644))
    bench.mutations("Rename", batches, lambda n: ops.Rename(ROOT_INO, b"d1/c%d" % n, ROOT_INO, b"d2/c%d" % n))
    bench.mutations("SetAttributes (chmod)", batches, lambda n: ops.SetAttributes(ROOT_INO, b"d2/c%d" % n, mode=0o600))
    bench.mutations("Unlink", batches, lambda n: ops.Unlink(ROOT_INO, b"d2/c%d" % n))
    answer = bench.machine.query(1, ROOT, ops.GetAttributes(ROOT_INO, b"f0"), 1)
    ino = Attributes.unpack(msgspec.msgpack.decode(answer, type=ops.Node).record).ino
    first = bench.machine.next_block()
    bench.mutations("AllocateBlock", batches, lambda n: ops.AllocateBlock(ino, (), (1, 2, 3)))
    bench.mutations(
        "Commit of a block",
        batches,
        lambda n: ops.Commit(
            ino, (ops.Extent(n << 20, 1 << 20, first + n, 0),), (ops.BlockCommit(first + n, 1, 1 << 20, True),)
        ),
    )
    bench.queries("GetAttributes, 2 components", ops.GetAttributes(ROOT_INO, b"/d1/f1"), 500)
    bench.queries("OpenFile of 4 KiB", ops.OpenFile(ROOT_INO, b"/d1/f1"), 500)
    bench.queries("GetMap of 1,024 extents", ops.GetMap(ino), 2)
    for flag in (False, True):
        took = []
        for _ in range(20):
            start = time.perf_counter()
            bench.machine.query(1, ROOT, ops.ListDirectory(ROOT_INO, b"/", b"", 4096, flag), 1)
            took.append(time.perf_counter() - start)
        rates = f"median {4096 / statistics.median(took):10,.0f}/s      best {4096 / min(took):10,.0f}/s"
        print(f"{'names listed, with attributes' if flag else 'names listed':48} {rates}")


def measure_size(bench: Bench, files: int) -> None:
    """What many small files cost, and how long digest, dump and load take."""
    before = anonymous_mib()
    bench.batch(lambda n: ops.MakeDirectory(ROOT_INO, b"many%d" % n, 0o755), 0)
    start = time.perf_counter()
    for first in range(0, files, 1000):
        bench.batch(lambda n: ops.WriteFile(ROOT_INO, b"many%d/file%d" % (n % 100, n), 0o644, b"x" * 100), first, 1000)
        if first % 10_000 == 0:
            bench.machine.commit()
    bench.machine.commit()
    print(f"{files:,} files of 100 bytes made in {time.perf_counter() - start:.1f} s", end=", ")
    size_mib = (bench.folder / "data.mdb").stat().st_blocks / 2048
    print(f"data.mdb {size_mib:.0f} MiB, anonymous memory {before:.0f} → {anonymous_mib():.0f} MiB")
    start = time.perf_counter()
    index, digest = bench.machine.digest()
    print(f"digest at index {index:,}: {digest.hex()[:16]}… in {time.perf_counter() - start:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        copy = StateMachine.load(Path(folder), bench.machine.dump(), map_size_bytes=MAP_BYTES)
        print(f"dump and load in {time.perf_counter() - start:.1f} s", end=", ")
        assert copy.digest() == (index, digest)
        copy.close()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"equal; anonymous memory {anonymous_mib():.0f} MiB, peak with mapped pages {peak_mib:.0f} MiB")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=40, help="batches of 100 a row (40)")
    parser.add_argument("--files", type=int, default=100_000, help="files of the state whose size is measured (100000)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        measure_operations(bench, arguments.batches)
        measure_size(bench, arguments.files)
        bench.machine.close()


if __name__ == "__main__":
    main()
