"""A whole cluster in one thread and virtual time, driven by one seed: a run is a pure function of its seed.

Time counts in units; a tick of a node is about 10 of them, a message takes 1-10 or, out of order, up to 80. A run:

1. chaos: losses, duplicates, delays, partitions (both ways or one), crashes, pauses, slow disks, clocks that drift,
   transfers, and in some seeds membership changes, while clients read and write;
2. healing: faults end, disks are quick, everybody restarts, and clients go on until enough is committed;
3. rest: without one new proposal a leader must commit what there is and answer a read; then a last write must be
   applied by every member. The final checks follow.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar

from cairnfs.namenode.raft import (
    ChangeKind,
    InstallSnapshot,
    Membership,
    MembershipChange,
    Message,
    Refused,
    Role,
)

from .checks import Checks, Violation
from .client import Attempt, Client
from .disk import Disk
from .machine import Machine
from .process import Process

TICK = 10


class Temper(Enum):
    """Which kind of trouble a run looks for."""

    ANYTHING = "all faults"
    UNSETTLED_TERMS = "leaders are hit before they have committed their first entry (Raft figure 8)"
    DEPOSED_LEADERS = "leaders are cut off or sleep, and do not know that they are replaced"


@dataclass(frozen=True)
class Profile:
    """What kind of run this is."""

    temper: Temper
    voters: int
    spares: int
    loss: float
    duplication: float
    disorder: float
    fault_interval: int
    chaos: int
    tick_lengths: tuple[int, ...]
    """Between which the nodes' clocks differ."""
    max_append_bytes: int
    max_inflight_appends: int
    max_apply_bytes: int
    log_cache_bytes: int
    checkpoint_interval: int
    apply_lag: int
    disk_delay: int
    harassment: float
    """How likely a fresh leader is hit at once."""

    @staticmethod
    def drawn(rng: random.Random) -> Profile:
        voters = rng.choice((1, 3, 3, 3, 3, 5, 5))
        profile = Profile(
            temper=Temper.ANYTHING,
            voters=voters,
            spares=rng.choice((0, 1, 2)),
            loss=rng.choice((0.0, 0.02, 0.1)),
            duplication=rng.choice((0.0, 0.02, 0.1)),
            disorder=rng.choice((0.0, 0.05, 0.2)),
            fault_interval=rng.choice((40, 120, 300)),
            chaos=rng.choice((4000, 5000)),
            tick_lengths=rng.choice(((9, 10, 11), (6, 10, 25))),
            max_append_bytes=rng.choice((1, 1, 1000)),
            max_inflight_appends=rng.choice((1, 3, 16)),
            max_apply_bytes=rng.choice((1, 200, 10_000)),
            log_cache_bytes=rng.choice((1, 300, 10_000)),
            checkpoint_interval=rng.choice((2, 5, 20)),
            apply_lag=rng.choice((0, 0, 10, 60)),
            disk_delay=rng.choice((1, 5, 30)),
            harassment=rng.choice((0.0, 0.0, 0.5)),
        )
        match rng.choice((*Temper, Temper.ANYTHING)):
            case Temper.UNSETTLED_TERMS:
                return replace(
                    profile,
                    temper=Temper.UNSETTLED_TERMS,
                    voters=3,
                    spares=0,
                    max_append_bytes=1,
                    max_inflight_appends=1,
                    harassment=1.0,
                    disk_delay=1,
                )
            case Temper.DEPOSED_LEADERS:
                return replace(
                    profile,
                    temper=Temper.DEPOSED_LEADERS,
                    voters=max(profile.voters, 3),
                    tick_lengths=(6, 10, 25),
                    fault_interval=200,
                    harassment=0.0,
                    apply_lag=0,
                )
        return profile


class World:
    """The run of one seed."""

    CLIENTS = 6
    ENOUGH = 110

    def __init__(
        self,
        seed: int,
        *,
        process_type: type[Process] = Process,
        disk_type: type[Disk] = Disk,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.seed = seed
        self._random = random.Random(seed)
        self._chance = self._random.random
        self.profile = Profile.drawn(self._random)
        self.trace = trace
        self.now = 0
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self.counts: Counter[str] = Counter()
        members = tuple(range(1, self.profile.voters + 1))
        everyone = range(1, self.profile.voters + self.profile.spares + 1)
        founders = Membership.of(members)
        self.checks = Checks(founders)
        self._process_type = process_type
        self.disks = {n: disk_type(founders if n in members else Membership()) for n in everyone}
        self.processes: dict[int, Process | None] = dict.fromkeys(everyone)
        self.blocked: set[tuple[int, int]] = set()
        self.loss, self.duplication, self.disorder = (
            self.profile.loss,
            self.profile.duplication,
            self.profile.disorder,
        )
        self.apply_lag = self.profile.apply_lag
        self.is_healed = False
        self.wants_requests = True
        self.tick_length = self._tick_lengths()
        self.disk_delay = {n: self.profile.disk_delay * (1 + 3 * (self.below(4) == 0)) for n in everyone}
        self.clients = [Client(self, session) for session in range(1, self.CLIENTS + 1)]

    # -- time and chance

    def below(self, n: int) -> int:
        return int(self._chance() * n)

    def _tick_lengths(self) -> dict[int, int]:
        return {n: self._random.choice(self.profile.tick_lengths) for n in self.processes}

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def later(self, delay: int, action: Callable[..., None], *args: Any) -> None:
        self._number += 1
        heapq.heappush(self._events, (self.now + delay, self._number, action, args))

    def run_until(self, time: int) -> None:
        events = self._events
        while events and events[0][0] <= time:
            self.now, _, action, args = heapq.heappop(events)
            action(*args)
        self.now = time

    def log(self, node_id: int, text: str) -> None:
        if self.trace is not None:
            self.trace(f"{self.now:6} {node_id or '-':>2}  {text}")

    def count(self, what: str) -> None:
        self.counts[what] += 1

    # -- network

    def _delay(self) -> int:
        chance = self._chance()
        if chance < self.disorder:
            return 1 + self.below(80)
        return 1 + int(chance * 10)

    def send(self, message: Message) -> None:
        if self._chance() < self.loss:
            return
        self.later(self._delay(), self._deliver, message)
        if self.duplication and self._chance() < self.duplication:
            self.later(self._delay(), self._deliver, message)

    def _deliver(self, message: Message) -> None:
        process = self.processes.get(message.to)
        if process is None or (message.from_, message.to) in self.blocked:
            return
        if process.paused_until > self.now:
            self.later(process.paused_until - self.now, self._deliver, message)
            return
        if self.trace is not None:
            self.log(message.to, f"<- {describe(message)}")
        process.step(message)

    def send_snapshot(self, sender: Process, message: InstallSnapshot) -> None:
        """Stream a snapshot: slower than a message, and the sender hears how it went."""
        machine = sender.disk.visible.checkpoint
        assert machine.meta() == message.snapshot
        is_lost = self._chance() < self.loss * 3
        self.later(10 + self.below(60), self._end_snapshot, sender, message, machine, is_lost)

    def _end_snapshot(self, sender: Process, message: InstallSnapshot, machine: Machine, is_lost: bool) -> None:
        receiver = self.processes.get(message.to)
        is_ok = not is_lost and receiver is not None and (message.from_, message.to) not in self.blocked
        self.log(
            message.to, f"<- snapshot {message.snapshot.index} of node {message.from_}: {'ok' if is_ok else 'lost'}"
        )
        if is_ok and receiver is not None:
            receiver.take_snapshot_message(message, machine)
        if sender.is_alive:
            sender.core.report_snapshot(message.to, is_ok)
            sender.pump()

    # -- nodes

    def start_node(self, node_id: int) -> None:
        if self.processes[node_id] is None:
            process = self._process_type(self, node_id, self.disks[node_id])
            self.processes[node_id] = process
            self.log(node_id, f"starts: term {process.core.term}, log to {process.core.last_index}")
            self.later(self.below(TICK), self._tick, process)

    def crash_node(self, node_id: int) -> None:
        process = self.processes[node_id]
        if process is not None:
            process.is_alive = False
            self.processes[node_id] = None
            self.disks[node_id].crash(self.below)
            self.count("crashes")
            self.log(node_id, "crashes")

    def _tick(self, process: Process) -> None:
        if process.is_alive:
            self.later(self.tick_length[process.node_id], self._tick, process)
            if process.paused_until <= self.now:
                process.tick()

    def _continue(self, process: Process, action: Callable[[], None]) -> None:
        if process.is_alive:
            if process.paused_until > self.now:
                self.later(process.paused_until - self.now, self._continue, process, action)
            else:
                action()

    def after_disk(self, process: Process, action: Callable[[], None]) -> None:
        self.later(1 + self.below(self.disk_delay[process.node_id]), self._continue, process, action)

    def after_apply_lag(self, process: Process, action: Callable[[], None]) -> None:
        self.later(self.below(self.apply_lag + 1), self._continue, process, action)

    def leader(self) -> Process | None:
        """The leader of the highest term."""
        leaders = [p for p in self.processes.values() if p is not None and p.core.role is Role.LEADER]
        return max(leaders, key=lambda p: p.core.term, default=None)

    def any_node(self) -> int:
        return 1 + self.below(len(self.processes))

    # -- clients

    def ask(self, target: int, attempt: Attempt) -> None:
        if self._chance() >= self.loss:
            self.later(self._delay(), self._ask, target, attempt)

    def _ask(self, target: int, attempt: Attempt) -> None:
        process = self.processes.get(target)
        if process is not None:
            if process.paused_until > self.now:
                self.later(process.paused_until - self.now, self._ask, target, attempt)
            else:
                process.ask(attempt)

    def answer(self, attempt: Attempt, version: int | None, hint: int) -> None:
        if self._chance() >= self.loss:
            self.later(self._delay(), attempt.client.answered, attempt, version, hint)

    # -- faults

    def leads(self, process: Process) -> None:
        """A node became leader: a good moment to hit it."""
        if not self.is_healed and self._chance() < self.profile.harassment:
            self.later(self.below(8 if self.below(2) else 40), self._harass, process)

    def _harass(self, process: Process) -> None:
        if process.is_alive and not self.is_healed:
            blow = self.below(5)
            if blow == 0:
                self._crash_and_restart(process.node_id)
            elif blow == 1:
                self._pause_node(process)
            else:
                self._isolate(process)

    def _fault(self) -> None:
        if self.is_healed:
            return
        self.later(1 + self.below(2 * self.profile.fault_interval), self._fault)
        faults = self._FAULTS[self.profile.temper]
        faults[self.below(len(faults))](self)

    def _crash_one(self) -> None:
        self._crash_and_restart(self.any_node())

    def _crash_leader(self) -> None:
        leader = self.leader()
        if leader is not None:
            self._crash_and_restart(leader.node_id)

    def _crash_all(self) -> None:
        for node_id in self.processes:
            self._crash_and_restart(node_id)

    def _crash_and_restart(self, node_id: int) -> None:
        self.crash_node(node_id)
        self.later(1 + self.below(300), self.start_node, node_id)

    def _pause(self) -> None:
        leader = self.leader()
        process = leader if self.below(2) else self.processes[self.any_node()]
        if process is not None:
            self._pause_node(process)

    def _pause_node(self, process: Process) -> None:
        process.paused_until = self.now + self.below(300)
        self.count("pauses")
        self.log(process.node_id, f"is paused until {process.paused_until}")

    def _partition(self) -> None:
        side = {n for n in self.processes if self.below(2)}
        both_ways = self.below(3) > 0
        self._block({(a, b) for a in side for b in self.processes if b not in side}, both_ways=both_ways)

    def _isolate_leader(self) -> None:
        leader = self.leader()
        if leader is not None:
            self._isolate(leader)

    def _isolate(self, process: Process) -> None:
        friends = {process.node_id}
        if self.profile.voters > 3 and self.below(2):
            friends.add(self.any_node())
        self._block({(a, b) for a in friends for b in self.processes if b not in friends}, both_ways=True)
        if self.below(2):
            self.tick_length[process.node_id] = 4 * TICK

    def _block(self, links: set[tuple[int, int]], *, both_ways: bool) -> None:
        if both_ways:
            links |= {(b, a) for a, b in links}
        elif self.below(2):
            links = {(b, a) for a, b in links}
        self.blocked = links
        self.count("partitions")
        self.log(0, f"blocked: {sorted(links)}")
        self.later(50 + self.below(600), self._unblock, links)

    def _unblock(self, links: set[tuple[int, int]]) -> None:
        if self.blocked is links:
            self.blocked = set()
            self.tick_length = self._tick_lengths()
            self.log(0, "network heals")

    def _transfer(self) -> None:
        leader = self.leader()
        if leader is not None:
            to = self.any_node()
            try:
                leader.core.transfer_leadership(to)
                self.log(leader.node_id, f"hands over to {to}")
                self.count("transfers")
            except Refused:
                pass
            leader.pump()

    def _change_membership(self) -> None:
        leader = self.leader()
        if leader is None or not self.profile.spares:
            return
        node_id = self.any_node()
        membership = leader.core.membership
        if node_id in membership.voters:
            kind = (ChangeKind.REMOVE, ChangeKind.DEMOTE)[self.below(2)]
        elif node_id in membership.learners:
            kind = (ChangeKind.PROMOTE, ChangeKind.PROMOTE, ChangeKind.REMOVE)[self.below(3)]
        else:
            kind = ChangeKind.ADD_LEARNER
        try:
            leader.core.propose_membership(MembershipChange(kind, node_id))
            self.log(leader.node_id, f"proposes {kind.value} {node_id}")
            self.count("changes")
        except Refused:
            pass
        leader.pump()

    def _campaign(self) -> None:
        process = self.processes[self.any_node()]
        if process is not None and process.paused_until <= self.now:
            process.core.campaign()
            process.pump()

    def _unreachable(self) -> None:
        leader = self.leader()
        if leader is not None:
            leader.core.report_unreachable(self.any_node())
            leader.pump()

    _FAULTS: ClassVar[dict[Temper, list[Callable[[World], None]]]] = {
        Temper.ANYTHING: [
            *[_crash_one] * 2,
            *[_crash_leader] * 2,
            _crash_all,
            _pause,
            *[_partition] * 2,
            *[_isolate_leader] * 2,
            *[_transfer] * 2,
            *[_change_membership] * 4,
            _campaign,
            _unreachable,
        ],
        Temper.UNSETTLED_TERMS: [_crash_leader, _crash_one, _transfer, _campaign],
        Temper.DEPOSED_LEADERS: [*[_isolate_leader] * 4, _pause, _crash_one, _change_membership],
    }

    # -- the run

    def run(self) -> Counter[str]:
        """Run the seed to its end; raises Violation, or whatever the core raises."""
        for node_id in self.processes:
            self.start_node(node_id)
        for client in self.clients:
            self.later(self.below(20), client.start)
        self.later(self.profile.fault_interval, self._fault)
        self.run_until(self.profile.chaos)
        self._heal()
        self._wait(300, "the cluster commits again", lambda: len(self.checks.history) >= self.ENOUGH)
        self.wants_requests = False
        self._rest()
        self.counts["entries"] = len(self.checks.history)
        return self.counts

    def _heal(self) -> None:
        self.log(0, "all faults end")
        self.is_healed = True
        self.loss = self.duplication = self.disorder = 0.0
        self.apply_lag = 5
        self.disk_delay = dict.fromkeys(self.disk_delay, 5)
        self.tick_length = {n: TICK - 1 + n % 3 for n in self.tick_length}
        self.blocked = set()
        for node_id, process in self.processes.items():
            if process is not None:
                process.paused_until = 0
            self.start_node(node_id)

    def _rest(self) -> None:
        # One entry an append and one append at a time: who was far behind needs a while.
        self._wait(1000, "members agree", self._is_at_rest)
        leader = self._leader_id()
        self.crash_node(leader)
        self.start_node(leader)
        self._wait(200, "members agree on a new leader without a new proposal", self._is_at_rest)
        probe = Client(self, 99)
        probe.target = self._leader_id()
        for is_write in (False, True):
            probe.ask(0, is_write=is_write)
            self._wait(60, "a last request is answered", lambda: probe.current is None)
        self._wait(60, "the last write is applied everywhere", self._is_at_rest)
        members = self._members()
        self.checks.final(
            {process.node_id: process.machine for process in members},
            {process.node_id: process.disk.visible for process in members},
        )

    def _wait(self, ticks: int, what: str, is_done: Callable[[], bool]) -> None:
        """Liveness: it happens within so many ticks."""
        end = self.now + ticks * TICK
        while not is_done():
            if self.now >= end:
                raise Violation(f"not within {ticks} ticks: {what}")
            self.run_until(self.now + 2 * TICK)

    def _members(self) -> list[Process]:
        newest = max((p.machine for p in self.processes.values() if p), key=lambda machine: machine.applied)
        return [p for n in sorted(newest.membership.nodes()) if (p := self.processes[n]) is not None]

    def _leader_id(self) -> int:
        leader = self.leader()
        return leader.node_id if leader is not None else 0

    def _is_at_rest(self) -> bool:
        leader = self.leader()
        if leader is None or leader.core.commit_index < leader.core.last_index:
            return False
        return all(
            p.machine.applied == leader.core.last_index and p.core.leader_id == leader.node_id for p in self._members()
        )


def describe(message: Message) -> str:
    """A message in a few words."""
    name = type(message).__name__
    parts = [f"{name} {message.from_}->{message.to} term={message.term}"]
    for field in message.__slots__[3:]:
        value = getattr(message, field)
        if field == "entries":
            value = " ".join(f"{e.index}/{e.term}" for e in value) or "-"
        parts.append(f"{field}={value}")
    return " ".join(parts)
