"""Which inodes each session holds open, and when sessions were last heard of: the leader's soft state.

A namenode that becomes leader starts with an empty table. Every client then announces what it
holds, and sends again what was not answered; until all have (or a lease has passed), orphans are
left alone, so nothing that is open is reaped. Each operation counts once, by its sequence: what
is sent again after a reconnect neither adds nor gives up a hold twice, nor does what an earlier stream of
the session brings late, when the client has its answer already.
"""

import threading
from collections import Counter
from collections.abc import Iterable


class _Session:
    __slots__ = ("answered_through", "counted", "has_announced", "heard_at_s", "inodes")

    def __init__(self, now_s: float) -> None:
        self.heard_at_s = now_s
        self.has_announced = False
        self.inodes: Counter[int] = Counter()
        self.counted: set[int] = set()
        self.answered_through = 0

    def counts(self, sequence: int) -> bool:
        """Whether an operation is met for the first time; it is not, from then on."""
        if sequence <= self.answered_through or sequence in self.counted:
            return False
        self.counted.add(sequence)
        return True


class HoldTable:
    """Thread-safe. Times are seconds of a monotonic clock, which the caller reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[int, _Session] = {}
        self._holders: Counter[int] = Counter()

    def begin_reign(self, sessions: Iterable[int], now_s: float) -> None:
        """Start over as leader: each known session has a whole lease to be heard of."""
        with self._lock:
            self._holders.clear()
            self._sessions = {session: _Session(now_s) for session in sessions}

    def hear(self, session: int, now_s: float) -> None:
        """The session gave a sign of life."""
        with self._lock:
            self._session(session, now_s).heard_at_s = now_s

    def announce(self, session: int, inodes: Iterable[int], now_s: float) -> None:
        """What the session held before this reign; later announcements in the same reign tell nothing new."""
        with self._lock:
            state = self._session(session, now_s)
            state.heard_at_s = now_s
            if not state.has_announced:
                state.has_announced = True
                for inode in inodes:
                    self._add(state, inode)

    def add(self, session: int, sequence: int, inode: int, now_s: float) -> None:
        """The session's operation `sequence` opened `inode`."""
        with self._lock:
            state = self._session(session, now_s)
            if state.counts(sequence):
                self._add(state, inode)

    def release(self, session: int, sequence: int, inodes: Iterable[int], now_s: float) -> None:
        """The session's operation `sequence` gave up one hold of each of `inodes`."""
        with self._lock:
            state = self._session(session, now_s)
            if not state.counts(sequence):
                return
            for inode in inodes:
                if state.inodes[inode] <= 1:
                    if state.inodes.pop(inode, 0):
                        self._drop_holder(inode)
                else:
                    state.inodes[inode] -= 1

    def forget_answered(self, session: int, answered_through: int) -> None:
        """The client has these answers, and will not send their operations again."""
        with self._lock:
            state = self._sessions.get(session)
            if state is None:
                return
            state.answered_through = max(state.answered_through, answered_through)
            if state.counted:
                state.counted = {sequence for sequence in state.counted if sequence > answered_through}

    def end(self, session: int) -> None:
        """The session is closed: it holds nothing."""
        with self._lock:
            state = self._sessions.pop(session, None)
            if state is not None:
                for inode in state.inodes:
                    self._drop_holder(inode)

    def is_held(self, inode: int, session: int | None = None) -> bool:
        """Whether any session, or the one named, holds the inode."""
        with self._lock:
            if session is None:
                return inode in self._holders
            state = self._sessions.get(session)
            return state is not None and inode in state.inodes

    def silent_since(self, before_s: float) -> list[int]:
        """Sessions not heard of since `before_s`."""
        with self._lock:
            return [session for session, state in self._sessions.items() if state.heard_at_s < before_s]

    def excuse(self, silence_s: float) -> None:
        """For so long this process could hear nobody: that is held against no session."""
        with self._lock:
            for state in self._sessions.values():
                state.heard_at_s += silence_s

    def is_complete(self) -> bool:
        """Whether every session has announced what it holds, so that orphans may be reaped."""
        with self._lock:
            return all(state.has_announced for state in self._sessions.values())

    def _session(self, session: int, now_s: float) -> _Session:
        state = self._sessions.get(session)
        if state is None:
            state = self._sessions[session] = _Session(now_s)
        return state

    def _add(self, state: _Session, inode: int) -> None:
        state.inodes[inode] += 1
        if state.inodes[inode] == 1:
            self._holders[inode] += 1

    def _drop_holder(self, inode: int) -> None:
        self._holders[inode] -= 1
        if self._holders[inode] <= 0:
            del self._holders[inode]
