"""The simulator's verdicts: no seed breaks a promise, every planted bug does."""

from __future__ import annotations

import os

import pytest

from .mutants import MUTANTS, Mutant
from .runner import first_catch, run_in_parallel
from .world import World

SEEDS = int(os.environ.get("CAIRNFS_SIM_SEEDS", "200"))


@pytest.mark.timeout(600)
def test_seeds() -> None:
    """Whatever the network, the disks and the clocks do, the cluster keeps its promises (see `checks.py`)."""
    report = run_in_parallel(range(SEEDS))
    assert not report.failures, "\n".join(f"seed {seed}: {text}" for seed, text in sorted(report.failures.items()))
    # A simulator that tries nothing finds nothing.
    assert report.fewest_entries > 100
    for event, per_seed in {
        "leader": 4,
        "crashes": 5,
        "snapshots": 1,
        "partitions": 3,
        "reads": 20,
        "writes": 50,
        "transfers": 0.5,
        "changes": 0.3,
        "pauses": 0.5,
    }.items():
        assert report.counts[event] > per_seed * SEEDS, event


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(mutant: Mutant) -> None:
    """A planted bug breaks a promise within 200 seeds: the simulator would notice it."""
    assert first_catch(mutant, range(200)) is not None


def test_run_is_a_function_of_its_seed() -> None:
    """The same seed gives the same run, message by message: a failure can be replayed."""
    runs: list[list[str]] = []
    for _ in range(2):
        lines: list[str] = []
        World(11, trace=lines.append).run()
        runs.append(lines)
    assert len(runs[0]) > 500
    assert runs[0] == runs[1]
