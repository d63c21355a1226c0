"""The node: where Raft meets disk and network.

Threads hand in messages, proposals and reads. A turn takes whatever waits, lets the core decide, and
carries out its orders: send, persist in one synced write, pass on to be applied. Whoever brings work
takes the turn, unless another thread is at it, which then finds it: one turn at a time, and no thread to
be woken for it (a wake-up costs some 50 µs of every operation). While a batch is on its way to the majority,
further proposals gather into the next one: under load one sync and one round trip serve many operations.

    services ─ propose(), read() ─┐                       ┌─► peers.send()
    peers ──── receive() ─────────┼─► inbox ─► Core ─► Ready ─► LogStore.append()
    clock ──── tick() ────────────┘                       └─► Applier.apply() ─► outcomes ─► listener

It knows nothing of sessions, files and datanodes.
"""

import contextlib
import random
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from cairnfs.common.logs import EventLogger
from cairnfs.namenode.applier import Action, Applier, Committed
from cairnfs.namenode.config import Timing
from cairnfs.namenode.log_store import LogStore
from cairnfs.namenode.proposals import Proposal, Proposals
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
    Refused,
    Role,
    Status,
    decode_membership,
)
from cairnfs.namenode.state.commands import BATCH_VERSION, LogBatch, encode_batch
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.moment import Moment
from cairnfs.namenode.state.sessions import Outcome

ROOM_TIMEOUT_S = 10.0
COMPACTION_STEP = 1_000
INSPECT_TIMEOUT_S = 30.0

_log = EventLogger("namenode")
_Answer = TypeVar("_Answer")


class Peers(Protocol):
    """The way to the other nodes."""

    def send(self, messages: Sequence[Message]) -> None:
        """Send without waiting; what cannot be sent is dropped."""

    def send_snapshot(self, message: InstallSnapshot, moment: Moment) -> None:
        """Stream the state in the background and close it, then call Node.report_snapshot."""


class Listener(Protocol):
    """Whoever serves clients on this node; called on the applier's thread."""

    def on_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """These operations have been applied while this node leads."""

    def on_leadership(self, state: StateMachine, is_serving: bool) -> None:
        """This node began to serve as leader, with this state, or ceased to."""


@dataclass(frozen=True, slots=True)
class _Messages:
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class _Proposals:
    proposals: Sequence[Proposal]


@dataclass(frozen=True, slots=True)
class _Read:
    action: Action
    refuse: Callable[[], None]


_Input = _Messages | _Proposals | _Read | Callable[[], None]


class Node:
    """One member of the group. Public methods may be called from any thread and, but for inspect(), do not wait."""

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
        self._applier = Applier(state, self._fail)
        self._inbox: SimpleQueue[_Input] = SimpleQueue()
        self._proposals = Proposals()
        self._reads: list[_Read] = []
        self._confirming: dict[int, list[_Read]] = {}
        self._read_contexts = 0
        self._incoming: tuple[StateMachine, str] | None = None
        self._reign = 0
        self._is_leader = False
        self._is_serving = False
        self._status = self._core.status()
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._clock = threading.Thread(target=self._keep_time, name="clock", daemon=True)
        self.failure: BaseException | None = None

    def start(self, peers: Peers, listener: Listener, on_failure: Callable[[], None]) -> None:
        """Begin; `on_failure` is called where the node cannot go on, and the process must end."""
        self._peers = peers
        self._listener = listener
        self._on_failure = on_failure
        self._applier.start()
        self._clock.start()

    def stop(self) -> None:
        """Take no more turns, wait for the last, and close log and state."""
        self._stopping.set()
        self._clock.join()
        with self._turn:
            self._applier.stop()
        self._log_store.close()

    # --- for other threads -----------------------------------------------------------------------

    @property
    def is_serving(self) -> bool:
        """Whether this node leads and has applied everything that earlier leaders committed."""
        return self._is_serving

    @property
    def status(self) -> Status:
        """Raft's view, as of the last tick or change of roles."""
        return self._status

    @property
    def applied_index(self) -> int:
        """The last entry applied."""
        return self._applier.applied_index

    @property
    def log_range(self) -> tuple[int, int]:
        """First and last index of the log."""
        return self._log_store.first_index(), self._log_store.last_index()

    def receive(self, messages: Sequence[Message]) -> None:
        """Messages from another node have arrived."""
        self._bring(_Messages(messages))

    def propose(self, proposals: Sequence[Proposal]) -> None:
        """Bring operations into the log, in this order; what a node that does not lead is given is dropped."""
        self._bring(_Proposals(proposals))

    def read(self, action: Action, *, index: int = 0) -> None:
        """Run an action on the state, on the applier's thread, once `index` is applied."""
        self._applier.act(action, index=index)

    def read_linearizable(self, action: Action, on_refusal: Callable[[], None]) -> None:
        """Run an action once the state has all that was committed before this call; refuse where none can tell."""
        self._bring(_Read(action, on_refusal))

    def inspect(self, question: Callable[[StateMachine], _Answer]) -> _Answer:
        """The answer to a question about the state; TimeoutError where the applier does not come to it."""
        answer: Future[_Answer] = Future()

        def action(state: StateMachine) -> None:
            try:
                answer.set_result(question(state))
            except Exception as error:  # noqa: BLE001  whoever asked is to hear of it, not the applier
                answer.set_exception(error)

        self._applier.act(action)
        return answer.result(INSPECT_TIMEOUT_S)

    def report_unreachable(self, node_id: int) -> None:
        """Messages to this node have been lost."""
        self._bring(lambda: self._core.report_unreachable(node_id))

    def report_snapshot(self, node_id: int, is_ok: bool) -> None:
        """The snapshot that the core asked for has arrived there, or has not."""
        self._bring(lambda: self._core.report_snapshot(node_id, is_ok))

    def install_snapshot(self, message: InstallSnapshot, state: StateMachine, directory: str) -> None:
        """A snapshot has been loaded into `state`, in a folder of that name: use it if the core agrees."""
        self._bring(lambda: self._offer_snapshot(message, state, directory))

    def transfer_leadership(self, to: int, callback: Callable[[str], None]) -> None:
        """Ask to hand leadership to another node; the callback gets the reason where that is refused."""

        def run() -> None:
            try:
                self._core.transfer_leadership(to)
            except Refused as refusal:
                callback(str(refusal))
            else:
                callback("")

        self._bring(run)

    def wait_for_room(self) -> None:
        """Wait while very many proposals wait for the log; for those who can let their own clients wait."""
        self._proposals.wait_for_room(ROOM_TIMEOUT_S)

    # --- turns -----------------------------------------------------------------------------------

    def _bring(self, given: _Input) -> None:
        """Put work into the inbox, and do it unless another thread is at it.

        That one looks again after its turn, so nothing is left lying:
        1. this thread puts, and finds the turn taken;
        2. the other one, which had found the inbox empty, ends its turn;
        3. and looks into the inbox once more before it leaves.
        """
        self._inbox.put(given)
        while not self._inbox.empty() and not self._stopping.is_set() and self._turn.acquire(blocking=False):
            try:
                self._take_turn()
            finally:
                self._turn.release()

    def _keep_time(self) -> None:
        next_tick_s = time.monotonic() + self._tick_s
        while not self._stopping.wait(max(0.0, next_tick_s - time.monotonic())):
            # A process that was stopped does not make up for the ticks it missed.
            next_tick_s = max(next_tick_s + self._tick_s, time.monotonic())
            self._bring(self._tick)

    def _tick(self) -> None:
        self._core.tick()
        self._compact()
        self._status = self._core.status()

    def _take_turn(self) -> None:
        try:
            self._take_inputs()
            while self._core.has_ready():
                self._carry_out(self._core.ready())
                self._propose_waiting()
        except BaseException as error:  # noqa: BLE001  whatever it is: a node that may break its promises must stop
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._stopping.set()
        self.failure = error
        trace = "".join(traceback.format_exception(error))
        _log.error("node_failed", node=self.node_id, error=f"{type(error).__name__}: {error}", traceback=trace)
        self._on_failure()

    def _take_inputs(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._take(self._inbox.get_nowait())
        if self._reads:
            self._confirm_reads()
        applied = self._applier.applied_index
        if self._core.applied_index < applied:
            self._core.applied(applied)
        self._propose_waiting()

    def _take(self, given: _Input) -> None:
        if isinstance(given, _Messages):
            for message in given.messages:
                self._core.step(message)
        elif isinstance(given, _Proposals):
            self._proposals.add(given.proposals)
        elif isinstance(given, _Read):
            self._reads.append(given)
        else:
            given()

    def _confirm_reads(self) -> None:
        """Have the core confirm the leadership once for all reads that wait."""
        reads, self._reads = self._reads, []
        self._read_contexts += 1
        try:
            self._core.read_index(self._read_contexts)
        except NotLeader:
            for read in reads:
                read.refuse()
        else:
            self._confirming[self._read_contexts] = reads

    def _propose_waiting(self) -> None:
        if not self._proposals.is_any_waiting:
            return
        if self._core.role is not Role.LEADER:
            self._proposals.give_up_waiting()
            return
        while self._proposals.is_any_due:
            batch = self._proposals.take_batch()
            body = encode_batch(LogBatch(BATCH_VERSION, time.time_ns(), [proposal.item for proposal in batch]))
            try:
                ((term, index),) = self._core.propose([body])
            except Overloaded:
                self._proposals.put_back(batch)
                return
            self._proposals.note_in_flight(index, term, batch)

    def _carry_out(self, ready: Ready) -> None:
        if ready.soft_state is not None:
            self._note_role(ready.soft_state.role, ready.soft_state.leader_id)
        is_synced = not ready.entries or (ready.committed and ready.committed[-1].index < ready.entries[0].index)
        if self._is_leader and ready.committed and is_synced and ready.snapshot is None:
            # Clients wait for what is committed, and need not wait for the next entries' way to the disk. On a
            # follower it is the leader who waits, and for the disk.
            self._pass_on(ready.committed)
            ready.committed = []
        self._send(ready.messages)
        if ready.snapshot is not None:
            self._switch_state(ready)
        elif ready.must_sync:
            self._log_store.append(ready.hard_state, ready.entries)
        self._core.persisted(ready)
        self._send(ready.messages_after_persist)
        if ready.committed:
            self._pass_on(ready.committed)
        for read in ready.read_states:
            assert isinstance(read.context, int)
            for waiting in self._confirming.pop(read.context):
                self._applier.act(waiting.action, index=read.index)
        for context in ready.dropped_reads:
            assert isinstance(context, int)
            for waiting in self._confirming.pop(context):
                waiting.refuse()

    def _send(self, messages: list[Message]) -> None:
        if not messages:
            return
        plain = []
        for message in messages:
            if isinstance(message, InstallSnapshot):
                self._applier.act(partial(self._send_snapshot, message))
            else:
                plain.append(message)
        self._peers.send(plain)

    def _send_snapshot(self, message: InstallSnapshot, state: StateMachine) -> None:
        self._peers.send_snapshot(message, state.moment())

    # --- what is committed -----------------------------------------------------------------------

    def _pass_on(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.kind is EntryKind.MEMBERSHIP:
                # Before the state says that it is applied: after a crash in between it is simply applied again.
                self._log_store.set_membership(entry.index, decode_membership(entry.data))
        self._applier.apply([Committed(entry, self._settlement(entry)) for entry in entries])

    def _settlement(self, entry: Entry) -> Callable[[list[Outcome]], None]:
        """Who hears of an entry's outcomes."""
        proposals = self._proposals.settle(entry)
        if not proposals:
            return self._publish

        def settle(outcomes: list[Outcome]) -> None:
            for proposal, outcome in zip(proposals, outcomes, strict=True):
                if proposal.on_outcome is not None:
                    proposal.on_outcome(outcome)
            self._publish(outcomes)

        return settle

    def _publish(self, outcomes: list[Outcome]) -> None:
        if outcomes and self._is_leader:
            self._listener.on_outcomes(outcomes)

    def _compact(self) -> None:
        """Drop the log's head in steps, as far as a synced state covers it."""
        log = self._log_store
        too_many = log.retained_entries - self._retained_entries
        if log.retained_bytes > self._retained_bytes:
            too_many = max(too_many, log.retained_entries // 2)
        if too_many < min(COMPACTION_STEP, self._retained_entries // 4):
            return
        index = log.first_index() + too_many
        if self._applier.synced_index < index:
            self._applier.sync()
        log.compact(min(index, self._applier.synced_index))

    # --- snapshots -------------------------------------------------------------------------------

    def _offer_snapshot(self, message: InstallSnapshot, state: StateMachine, directory: str) -> None:
        self._incoming = (state, directory)
        self._core.step(message)
        while self._core.has_ready():
            self._carry_out(self._core.ready())
        if self._incoming is not None:
            self._incoming = None
            _log.info("snapshot_not_needed", index=message.snapshot.index, applied=self.applied_index)
            state.close()

    def _switch_state(self, ready: Ready) -> None:
        """Replace log and state by the snapshot that has been loaded and synced: the log's one transaction decides."""
        assert ready.snapshot is not None
        assert self._incoming is not None
        state, directory = self._incoming
        self._incoming = None
        assert state.applied_index == ready.snapshot.index
        self._log_store.reset(ready.snapshot, directory, ready.hard_state)
        if ready.entries:
            self._log_store.append(None, ready.entries)
        self._applier.replace(state)
        _log.info("snapshot_installed", index=ready.snapshot.index, term=ready.snapshot.term)

    # --- leadership ------------------------------------------------------------------------------

    def _note_role(self, role: Role, leader_id: int) -> None:
        _log.info("role", node=self.node_id, role=role.value, term=self._core.term, leader=leader_id)
        self._reign += 1
        self._status = self._core.status()
        if role is Role.LEADER:
            self._is_leader = True
            # The no-op of this term is the last entry; once it is applied, so is all that came before.
            self._applier.act(partial(self._begin_serving, self._reign), index=self._core.last_index)
        elif self._is_leader:
            self._is_leader = self._is_serving = False
            self._proposals.give_up_all()
            self._applier.act(self._cease_serving)

    def _begin_serving(self, reign: int, state: StateMachine) -> None:
        if reign == self._reign:
            self._listener.on_leadership(state, True)
            self._is_serving = True

    def _cease_serving(self, state: StateMachine) -> None:
        self._is_serving = False
        self._listener.on_leadership(state, False)
