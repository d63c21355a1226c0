"""The node's loop: the one thread where Raft meets disk, network and state machine.

Other threads hand in messages, proposals and reads; the loop takes whatever waits, lets the core
decide, and carries out its orders: send, persist in one synced commit, apply in one transaction,
answer. While a batch is on its way to the majority, further proposals gather into the next one:
under load one sync and one round trip serve many operations.

    services ─ propose(), confirm_read() ─┐                       ┌─► peers.send()
    peers ──── receive() ─────────────────┼─► inbox ─► Core ─► Ready ─► LogStore.append()
    clock ──── tick ──────────────────────┘                       └─► StateMachine.apply() ─► listener

It knows nothing of sessions, files and datanodes.
"""

import random
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol

from cairnfs.common.logs import EventLogger
from cairnfs.namenode.config import Timing
from cairnfs.namenode.log_store import LogStore
from cairnfs.namenode.raft import (
    Config,
    Core,
    Entry,
    EntryKind,
    InstallSnapshot,
    Message,
    NotLeader,
    Overloaded,
    Ready,
    Role,
    Status,
    decode_membership,
)
from cairnfs.namenode.state.commands import Item, LogBatch, encode_batch
from cairnfs.namenode.state.machine import Outcome, StateMachine

BATCH_ITEMS_MAX = 1_024
BATCH_BYTES_MAX = 2 << 20
BATCHES_IN_FLIGHT_MAX = 2
BATCH_VERSION = 1

_log = EventLogger("namenode")


class Peers(Protocol):
    """The way to the other nodes."""

    def send(self, messages: Sequence[Message]) -> None:
        """Send without waiting; what cannot be sent is dropped."""

    def send_snapshot(self, message: InstallSnapshot, state: StateMachine) -> None:
        """Stream the state in the background, then call Node.report_snapshot."""


class Listener(Protocol):
    """Whoever serves clients on this node; called on the node's thread."""

    def on_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """These operations have been applied while this node leads."""

    def on_leadership(self, is_serving: bool) -> None:
        """This node began or ceased to serve as leader."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One operation on its way into the log; `on_outcome` gets None where nobody can tell what became of it."""

    item: Item
    on_outcome: Callable[[Outcome | None], None] | None = None


@dataclass(frozen=True, slots=True)
class _Batch:
    index: int
    term: int
    proposals: list[Proposal]


class Node:
    """One member of the group. Public methods may be called from any thread and do not wait."""

    def __init__(
        self,
        node_id: int,
        log: LogStore,
        state: StateMachine,
        timing: Timing,
        *,
        retained_entries: int,
        retained_bytes: int,
    ) -> None:
        self.node_id = node_id
        self.state = state
        self._log_store = log
        self._tick_s = timing.tick_s
        self._retained_entries = retained_entries
        self._retained_bytes = retained_bytes
        config = Config(
            node_id=node_id,
            election_ticks=round(timing.election_timeout_s / timing.tick_s),
            heartbeat_ticks=round(timing.heartbeat_s / timing.tick_s),
        )
        self._core = Core(config, log, state.applied_index, random.SystemRandom().randrange)
        self._wake = threading.Condition()
        self._messages: list[Message] = []
        self._proposals: deque[Proposal] = deque()
        self._reads: list[Callable[[bool], None]] = []
        self._controls: list[Callable[[], None]] = []
        self._is_stopping = False
        self._in_flight: deque[_Batch] = deque()
        self._confirming: dict[int, list[Callable[[bool], None]]] = {}
        self._read_contexts = 0
        self._confirmed: list[tuple[int, int, list[Callable[[bool], None]]]] = []
        self._waiting_for_index: list[tuple[int, int, Callable[[], None]]] = []
        self._waiters = 0
        self._serving_from = 0
        self._is_serving = False
        self._retired: StateMachine | None = None
        self._status = self._core.status()
        self._thread = threading.Thread(target=self._guarded_run, name="node", daemon=True)
        self.failure: BaseException | None = None

    def start(self, peers: Peers, listener: Listener, on_failure: Callable[[], None]) -> None:
        """Begin; `on_failure` is called where the loop cannot go on, and the process must end."""
        self._peers = peers
        self._listener = listener
        self._on_failure = on_failure
        self._thread.start()

    def stop(self) -> None:
        """End the loop, wait for it, and close log and state."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify()
        self._thread.join()
        self.state.close()
        if self._retired is not None:
            self._retired.close()
        self._log_store.close()

    # --- for other threads -----------------------------------------------------------------------

    @property
    def is_serving(self) -> bool:
        """Whether this node leads and has applied everything that earlier leaders committed."""
        return self._is_serving

    @property
    def status(self) -> Status:
        """Raft's view, as of the last turn of the loop."""
        return self._status

    @property
    def log_range(self) -> tuple[int, int]:
        """First and last index of the log."""
        return self._log_store.first_index(), self._log_store.last_index()

    def receive(self, messages: Sequence[Message]) -> None:
        """Messages from another node have arrived."""
        with self._wake:
            self._messages.extend(messages)
            self._wake.notify()

    def propose(self, proposals: Sequence[Proposal]) -> None:
        """Bring operations into the log, in this order; what a node that does not lead is given is dropped."""
        with self._wake:
            self._proposals.extend(proposals)
            self._wake.notify()

    def confirm_read(self, callback: Callable[[bool], None]) -> None:
        """Call back with True once the state has all that is committed by now; with False where none can tell."""
        with self._wake:
            self._reads.append(callback)
            self._wake.notify()

    def when_applied(self, index: int, callback: Callable[[], None]) -> None:
        """Call back once the state has applied `index`: at once, or on the node's thread."""
        with self._wake:
            if self.state.applied_index < index:
                self._waiters += 1
                heappush(self._waiting_for_index, (index, self._waiters, callback))
                return
        callback()

    def report_unreachable(self, node_id: int) -> None:
        """Messages to this node have been lost."""
        self.run(lambda: self._core.report_unreachable(node_id))

    def report_snapshot(self, node_id: int, is_ok: bool) -> None:
        """The snapshot that the core asked for has arrived there, or has not."""
        self.run(lambda: self._core.report_snapshot(node_id, is_ok))

    def install_snapshot(self, message: InstallSnapshot, state: StateMachine, directory: str) -> None:
        """A snapshot has been loaded into `state`, a folder of that name: use it if the core agrees."""
        self.run(lambda: self._offer_snapshot(message, state, directory))

    def transfer_leadership(self, to: int, callback: Callable[[str], None]) -> None:
        """Ask to hand leadership to another node; the callback gets the reason where that is refused."""

        def run() -> None:
            try:
                self._core.transfer_leadership(to)
            except (NotLeader, Overloaded, ValueError) as error:
                callback(str(error))
            else:
                callback("")

        self.run(run)

    def run(self, action: Callable[[], None]) -> None:
        """Do this on the node's thread, between two turns: all that is applied has been settled then."""
        with self._wake:
            self._controls.append(action)
            self._wake.notify()

    # --- the loop --------------------------------------------------------------------------------

    def _guarded_run(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001  whatever it is: a node that may break its promises must stop
            self.failure = error
            trace = "".join(traceback.format_exception(error))
            _log.error("node_failed", node=self.node_id, error=f"{type(error).__name__}: {error}", traceback=trace)
            self._on_failure()

    def _run(self) -> None:
        next_tick_s = time.monotonic() + self._tick_s
        while self._wait_for_work(next_tick_s):
            self._take_inputs()
            now_s = time.monotonic()
            if now_s >= next_tick_s:
                self._core.tick()
                # A process that was stopped does not make up for the ticks it missed.
                next_tick_s = max(next_tick_s + self._tick_s, now_s)
            while self._core.has_ready():
                self._carry_out(self._core.ready())
                self._propose_waiting()
            self._status = self._core.status()

    def _wait_for_work(self, next_tick_s: float) -> bool:
        with self._wake:
            while not (self._messages or self._reads or self._controls or (self._proposals and self._may_propose)):
                if self._is_stopping:
                    return False
                remaining_s = next_tick_s - time.monotonic()
                if remaining_s <= 0:
                    break
                self._wake.wait(remaining_s)
            return not self._is_stopping

    @property
    def _may_propose(self) -> bool:
        return len(self._in_flight) < BATCHES_IN_FLIGHT_MAX

    def _take_inputs(self) -> None:
        with self._wake:
            messages, self._messages = self._messages, []
            controls, self._controls = self._controls, []
            reads, self._reads = self._reads, []
        for control in controls:
            control()
        for message in messages:
            self._core.step(message)
        if reads:
            self._read(reads)
        self._propose_waiting()

    def _read(self, callbacks: list[Callable[[bool], None]]) -> None:
        self._read_contexts += 1
        try:
            self._core.read_index(self._read_contexts)
        except NotLeader:
            for callback in callbacks:
                callback(False)
        else:
            self._confirming[self._read_contexts] = callbacks

    def _propose_waiting(self) -> None:
        if not self._proposals:
            return
        if self._core.role is not Role.LEADER:
            with self._wake:
                dropped, self._proposals = self._proposals, deque()
            _give_up(dropped)
            return
        while self._proposals and self._may_propose:
            batch = self._gather()
            body = encode_batch(LogBatch(BATCH_VERSION, time.time_ns(), [proposal.item for proposal in batch]))
            try:
                ((term, index),) = self._core.propose([body])
            except Overloaded:
                with self._wake:
                    self._proposals.extendleft(reversed(batch))
                return
            self._in_flight.append(_Batch(index, term, batch))

    def _gather(self) -> list[Proposal]:
        batch: list[Proposal] = []
        size = 0
        with self._wake:
            while self._proposals and len(batch) < BATCH_ITEMS_MAX and size < BATCH_BYTES_MAX:
                proposal = self._proposals.popleft()
                size += len(proposal.item.body)
                batch.append(proposal)
        return batch

    def _carry_out(self, ready: Ready) -> None:
        if ready.soft_state is not None:
            self._note_role(ready.soft_state.role, ready.soft_state.leader_id)
        self._send(ready.messages)
        if ready.snapshot is not None:
            self._switch_state(ready)
        elif ready.must_sync:
            self._log_store.append(ready.hard_state, ready.entries)
        self._core.persisted(ready)
        self._send(ready.messages_after_persist)
        if ready.committed:
            self._apply(ready.committed)
        for read in ready.read_states:
            assert isinstance(read.context, int)
            heappush(self._confirmed, (read.index, read.context, self._confirming.pop(read.context)))
        for context in ready.dropped_reads:
            assert isinstance(context, int)
            for callback in self._confirming.pop(context):
                callback(False)
        self._answer_reads()
        self._note_serving()

    def _send(self, messages: list[Message]) -> None:
        if not messages:
            return
        plain = []
        for message in messages:
            if isinstance(message, InstallSnapshot):
                self._peers.send_snapshot(message, self.state)
            else:
                plain.append(message)
        self._peers.send(plain)

    # --- applying --------------------------------------------------------------------------------

    def _apply(self, committed: list[Entry]) -> None:
        for entry in committed:
            if entry.kind is EntryKind.MEMBERSHIP:
                # Before the state says that it is applied: after a crash in between it is simply applied again.
                self._log_store.set_membership(entry.index, decode_membership(entry.data))
        outcomes = self.state.apply(
            [(entry.index, entry.term, entry.data if entry.kind is EntryKind.NORMAL else b"") for entry in committed]
        )
        self._core.applied(committed[-1].index)
        for entry, results in zip(committed, outcomes, strict=True):
            self._settle(entry, results)
        self._call_waiters()
        self._compact()

    def _settle(self, entry: Entry, outcomes: list[Outcome]) -> None:
        """Answer for one applied entry, and give up batches that another leader's entries have displaced."""
        while self._in_flight and self._in_flight[0].index < entry.index:
            _give_up(self._in_flight.popleft().proposals)
        if self._in_flight and self._in_flight[0].index == entry.index:
            batch = self._in_flight.popleft()
            if batch.term != entry.term:
                _give_up(batch.proposals)
            else:
                for proposal, outcome in zip(batch.proposals, outcomes, strict=True):
                    if proposal.on_outcome is not None:
                        proposal.on_outcome(outcome)
        if outcomes and self._core.role is Role.LEADER:
            self._listener.on_outcomes(outcomes)

    def _call_waiters(self) -> None:
        due = []
        with self._wake:
            while self._waiting_for_index and self._waiting_for_index[0][0] <= self.state.applied_index:
                due.append(heappop(self._waiting_for_index)[2])
        for callback in due:
            callback()

    def _answer_reads(self) -> None:
        while self._confirmed and self._confirmed[0][0] <= self.state.applied_index:
            for callback in heappop(self._confirmed)[2]:
                callback(True)

    def _compact(self) -> None:
        """Drop the log's head in steps, once the state that covers it is synced."""
        log = self._log_store
        too_many = log.retained_entries - self._retained_entries
        if log.retained_bytes > self._retained_bytes:
            too_many = max(too_many, log.retained_entries // 2)
        if too_many < max(1, min(1_000, log.retained_entries // 4)):
            return
        index = min(log.first_index() + too_many, self.state.applied_index)
        self.state.sync()
        log.compact(index)

    # --- snapshots -------------------------------------------------------------------------------

    def _offer_snapshot(self, message: InstallSnapshot, state: StateMachine, directory: str) -> None:
        self._incoming = (state, directory)
        self._core.step(message)
        while self._core.has_ready():
            self._carry_out(self._core.ready())
        if self.state is not state:
            _log.info("snapshot_not_needed", index=message.snapshot.index, applied=self.state.applied_index)
            state.close()

    def _switch_state(self, ready: Ready) -> None:
        """Replace log and state by the snapshot that has been loaded and synced: the log's one transaction decides."""
        assert ready.snapshot is not None
        state, directory = self._incoming
        assert state.applied_index == ready.snapshot.index
        self._log_store.reset(ready.snapshot, directory, ready.hard_state)
        if ready.entries:
            self._log_store.append(None, ready.entries)
        if self._retired is not None:
            self._retired.close()
        # Queries of other threads may still be reading the old one: it is closed with the next, or at the end.
        self._retired, self.state = self.state, state
        _log.info("snapshot_installed", index=ready.snapshot.index, term=ready.snapshot.term)

    # --- leadership ------------------------------------------------------------------------------

    def _note_role(self, role: Role, leader_id: int) -> None:
        _log.info("role", node=self.node_id, role=role.value, term=self._core.term, leader=leader_id)
        if role is Role.LEADER:
            # The no-op of this term is the last entry; once it is applied, so is all that came before.
            self._serving_from = self._core.last_index
        else:
            self._lose_leadership()

    def _lose_leadership(self) -> None:
        self._serving_from = 0
        while self._in_flight:
            _give_up(self._in_flight.popleft().proposals)
        with self._wake:
            dropped, self._proposals = self._proposals, deque()
        _give_up(dropped)
        if self._is_serving:
            self._is_serving = False
            self._listener.on_leadership(False)

    def _note_serving(self) -> None:
        if not self._is_serving and 0 < self._serving_from <= self.state.applied_index:
            self._is_serving = True
            self._listener.on_leadership(True)


def _give_up(proposals: Sequence[Proposal]) -> None:
    for proposal in proposals:
        if proposal.on_outcome is not None:
            proposal.on_outcome(None)
