"""Replays one seed with a readable trace, or runs a range of them.

python -m tests.sim 227                       every message of seed 227
python -m tests.sim 227 --quiet               only what happens to nodes, and the outcome
python -m tests.sim 0 --count 10000           ten thousand seeds on all processors, outcomes only
python -m tests.sim 5 --mutant "votes twice in a term"
"""

from __future__ import annotations

import argparse
import sys
import traceback

from cairnfs.namenode.raft import RaftError

from .mutants import MUTANTS, Mutant
from .runner import run_in_parallel
from .world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__.partition("\n")[0])
    parser.add_argument("seed", type=int)
    parser.add_argument("--count", type=int, default=1, help="run this many seeds from SEED on")
    parser.add_argument("--quiet", action="store_true", help="leave messages out of the trace")
    parser.add_argument("--mutant", choices=[mutant.name for mutant in MUTANTS], help="plant a bug")
    options = parser.parse_args()
    if options.count > 1:
        report = run_in_parallel(range(options.seed, options.seed + options.count))
        for seed, failure in report.failures.items():
            print(f"seed {seed}: {failure}")
        print(f"{options.count} seeds, {len(report.failures)} failed; {dict(report.counts)}")
        return 1 if report.failures else 0
    mutant = next((mutant for mutant in MUTANTS if mutant.name == options.mutant), Mutant("none"))

    def show(line: str) -> None:
        if not options.quiet or "<- " not in line:
            print(line)

    with mutant.planted():
        world = World(options.seed, process_type=mutant.process_type, disk_type=mutant.disk_type, trace=show)
        print(world.profile)
        try:
            counts = world.run()
        except (AssertionError, RaftError) as error:
            for process in world.processes.values():
                if process is not None:
                    print(process.core.status())
            traceback.print_exc()
            print(f"seed {options.seed} failed at {world.now}: {error}")
            return 1
    print(f"seed {options.seed} holds: {dict(counts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
