"""The command as a whole process."""

import subprocess
import sys
from statistics import median

from tests.bench.rows import Bench, Row, at_most, timed

RUNS = 9


def measure(bench: Bench) -> list[Row]:
    """The rows of this group."""
    return [
        at_most("cairn --help, the whole process", run(bench, "--help"), 0.2, "s"),
        at_most("cairn ls /, the whole process", run(bench, "ls", "/"), 0.6, "s"),
    ]


def run(bench: Bench, *words: str) -> float:
    """The median seconds of a command."""
    command = [sys.executable, "-m", "cairnfs.client.cli", "--cluster", bench.cluster.address, *words]
    return median(timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)) for _ in range(RUNS))
