"""Runs ranges of seeds, in parallel or one by one; and what a failing seed says."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from cairnfs.namenode.raft import RaftError

from .mutants import Mutant
from .world import World

REPLAY = "replay it with: python -m tests.sim {seed}"


@dataclass
class Report:
    """What some seeds have seen: events in total, and the fewest entries that any of them committed."""

    counts: Counter[str] = field(default_factory=Counter)
    fewest_entries: int = 1 << 30
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, other: Report) -> None:
        self.counts.update(other.counts)
        self.fewest_entries = min(self.fewest_entries, other.fewest_entries)
        self.failures.update(other.failures)


def run_seeds(seeds: Iterable[int]) -> Report:
    """Run these seeds here."""
    report = Report()
    for seed in seeds:
        try:
            counts = World(seed).run()
        except (AssertionError, RaftError) as error:
            report.failures[seed] = f"{type(error).__name__}: {error}; {REPLAY.format(seed=seed)}"
        else:
            report.counts.update(counts)
            report.fewest_entries = min(report.fewest_entries, counts["entries"])
    return report


def run_in_parallel(seeds: range) -> Report:
    """Run these seeds on all processors."""
    workers = os.cpu_count() or 1
    chunks = [seeds[start : start + 25] for start in range(0, len(seeds), 25)]
    total = Report()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for report in pool.map(run_seeds, chunks):
            total.add(report)
    return total


def first_catch(mutant: Mutant, seeds: Iterable[int]) -> tuple[int, str] | None:
    """The first seed that notices this bug, and how."""
    for seed in seeds:
        with mutant.planted():
            try:
                World(seed, process_type=mutant.process_type, disk_type=mutant.disk_type).run()
            except (AssertionError, RaftError) as error:
                return seed, f"{type(error).__name__}: {error}"
    return None
