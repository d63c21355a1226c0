"""The thread that owns the state machine: it applies what is committed, and answers queries.

Raft's thread waits for the log's disk; this one does not wait for the state's, for entries are
applied in one transaction that is committed once a second: the log is what lasts, and what
a crash takes from the state is applied again. A query sees everything applied before it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from queue import Empty, SimpleQueue

from cairnfs.namenode.raft import Entry, EntryKind
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.sessions import Outcome

COMMIT_INTERVAL_S = 1.0
COMMIT_ITEMS = 2_000

Action = Callable[[StateMachine], None]
Settle = Callable[[list[Outcome]], None]


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed entry, and who is to hear of its outcomes."""

    entry: Entry
    settle: Settle


class Applier:
    """Public methods may be called from any thread and do not wait; actions run on the applier's own."""

    def __init__(self, state: StateMachine, on_failure: Callable[[BaseException], None]) -> None:
        self._state = state
        self._on_failure = on_failure
        self._inbox: SimpleQueue[Committed | tuple[int, Action] | None] = SimpleQueue()
        self._later: list[tuple[int, int, Action]] = []
        self._waiters = 0
        self._uncommitted_items = 0
        self._uncommitted_since_s = 0.0
        self.applied_index = state.applied_index
        self.synced_index = 0
        self._thread = threading.Thread(target=self._guarded_run, name="applier", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what has been handed in, end the thread, and close the state."""
        self._inbox.put(None)
        self._thread.join()

    def apply(self, committed: Sequence[Committed]) -> None:
        """Apply entries, in this order."""
        for one in committed:
            self._inbox.put(one)

    def act(self, action: Action, *, index: int = 0) -> None:
        """Run an action once `index` is applied, and after all that was handed in before it."""
        self._inbox.put((index, action))

    def sync(self) -> None:
        """Have everything applied by then on disk, and say so in `synced_index`."""

        def action(state: StateMachine) -> None:
            state.sync()
            self._uncommitted_items = 0
            self.synced_index = state.applied_index

        self.act(action)

    def _guarded_run(self) -> None:
        try:
            while self._take(self._time_to_commit_s()):
                self._commit_if_due()
            self._state.close()
        except BaseException as error:  # noqa: BLE001  whatever it is: a state that may be wrong must not be used
            self._on_failure(error)

    def _take(self, wait_s: float | None) -> bool:
        """Carry out what waits, or what comes within `wait_s`; False when asked to stop."""
        committed: list[Committed] = []
        try:
            work = self._inbox.get(timeout=wait_s)
            while work is not None:
                if isinstance(work, Committed):
                    committed.append(work)
                else:
                    self._apply(committed)
                    index, action = work
                    if index <= self.applied_index:
                        action(self._state)
                    else:
                        self._waiters += 1
                        heappush(self._later, (index, self._waiters, action))
                work = self._inbox.get_nowait()
        except Empty:
            self._apply(committed)
            return True
        self._apply(committed)
        return False

    def _time_to_commit_s(self) -> float | None:
        if not self._uncommitted_items:
            return None
        return max(0.0, self._uncommitted_since_s + COMMIT_INTERVAL_S - time.monotonic())

    def _commit_if_due(self) -> None:
        if self._uncommitted_items >= COMMIT_ITEMS or self._time_to_commit_s() == 0.0:
            self._state.commit()
            self._uncommitted_items = 0

    def _apply(self, committed: list[Committed]) -> None:
        """Apply entries in one go, and empty the list."""
        fresh = [one for one in committed if one.entry.index > self.applied_index]
        committed.clear()
        if not fresh:
            return
        outcomes = self._state.apply([_row(one.entry) for one in fresh])
        if not self._uncommitted_items:
            self._uncommitted_since_s = time.monotonic()
        self.applied_index = self._state.applied_index
        for one, results in zip(fresh, outcomes, strict=True):
            self._uncommitted_items += 1 + len(results)
            one.settle(results)
        self._run_later()

    def _run_later(self) -> None:
        while self._later and self._later[0][0] <= self.applied_index:
            heappop(self._later)[2](self._state)

    # --- snapshots -------------------------------------------------------------------------------

    def replace(self, state: StateMachine) -> None:
        """Go on with another, newer state, which is synced."""

        def action(old: StateMachine) -> None:
            old.close()
            self._state = state
            self._uncommitted_items = 0
            self.applied_index = state.applied_index
            self.synced_index = state.applied_index
            self._run_later()

        self.act(action)


def _row(entry: Entry) -> tuple[int, int, bytes]:
    return entry.index, entry.term, entry.data if entry.kind is EntryKind.NORMAL else b""
