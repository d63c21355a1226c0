"""What the leader does of its own accord: set the cluster up, end silent sessions, free orphans.

One thread, woken once a second and whenever leadership changes. It decides; the log makes it so.
"""

import secrets
import threading
import time
from collections.abc import Callable
from functools import partial

from cairnfs.common.blocks import BLOCK_BYTES_MAX
from cairnfs.common.logs import EventLogger
from cairnfs.namenode.config import Defaults
from cairnfs.namenode.datanodes import DatanodeTable
from cairnfs.namenode.holds import HoldTable
from cairnfs.namenode.node import Node
from cairnfs.namenode.proposals import Proposal
from cairnfs.namenode.session_service import SessionService
from cairnfs.namenode.state.commands import AnyInternal, CloseSession, InitializeCluster, ReapOrphans, internal_item
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.sessions import Outcome

PERIOD_S = 1.0
LATE_S = 0.5
ORPHANS_PAGE = 1_000

_log = EventLogger("duties")


class LeaderDuties:
    """Runs on every namenode, and acts only where that one serves."""

    def __init__(
        self,
        node: Node,
        holds: HoldTable,
        sessions: SessionService,
        datanodes: DatanodeTable,
        *,
        cluster_id: str,
        defaults: Defaults,
        lease_s: float,
    ) -> None:
        self._node = node
        self._holds = holds
        self._sessions = sessions
        self._datanodes = datanodes
        self._cluster_id = cluster_id
        self._defaults = defaults
        self._lease_s = lease_s
        self._wake = threading.Event()
        self._is_stopping = False
        self._is_reaping = False
        self._looked_at_s = time.monotonic()
        self._ending: set[int] = set()
        self._thread = threading.Thread(target=self._run, name="duties", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._is_stopping = True
        self._wake.set()
        self._thread.join()

    def set_up_cluster(self) -> None:
        """Propose the very first command; called when a leader finds an empty state."""
        defaults = self._defaults
        self._propose(
            InitializeCluster(
                cluster_id=self._cluster_id,
                token_key=secrets.token_bytes(32),
                replication=defaults.replication,
                min_replicas=defaults.min_replicas,
                inline_max=defaults.inline_max_bytes,
                block_size=BLOCK_BYTES_MAX,
            ),
            self._after_set_up,
        )

    def _after_set_up(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            self._node.read(self._note_settings)

    def _note_settings(self, state: StateMachine) -> None:
        self._datanodes.settings = state.cluster()

    def _run(self) -> None:
        while True:
            self._wake.wait(PERIOD_S)
            self._wake.clear()
            if self._is_stopping:
                return
            self._excuse_own_absence(time.monotonic())
            if self._node.is_serving:
                self._end_silent_sessions()
                # On the applier's thread, where everything applied has been settled: an orphan that was
                # made a moment ago is known to be held.
                self._node.read(self._reap_orphans)

    def _excuse_own_absence(self, now_s: float) -> None:
        """A process that was stopped finds signs of life waiting to be read: sessions were not silent meanwhile."""
        late_s = now_s - self._looked_at_s - PERIOD_S
        self._looked_at_s = now_s
        if late_s > LATE_S:
            self._holds.excuse(late_s)

    def _end_silent_sessions(self) -> None:
        for session in self._holds.silent_since(time.monotonic() - self._lease_s):
            if session not in self._ending:
                self._ending.add(session)
                self._propose(CloseSession(session), partial(self._after_closing, session))

    def _after_closing(self, session: int, outcome: Outcome | None) -> None:
        """Tell the client only what the group has agreed on: a deposed leader does not know how the session fares."""
        if outcome is not None:
            _log.info("session_expired", session=session)
            self._sessions.end_session(session)
            self._holds.end(session)
        self._ending.discard(session)

    def _reap_orphans(self, state: StateMachine) -> None:
        """Free a page of orphans that nobody holds; the next follows once they are gone."""
        if self._is_reaping or not self._node.is_serving or not self._holds.is_complete():
            return
        after = 0
        free: list[int] = []
        while not free and (page := state.orphans(after, ORPHANS_PAGE)):
            free = [inode for inode, _ in page if not self._holds.is_held(inode)]
            after = page[-1][0]
        if free:
            self._is_reaping = True
            self._propose(ReapOrphans(free), self._after_reaping)

    def _after_reaping(self, outcome: Outcome | None) -> None:
        self._is_reaping = False
        if outcome is not None:
            self._wake.set()

    def _propose(self, command: AnyInternal, on_outcome: Callable[[Outcome | None], None] | None = None) -> None:
        self._node.propose([Proposal(internal_item(command), on_outcome)])
