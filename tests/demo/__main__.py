"""`make demo`: exits with 0 only if every byte came back and the namenodes agree.

    1. `cairn up` starts 3 namenodes and 3 datanodes in a temporary folder
    2. puts the Python standard library, and a file that cannot be compressed
    3. kills the leading namenode (kill -9) in the middle of the big put, which succeeds all the same
    4. kills a datanode that is being read from (kill -9) in the middle of the big get, which succeeds all the same
    5. compares every byte by SHA-256, starts what was killed, and compares the namenodes' digests

"In the middle" is told by the progress of the copy, not by a clock. Everything is stopped and removed at the end, also
after a failure or Ctrl-C.
"""

import collections
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil
from rich.console import Console
from rich.table import Table

from cairnfs.client import connect
from cairnfs.client.filesystem import FileSystem
from cairnfs.common.logs import set_up_logging
from tests.cluster.harness import Cluster
from tests.demo.material import compare, copy_standard_library, describe_tree, make_random_file, sha256

BIG_BYTES = 512 << 20
NEEDED_BYTES = 8 << 30
THREADS = 8
TABLE_WIDTH = 120


class Demo:
    """One run: the folder, the cluster, and the table of what happened."""

    def __init__(self, folder: Path, cluster: Cluster, console: Console) -> None:
        self.folder = folder
        self.cluster = cluster
        self.console = console
        self.differences: list[str] = []
        self.table = Table(title="What happened", title_justify="left")
        self.table.add_column("step")
        self.table.add_column("result")
        self.table.add_column("time", justify="right")
        self.table.add_column("rate", justify="right")

    @contextmanager
    def step(self, title: str, *, size: int = 0) -> Iterator[list[str]]:
        """Time one step; what the list holds at the end is its result."""
        self.console.print(f"  {title} …")
        result: list[str] = []
        start = time.perf_counter()
        yield result
        elapsed = time.perf_counter() - start
        rate = f"{size / elapsed / 1e6:.0f} MB/s" if size else ""
        self.table.add_row(title, ", ".join(result), f"{elapsed:.1f} s", rate)

    def run(self) -> None:
        """All steps, in order."""
        with self.step("start 3 namenodes, 3 datanodes") as result:
            up(self.cluster.directory, "--namenodes", "3", "--datanodes", "3")
            result.append(self.cluster.address)
        with connect(self.cluster.address) as fs:
            self.copy_tree(fs)
            self.copy_big_file(fs)
        with self.step("start the killed ones again") as result:
            up(self.cluster.directory)
            result.append(f"{len(self.cluster.running())} processes up")
        with self.step("compare the namenodes' digests") as result:
            digests = self.cluster.digests()
            if len(digests) != 3 or len(set(digests.values())) != 1:
                self.differences.append(f"the namenodes' states differ: {digests}")
            result.append(f"3 namenodes, {len(set(digests.values()))} digest")

    def copy_tree(self, fs: FileSystem) -> None:
        """The standard library, there and back."""
        source, back = self.folder / "stdlib", self.folder / "stdlib-back"
        count, size = copy_standard_library(source)
        with self.step("put the Python standard library", size=size) as result:
            fs.put(str(source), "/stdlib", recursive=True, threads=THREADS)
            result.append(f"{count} files, {size / 1e6:.0f} MB")
        with self.step("get it back", size=size) as result:
            fs.get("/stdlib", str(back), recursive=True, threads=THREADS)
            result.append(f"{count} files")
        with self.step("compare every byte (SHA-256)") as result:
            found = compare(describe_tree(source), describe_tree(back))
            self.differences += found
            result.append(f"{len(found)} differences")

    def copy_big_file(self, fs: FileSystem) -> None:
        """The big file, there with a namenode killed on the way, and back with a datanode killed on the way."""
        source, back = self.folder / "big", self.folder / "big-back"
        with self.step(f"make {BIG_BYTES >> 20} MiB that cannot be compressed") as result:
            wanted = make_random_file(source, BIG_BYTES)
            result.append(wanted[:16] + "…")
        with self.step("put it, kill -9 the leading namenode", size=BIG_BYTES) as result:
            killer = Killer(self.cluster, self.cluster.leader)
            fs.put(str(source), "/big", progress=killer.advance)
            result.append(self.killed(killer))
        with self.step("get it, kill -9 a datanode being read", size=BIG_BYTES) as result:
            killer = Killer(self.cluster, lambda: busiest_datanode(self.cluster))
            fs.get("/big", str(back), progress=killer.advance)
            result.append(self.killed(killer))
        with self.step("compare every byte (SHA-256)") as result:
            is_same = sha256(back) == wanted
            if not is_same:
                self.differences.append("the big file came back changed")
            result.append("same" if is_same else "DIFFERENT")

    def killed(self, killer: "Killer") -> str:
        """What a killer did; a difference if the copy ended before it came to it."""
        if killer.victim is None:
            self.differences.append("nothing was killed: the copy reported no progress in the middle")
            return "nothing killed"
        if killer.victim in self.cluster.running():
            self.differences.append(f"{killer.victim} is still alive")
        return f"{killer.victim} killed at {killer.killed_at >> 20} MiB"


class Killer:
    """Counts the bytes of a copy, and kills a member when 40 % are done: the copy waits in the callback meanwhile."""

    def __init__(self, cluster: Cluster, choose: Callable[[], str]) -> None:
        self._cluster = cluster
        self._choose = choose
        self._lock = threading.Lock()
        self._done = 0
        self.killed_at = 0
        self.victim: str | None = None

    def advance(self, count: int) -> None:
        """`count` more bytes are done; called from several threads."""
        with self._lock:
            self._done += count
            if self.victim is None and BIG_BYTES * 2 // 5 <= self._done < BIG_BYTES * 4 // 5:
                self.killed_at = self._done
                self.victim = self._choose()
                self._cluster.kill(self.victim)


def busiest_datanode(cluster: Cluster) -> str:
    """The datanode to which this process has most connections."""
    names = {int(address.rpartition(":")[2]): name for name, address in cluster.plan.datanodes.items()}
    connections = psutil.Process().net_connections("tcp")
    peers = [connection.raddr[1] for connection in connections if connection.status == psutil.CONN_ESTABLISHED]
    counts = collections.Counter(names[port] for port in peers if port in names)
    return counts.most_common(1)[0][0] if counts else "datanode-1"


def up(folder: Path, *options: str) -> None:
    """`cairn up --detach`."""
    command = [sys.executable, "-m", "cairnfs.client.cli", "up", "--detach", "--dir", str(folder), *options]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr.strip())


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    """Run the demo; 0 if all went well, 1 if anything differs or fails, 130 on Ctrl-C."""
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_WIDTH)
    set_up_logging("error")
    signal.signal(signal.SIGTERM, _interrupt)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cairn-demo-") as name, Cluster(Path(name) / "cluster") as cluster:
        free = shutil.disk_usage(name).free
        if free < NEEDED_BYTES:
            console.print(f"the demo needs {NEEDED_BYTES >> 30} GiB free in {name}, and there are {free >> 30}")
            return 1
        demo = Demo(Path(name), cluster, console)
        try:
            demo.run()
        except KeyboardInterrupt:
            console.print("interrupted: stopping the cluster")
            return 130
        except (OSError, RuntimeError) as error:
            console.print(f"FAILED: {error}\n{cluster.log_tails()}")
            return 1
        finally:
            console.print(demo.table)
    for difference in demo.differences:
        console.print(f"DIFFERENT: {difference}")
    console.print(
        f"{'FAILED' if demo.differences else 'All bytes are the same'}, {time.monotonic() - start:.0f} s in all"
    )
    return 1 if demo.differences else 0


if __name__ == "__main__":
    sys.exit(main())
