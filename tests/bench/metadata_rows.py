"""Small files and metadata: one thread, eight threads, and many in flight."""

import os
import time
from collections import deque
from collections.abc import Iterable

from cairnfs.client import connect
from cairnfs.client.filesystem import FileSystem
from cairnfs.client.outbox import Pending
from cairnfs.client.session import Session
from cairnfs.common.address import ClusterAddress
from cairnfs.common.attributes import ROOT_INO
from cairnfs.common.operations import Credentials, MakeDirectory, Mutation, WriteFile
from tests.bench.rows import Bench, Row, at_least, rate, timed

THREADS = 8
IN_FLIGHT = 128
FLIGHTS = 20_000
LISTED = 100_000
ROOT = Credentials(0, 0)


def measure(bench: Bench) -> list[Row]:
    """The rows of this group."""
    content = os.urandom(4096)
    with connect(bench.cluster.address) as fs:
        for name in ("one", "eight", "stat", "dirs", "flight", "list"):
            fs.mkdir(f"/{name}")
        for thread in range(THREADS):
            fs.mkdir(f"/eight/{thread}")
            fs.mkdir(f"/dirs/{thread}")
        folders = (MakeDirectory(ROOT_INO, b"flight/%d" % n, 0o755) for n in range(FLIGHTS))
        rows = [
            at_least(
                "put 4 KiB files, 1 thread",
                rate(lambda _, n: fs.pipe_file(f"/one/{n}", content), threads=1, count=2_000),
                500,
                "/s",
            ),
            at_least(
                "put 4 KiB files, 8 threads",
                rate(lambda t, n: fs.pipe_file(f"/eight/{t}/{n}", content), threads=THREADS, count=1_000),
                2_000,
                "/s",
            ),
            at_least(
                "stat, 8 threads, session level",
                rate(lambda t, n: fs.info(f"/eight/{t}/{n % 1000}"), threads=THREADS, count=4_000),
                8_000,
                "/s",
            ),
            at_least(
                "mkdir, 8 threads",
                rate(lambda t, n: fs.mkdir(f"/dirs/{t}/{n}"), threads=THREADS, count=1_500),
                3_000,
                "/s",
            ),
            at_least("mkdir, 128 in flight", FLIGHTS / in_flight(bench.cluster.address, folders), 5_000, "/s"),
        ]
        fill(bench.cluster.address, "list", LISTED)
        rows += [
            at_least("list a folder of 100,000, names", LISTED / listing(fs, detail=False), 200_000, "/s"),
            at_least("list a folder of 100,000, with attributes", LISTED / listing(fs, detail=True), 200_000, "/s"),
        ]
    return rows


def in_flight(address: str, operations: Iterable[Mutation]) -> float:
    """Seconds that operations take with IN_FLIGHT of them on their way all the time."""
    pending: deque[Pending] = deque()
    session = Session(ClusterAddress.parse(address)).open()
    try:
        start = time.perf_counter()
        for operation in operations:
            if len(pending) == IN_FLIGHT:
                pending.popleft().result()
            pending.append(session.submit(operation, ROOT))
        while pending:
            pending.popleft().result()
        return time.perf_counter() - start
    finally:
        session.close()


def fill(address: str, folder: str, count: int) -> None:
    """Put small files into a folder."""
    in_flight(address, (WriteFile(ROOT_INO, f"{folder}/{n}".encode(), 0o644, b"x" * 100) for n in range(count)))


def listing(fs: FileSystem, *, detail: bool) -> float:
    """The median of five listings, in seconds."""
    times = sorted(timed(lambda: fs.ls("/list", detail=True) if detail else fs.ls("/list")) for _ in range(5))
    assert len(fs.ls("/list")) == LISTED
    return times[2]
