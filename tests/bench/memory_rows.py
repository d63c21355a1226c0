"""Anonymous memory (RssAnon: what LMDB has mapped the kernel can take back), and the restart of a large namespace."""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cairnfs.client import connect
from tests.bench.metadata_rows import fill
from tests.bench.rows import Bench, Row, at_most

MEBIBYTE = 1 << 20
STREAM_BYTES = 4 << 30
SAMPLE_INTERVAL_S = 0.05


def measure(bench: Bench) -> list[Row]:
    """The rows of this group."""
    rows = stream_rows(bench)
    with connect(bench.cluster.address) as fs:
        for number in range(bench.files // 20_000):
            fs.mkdir(f"/many-{number}")
            fill(bench.cluster.address, f"many-{number}", 20_000)
    namenodes = [rss_anon(pid) for name, pid in pids(bench).items() if name.startswith("namenode")]
    rows.append(at_most(f"a namenode with {bench.files:,} files, RssAnon", max(namenodes), 150, "MB", digits=0))
    rows.append(restart_row(bench))
    return rows


def restart_row(bench: Bench) -> Row:
    """Kill all namenodes, start them, and wait until one serves."""
    names = [name for name in bench.cluster.running() if name.startswith("namenode")]
    bench.cluster.kill(*names)
    start = time.perf_counter()
    bench.cluster.start()
    bench.cluster.leader()
    return at_most(f"restart of the namenodes with {bench.files:,} files", time.perf_counter() - start, 3, "s")


def stream_rows(bench: Bench) -> list[Row]:
    """Stream 4 GiB in and out through a client process, and watch it and the datanodes."""
    spawn = multiprocessing.get_context("spawn")
    client = spawn.Process(target=stream, args=(bench.cluster.address,))
    datanodes = {name: pid for name, pid in pids(bench).items() if name.startswith("datanode")}
    client.start()
    assert client.pid is not None
    with peaks({**datanodes, "client": client.pid}) as seen:
        client.join()
    assert client.exitcode == 0, "the stream failed"
    highest = max(seen[name] for name in datanodes)
    return [
        at_most("a datanode while 4 GiB stream, RssAnon", highest, 200, "MB", digits=0),
        at_most("the client while 4 GiB stream, RssAnon", seen["client"], 200, "MB", digits=0),
    ]


def stream(address: str) -> None:
    """What the client process does: write 4 GiB, read them back."""
    chunk = os.urandom(8 * MEBIBYTE)
    with connect(address) as fs:
        with fs.open("/stream", "wb") as file:
            for _ in range(STREAM_BYTES // len(chunk)):
                file.write(chunk)
        with fs.open("/stream", "rb") as file:
            while file.read(MEBIBYTE):
                pass
        fs.rm("/stream")


def pids(bench: Bench) -> dict[str, int]:
    """Process ids of the members, by name."""
    return bench.cluster.running()


def rss_anon(pid: int) -> float:
    """MB of anonymous memory of a process, 0 once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


@contextmanager
def peaks(processes: dict[str, int]) -> Iterator[dict[str, float]]:
    """The highest RssAnon seen of each process while the context lasts."""
    seen = dict.fromkeys(processes, 0.0)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_INTERVAL_S):
            for name, pid in processes.items():
                seen[name] = max(seen[name], rss_anon(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
