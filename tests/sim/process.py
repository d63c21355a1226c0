"""One running node: the production core, its disk, its state machine, and the owner's loop around them.

It follows the loop of the core's package docstring to the letter, with the disk slow, the apply lagging, and inputs
arriving in between. A crash ends the process; its disk starts the next one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from cairnfs.namenode.raft import (
    Config,
    Core,
    Entry,
    InstallSnapshot,
    Message,
    NotLeader,
    Ready,
    Refused,
    Role,
    SnapshotMeta,
)

from .checks import Violation
from .disk import Disk
from .machine import Machine

if TYPE_CHECKING:
    from .client import Attempt
    from .world import World


class Process:
    """One incarnation of one node."""

    machine_type: ClassVar[type[Machine]] = Machine

    def __init__(self, world: World, node_id: int, disk: Disk) -> None:
        self.world = world
        self.node_id = node_id
        self.disk = disk
        self.is_alive = True
        self.paused_until = 0
        image = disk.visible
        world.checks.replaced(image)
        self.machine = image.checkpoint.copy()
        image.storage.membership = self.machine.membership
        profile = world.profile
        self.core = Core(
            Config(
                node_id,
                election_ticks=10,
                heartbeat_ticks=2,
                max_append_bytes=profile.max_append_bytes,
                max_inflight_appends=profile.max_inflight_appends,
                max_uncommitted_bytes=2000,
                max_apply_bytes=profile.max_apply_bytes,
                log_cache_bytes=profile.log_cache_bytes,
            ),
            image.storage,
            self.machine.applied,
            world.below,
        )
        self.writing: Ready | None = None
        self.queue: deque[Entry] = deque()
        self.is_apply_due = False
        self.received: dict[SnapshotMeta, Machine] = {}
        self.proposed: dict[int, tuple[int, Attempt]] = {}
        self.asked: dict[int, Attempt] = {}
        self.ripe: list[tuple[int, Attempt]] = []
        self.seen_term = self.core.term
        self.seen_commit = 0

    # -- inputs

    def tick(self) -> None:
        self.core.tick()
        self.pump()

    def step(self, message: Message) -> None:
        self.core.step(message)
        self.pump()

    def take_snapshot_message(self, message: InstallSnapshot, machine: Machine) -> None:
        """The transport has received the state of a snapshot."""
        self.received[message.snapshot] = machine
        self.step(message)

    def ask(self, attempt: Attempt) -> None:
        """A client's request arrives."""
        core = self.core
        try:
            if attempt.is_write:
                [(term, index)] = core.propose([attempt.command()])
                self.proposed[index] = (term, attempt)
            else:
                number = self.world.next_number()
                core.read_index(number)
                self.asked[number] = attempt
        except NotLeader as refusal:
            self.world.answer(attempt, None, refusal.leader_id)
        except Refused:
            self.world.answer(attempt, None, self.node_id)
        self.pump()

    # -- the owner's loop

    def pump(self) -> None:
        """Carry out what the core orders, until it waits for the disk or has nothing to say."""
        core = self.core
        while self.writing is None and core.has_ready():
            self.observe()
            ready = core.ready()
            if ready.soft_state is not None:
                self.role_changed(ready.soft_state.role)
            self.send(ready.messages)
            if ready.must_sync:
                self.write(ready)
            else:
                self.finish(ready)

    def write(self, ready: Ready) -> None:
        received = self.received.get(ready.snapshot) if ready.snapshot is not None else None
        self.disk.save(ready, received)
        if ready.snapshot is None:
            self.world.checks.saved(self.disk.visible, ready.entries)
        else:
            self.world.checks.replaced(self.disk.visible)
        self.writing = ready
        self.world.after_disk(self, self.synced)

    def synced(self) -> None:
        """The disk is done with the last Ready."""
        ready = self.writing
        assert ready is not None
        self.disk.sync()
        self.writing = None
        self.finish(ready)
        self.pump()

    def finish(self, ready: Ready) -> None:
        self.core.persisted(ready)
        self.send(ready.messages_after_persist)
        if ready.snapshot is not None:
            self.machine = self.disk.visible.checkpoint.copy()
            self.queue.clear()
            self.received = {meta: kept for meta, kept in self.received.items() if meta.index > ready.snapshot.index}
            self.world.count("snapshots")
        for state in ready.read_states:
            self.ripe.append((state.index, self.asked.pop(state.context)))  # type: ignore[arg-type]
        for context in ready.dropped_reads:
            self.world.answer(self.asked.pop(context), None, 0)  # type: ignore[arg-type]
        self.queue.extend(ready.committed)
        if (self.queue or self.ripe) and not self.is_apply_due:
            self.is_apply_due = True
            self.world.after_apply_lag(self, self.apply)

    def send(self, messages: list[Message]) -> None:
        for message in messages:
            self.world.checks.sent(message)
            if isinstance(message, InstallSnapshot):
                self.world.send_snapshot(self, message)
            else:
                self.world.send(message)

    def apply(self) -> None:
        """Apply what is committed, answer whom it concerns, and sometimes take a checkpoint."""
        self.is_apply_due = False
        machine, queue = self.machine, self.queue
        while queue:
            entry = queue.popleft()
            answer, has_effect = machine.apply(entry)
            self.world.checks.applied(self.node_id, entry, machine, had_effect=has_effect)
            waiting = self.proposed.pop(entry.index, None)
            if waiting is not None:
                term, attempt = waiting
                self.world.answer(attempt, answer if term == entry.term else None, 0)
        self.core.applied(machine.applied)
        if self.ripe:
            for index, attempt in self.ripe:
                if index <= machine.applied:
                    self.world.answer(attempt, machine.versions.get(attempt.key, 0), 0)
            self.ripe = [waiting for waiting in self.ripe if waiting[0] > machine.applied]
        self.checkpoint()
        self.pump()

    def checkpoint(self) -> None:
        """Keep the state and forget the log behind it, now and then; not in the middle of another write."""
        applied, interval = self.machine.applied, self.world.profile.checkpoint_interval
        if self.writing is None and applied - self.disk.visible.checkpoint.applied >= interval:
            first = self.disk.visible.storage.first_index()
            compact_to = max(first - 1, applied - self.world.below(interval))
            self.disk.save_checkpoint(self.machine.copy(), compact_to)

    # -- observing

    def observe(self) -> None:
        core, checks = self.core, self.world.checks
        if core.term < self.seen_term or core.commit_index < self.seen_commit:
            raise Violation(f"node {self.node_id} went back to term {core.term}, commit {core.commit_index}")
        self.seen_term = core.term
        if core.commit_index > self.seen_commit:
            self.seen_commit = core.commit_index
            if self.seen_commit > checks.committed[0]:
                checks.commit_seen(self.seen_commit, core._state.log.term(self.seen_commit))

    def role_changed(self, role: Role) -> None:
        self.world.count(role.value)
        self.world.log(self.node_id, f"{role.value} in term {self.core.term}")
        self.world.checks.became(self.node_id, role, self.core, self.disk.visible)
        if role is Role.LEADER:
            self.world.leads(self)
        else:
            for _, attempt in self.proposed.values():
                self.world.answer(attempt, None, self.core.leader_id)
            self.proposed.clear()
