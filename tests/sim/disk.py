"""A simulated disk: what was written is visible at once, what was synced survives a crash, each write is atomic.

A crash keeps the synced state and a head, chosen by chance, of the writes after it: a transaction may have reached the
disk although nobody was told.
"""

from __future__ import annotations

from collections.abc import Callable

from cairnfs.namenode.raft import HardState, Membership, MemoryStorage, Ready

from .machine import Machine


class Image:
    """Log, hard state and checkpoint of the state machine: one consistent content of a disk."""

    def __init__(self, membership: Membership) -> None:
        self.storage = MemoryStorage(membership)
        self.checkpoint = Machine(membership)

    def copy(self) -> Image:
        twin = Image(self.checkpoint.membership)
        mine, theirs = self.storage, twin.storage
        theirs.hard_state = mine.hard_state
        theirs.start, theirs.start_term = mine.start, mine.start_term
        theirs.entries_held = list(mine.entries_held)
        theirs.newest_snapshot = mine.newest_snapshot
        twin.checkpoint = self.checkpoint
        return twin


class Disk:
    """One node's disk. It outlives the node's processes."""

    def __init__(self, membership: Membership) -> None:
        self.synced = Image(membership)
        self.visible = self.synced.copy()
        self._unsynced: list[Callable[[Image], None]] = []

    def _write(self, change: Callable[[Image], None]) -> None:
        change(self.visible)
        self._unsynced.append(change)

    def save(self, ready: Ready, received: Machine | None) -> None:
        """One transaction: all that a Ready has to persist, and the state that came with its snapshot."""
        hard_state, snapshot, entries = self.kept(ready.hard_state), ready.snapshot, ready.entries

        def change(image: Image) -> None:
            image.storage.save(hard_state, snapshot, entries)
            if snapshot is not None:
                assert received is not None
                assert received.meta() == snapshot
                image.checkpoint = received

        self._write(change)

    def kept(self, hard_state: HardState | None) -> HardState | None:
        """What of the hard state is written: all of it (mutants differ)."""
        return hard_state

    def save_checkpoint(self, machine: Machine, compact_to: int) -> None:
        """One transaction: the state as of an applied index, and the log without its head, which that state covers."""

        def change(image: Image) -> None:
            image.checkpoint = machine
            image.storage.took_snapshot(machine.meta())
            image.storage.compact(compact_to)

        self._write(change)

    def sync(self) -> None:
        """Everything written so far survives from now on."""
        for change in self._unsynced:
            change(self.synced)
        self._unsynced.clear()

    def crash(self, rng: Callable[[int], int]) -> None:
        """Lose what was not synced, or its tail."""
        for change in self._unsynced[: rng(len(self._unsynced) + 1)]:
            change(self.synced)
        self._unsynced.clear()
        self.visible = self.synced.copy()
