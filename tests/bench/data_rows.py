"""Big files: put beside three local copies, and a cold get."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from cairnfs.client import connect
from cairnfs.client.filesystem import FileSystem
from tests.bench.rows import Bench, Row, at_least, drop_page_cache, timed

CHUNK_BYTES = 1 << 20
MEBIBYTE = 1 << 20


def measure(bench: Bench) -> list[Row]:
    """The rows of this group."""
    source = bench.folder / "source"
    make_source(source, bench.big_bytes)
    size_mib = bench.big_bytes / MEBIBYTE
    local, put, got, read = [], [], [], []
    for _ in range(bench.rounds):
        local.append(size_mib / timed(lambda: write_three_copies(source, bench.folder)))
        with connect(bench.cluster.address) as fs:
            put.append(size_mib / timed(partial(fs.put, source, "/big")))
        got.append(size_mib / cold(bench, lambda fs: fs.get("/big", bench.folder / "back")))
        (bench.folder / "back").unlink()
        read.append(size_mib / cold(bench, read_all))
    source.unlink()
    ratios = [ours / theirs for ours, theirs in zip(put, local, strict=True)]
    return [
        Row(
            f"put one {size_mib:,.0f} MiB file, beside three local copies with fsync",
            f"{median(put):,.0f} MB/s = {median(ratios):.2f} × {median(local):,.0f}",
            "≥ 0.50 ×",
            median(ratios) >= 0.5,
        ),
        at_least("get it, cold, into a local file", median(got), 800, "MB/s"),
        at_least("read it, cold, in 1 MiB calls", median(read), 800, "MB/s"),
    ]


def make_source(path: Path, size: int) -> None:
    """A file that cannot be compressed."""
    chunk = os.urandom(8 * CHUNK_BYTES)
    with path.open("wb") as file:
        for _ in range(size // len(chunk)):
            file.write(chunk)


def write_three_copies(source: Path, folder: Path) -> None:
    """What a put does, without a network: the same bytes into three local files, each synced."""
    targets = [folder / f"copy-{number}" for number in range(3)]
    files = [target.open("wb", buffering=0) for target in targets]
    with source.open("rb", buffering=0) as reader:
        while chunk := reader.read(CHUNK_BYTES):
            for file in files:
                file.write(chunk)
    for file in files:
        os.fsync(file.fileno())
        file.close()
    for target in targets:
        target.unlink()


def read_all(fs: FileSystem) -> None:
    """Read the big file from start to end."""
    with fs.open("/big", "rb") as file:
        while file.read(CHUNK_BYTES):
            pass


def cold(bench: Bench, work: Callable[[FileSystem], None]) -> float:
    """Seconds of work(fs) after the datanodes have been restarted and the page cache dropped."""
    names = [name for name in bench.cluster.running() if name.startswith("datanode")]
    bench.cluster.kill(*names)
    os.sync()
    drop_page_cache()
    bench.cluster.up()
    with connect(bench.cluster.address) as fs:
        fs.exists("/big")
        return timed(lambda: work(fs))
