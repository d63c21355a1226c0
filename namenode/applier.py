"""The thread that owns the state machine: it applies what is committed, and answers queries.

Raft's thread waits for the log's disk; this one does not wait for the state's, for entries are
applied in one transaction that is committed a few times a second: the log is what lasts, and what
a crash takes from the state is applied again. A query sees everything applied before it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from cairnfs.namenode.raft import Entry, EntryKind
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.sessions import Outcome

COMMIT_INTERVAL_S = 0.2
COMMIT_ITEMS = 1_000

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
        self._condition = threading.Condition()
        self._committed: list[Committed] = []
        self._actions: list[Action] = []
        self._later: list[tuple[int, int, Action]] = []
        self._waiters = 0
        self._is_stopping = False
        self._uncommitted_items = 0
        self._uncommitted_since_s = 0.0
        self.applied_index = state.applied_index
        self.applied_term = state.applied_term
        self.synced_index = 0
        self._thread = threading.Thread(target=self._guarded_run, name="applier", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what has been handed in, end the thread, and close the state."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify()
        self._thread.join()

    def apply(self, committed: Sequence[Committed]) -> None:
        """Apply entries, in this order."""
        with self._condition:
            self._committed.extend(committed)
            self._condition.notify()

    def act(self, action: Action, *, index: int = 0) -> None:
        """Run an action once `index` is applied; actions of the same index run in the order they came."""
        with self._condition:
            if index <= self.applied_index:
                self._actions.append(action)
                self._condition.notify()
            else:
                self._waiters += 1
                heappush(self._later, (index, self._waiters, action))

    def sync(self) -> None:
        """Have everything applied by now on disk, and then say so in `synced_index`."""

        def action(state: StateMachine) -> None:
            state.sync()
            self._uncommitted_items = 0
            self.synced_index = state.applied_index

        self.act(action)

    def _guarded_run(self) -> None:
        try:
            self._run()
            self._state.close()
        except BaseException as error:  # noqa: BLE001  whatever it is: a state that may be wrong must not be used
            self._on_failure(error)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not (self._committed or self._actions or self._is_stopping):
                    if not self._condition.wait(self._time_to_commit_s()):
                        break
                committed, self._committed = self._committed, []
                actions, self._actions = self._actions, []
                if not committed and not actions and self._is_stopping:
                    return
            if committed:
                self._apply(committed)
            for action in actions:
                action(self._state)
            self._commit_if_due()

    def _time_to_commit_s(self) -> float | None:
        if not self._uncommitted_items:
            return None
        return max(0.0, self._uncommitted_since_s + COMMIT_INTERVAL_S - time.monotonic())

    def _commit_if_due(self) -> None:
        if self._uncommitted_items >= COMMIT_ITEMS or self._time_to_commit_s() == 0.0:
            self._state.commit()
            self._uncommitted_items = 0

    def _apply(self, committed: list[Committed]) -> None:
        fresh = [one for one in committed if one.entry.index > self.applied_index]
        if not fresh:
            return
        outcomes = self._state.apply([_row(one.entry) for one in fresh])
        if not self._uncommitted_items:
            self._uncommitted_since_s = time.monotonic()
        self._note_applied()
        for one, results in zip(fresh, outcomes, strict=True):
            self._uncommitted_items += 1 + len(results)
            one.settle(results)

    def _note_applied(self) -> None:
        with self._condition:
            self.applied_index, self.applied_term = self._state.applied_index, self._state.applied_term
            while self._later and self._later[0][0] <= self.applied_index:
                self._actions.append(heappop(self._later)[2])

    # --- snapshots -------------------------------------------------------------------------------

    def replace(self, state: StateMachine) -> None:
        """Go on with another, newer state, which is synced."""

        def action(old: StateMachine) -> None:
            old.close()
            self._state = state
            self._uncommitted_items = 0
            self.synced_index = state.applied_index
            self._note_applied()

        self.act(action)


def _row(entry: Entry) -> tuple[int, int, bytes]:
    return entry.index, entry.term, entry.data if entry.kind is EntryKind.NORMAL else b""
