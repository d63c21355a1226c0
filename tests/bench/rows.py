"""What every group of the benchmark uses: the cluster it runs on, and a row of the table."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.harness import Cluster

DROP_CACHES = Path("/proc/sys/vm/drop_caches")


@dataclass(frozen=True)
class Bench:
    """Where and how much to measure."""

    folder: Path
    cluster: Cluster
    big_bytes: int
    rounds: int
    files: int


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    work: str
    measured: str
    target: str
    is_met: bool


def at_least(work: str, value: float, target: float, unit: str) -> Row:
    """A row of a rate."""
    return Row(work, f"{value:,.0f} {unit}", f"≥ {target:,.0f} {unit}", value >= target)


def at_most(work: str, value: float, target: float, unit: str, *, digits: int = 2) -> Row:
    """A row of a time or a size."""
    return Row(work, f"{value:,.{digits}f} {unit}", f"≤ {target:,.{digits}f} {unit}", value <= target)


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rate(operation: Callable[[int, int], object], *, threads: int, count: int) -> float:
    """Operations per second of operation(thread, number), `count` times in each thread."""
    failures: list[BaseException] = []

    def run(thread: int) -> None:
        try:
            for number in range(count):
                operation(thread, number)
        except BaseException as error:  # noqa: BLE001  raised below: a failed operation must not count as a fast one
            failures.append(error)

    workers = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - start
    if failures:
        raise failures[0]
    return threads * count / seconds


def drop_page_cache() -> bool:
    """Have the kernel forget what it has read; whether it did (root only)."""
    try:
        DROP_CACHES.write_text("1")
    except PermissionError:
        return False
    return True
