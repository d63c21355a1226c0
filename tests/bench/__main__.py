"""`make bench`: speed and memory through the Python API, on a real cluster of 3 namenodes and 3 datanodes.

    python -m tests.bench [--mib 1024] [--rounds 3] [--only GROUP] [--dir DIR]

Everything runs on this machine, namenodes and datanodes with fsync and three replicas. Rows that compare are alternated
in one run and quote medians. Cold reads restart the datanodes and drop the page cache (root), for pages that a
process has mapped stay in memory otherwise.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import command_rows, data_rows, memory_rows, metadata_rows
from tests.bench.rows import Bench, Row
from tests.cluster.harness import Cluster


def main() -> int:
    """Run the rows that are asked for, and print them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure CairnFS on this machine.")
    parser.add_argument("--mib", type=int, default=1024, help="size of the big file")
    parser.add_argument("--rounds", type=int, default=3, help="how often rows that compare are repeated")
    parser.add_argument("--files", type=int, default=200_000, help="files for the memory and restart rows")
    parser.add_argument("--dir", type=Path, help="where to work (a temporary folder)")
    groups = {
        "data": data_rows.measure,
        "metadata": metadata_rows.measure,
        "command": command_rows.measure,
        "memory": memory_rows.measure,
    }
    parser.add_argument("--only", choices=groups, help="only this group of rows")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cairn-bench-", dir=options.dir))
    console = Console()
    rows: list[Row] = []
    try:
        for name, measure in groups.items():
            if options.only in (None, name):
                with Cluster(folder / name) as cluster:
                    cluster.up(namenodes=3, datanodes=3)
                    bench = Bench(folder, cluster, options.mib << 20, options.rounds, options.files)
                    rows += measure(bench)
                shutil.rmtree(folder / name)
                os.sync()  # the next group does not pay for what this one has left to write
                console.print(f"[dim]{name}: done[/]")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    console.print(as_table(rows))
    return 0


def as_table(rows: list[Row]) -> Table:
    """The rows as they are printed."""
    table = Table(title="CairnFS on this machine", title_justify="left")
    for heading, justify in (("work", "left"), ("measured", "right"), ("target", "right"), ("", "left")):
        table.add_column(heading, justify="right" if justify == "right" else "left")
    for row in rows:
        table.add_row(row.work, row.measured, row.target, "[green]met[/]" if row.is_met else "[red]missed[/]")
    return table


if __name__ == "__main__":
    sys.exit(main())
