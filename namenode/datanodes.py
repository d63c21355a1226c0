"""What this namenode knows of the datanodes' health: soft state, built from their heartbeats.

Every namenode gets every heartbeat, so a new leader knows at once who is alive.
"""

import random
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cairnfs.common.blocks import BLOCK_BYTES_MAX
from cairnfs.common.errors import NoSpace, NotEnoughDatanodes, Refused
from cairnfs.common.operations import FileSystemStatus
from cairnfs.namenode.block_reports import Unsettled
from cairnfs.namenode.placement import Candidate, place_block
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.schema import ClusterSettings

DRAWN = random.SystemRandom()


@dataclass(slots=True)
class Health:
    """The last heartbeat of one datanode: bytes of its working volumes, and what it serves."""

    uuid: str
    address: str
    capacity_bytes: int
    free_bytes: int
    blocks: int
    transfers: int
    heard_at_s: float
    report_due: bool = True
    asked: Unsettled | None = None  # since when a report is awaited: what it cannot know
    ordered: dict[int, float] = field(default_factory=dict)


class DatanodeTable:
    """Thread-safe. `settings` is the cluster's, known once this namenode has served."""

    def __init__(self, timeout_s: float) -> None:
        self.settings: ClusterSettings | None = None
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._nodes: dict[int, Health] = {}

    def hear(self, node: int, health: Health) -> None:
        """A heartbeat has arrived."""
        with self._lock:
            known = self._nodes.get(node)
            if known is not None:
                health.report_due = known.report_due
                health.asked = known.asked
                health.ordered = known.ordered
            self._nodes[node] = health

    def begin_reign(self) -> None:
        """This namenode leads now: every datanode owes it a full report."""
        with self._lock:
            for health in self._nodes.values():
                health.report_due = True
                health.asked = None
                health.ordered.clear()

    def is_report_due(self, node: int) -> bool:
        """Whether the datanode owes a full report."""
        with self._lock:
            return self._nodes[node].report_due

    def want_report(self, node: int) -> None:
        """The datanode owes a full report from now on."""
        with self._lock:
            if node in self._nodes:
                self._nodes[node].report_due = True

    def note_asked(self, node: int, unsettled: Unsettled) -> None:
        """The datanode is asked for its report; of several times the first counts, for it may answer that one."""
        with self._lock:
            health = self._nodes[node]
            health.asked = health.asked or unsettled

    def asked(self, node: int) -> Unsettled | None:
        """What a report of this datanode cannot know; None where none was asked for."""
        with self._lock:
            return self._nodes[node].asked if node in self._nodes else None

    def note_report(self, node: int) -> None:
        """A full report has been taken in."""
        with self._lock:
            if node in self._nodes:
                self._nodes[node].report_due = False
                self._nodes[node].asked = None

    def select_orders(
        self, node: int, deletions: Sequence[tuple[int, int]], *, repeat_after_s: float
    ) -> list[tuple[int, int]]:
        """The (block, generation) pairs not ordered from this node within the last `repeat_after_s`."""
        now_s = time.monotonic()
        with self._lock:
            ordered = self._nodes[node].ordered
            for block in [block for block, at_s in ordered.items() if now_s - at_s > repeat_after_s]:
                del ordered[block]
            due = [(block, generation) for block, generation in deletions if block not in ordered]
            ordered.update((block, now_s) for block, _ in due)
        return due

    def snapshot(self) -> dict[int, Health]:
        """All that have been heard of, by node id."""
        with self._lock:
            return dict(self._nodes)

    def is_alive(self, health: Health) -> bool:
        """Whether the last heartbeat is recent."""
        return time.monotonic() - health.heard_at_s < self._timeout_s

    def place(self, excluded: Collection[int]) -> tuple[int, ...]:
        """Datanodes for a new block; Refused (EHOSTDOWN, ENOSPC) where too few will do."""
        settings = self.settings
        if settings is None:
            raise Refused(NotEnoughDatanodes.code, "the cluster is still being set up: try again")
        alive = [
            Candidate(node, health.free_bytes, health.transfers)
            for node, health in self.snapshot().items()
            if self.is_alive(health)
        ]
        placement = place_block(
            alive,
            replication=settings.replication,
            min_replicas=settings.min_replicas,
            excluded=excluded,
            rng=DRAWN.randrange,
        )
        if placement.nodes:
            return placement.nodes
        if placement.is_short_of_space:
            raise Refused(NoSpace.code, f"fewer than {settings.min_replicas} datanodes have room for another block")
        usable = sum(candidate.node not in excluded for candidate in alive)
        raise Refused(
            NotEnoughDatanodes.code,
            f"{usable} datanodes are alive and usable, {settings.min_replicas} are needed: start datanodes",
        )

    def file_system_status(self, state: StateMachine) -> FileSystemStatus:
        """What statvfs tells: raw bytes of the live datanodes, divided by the copies that are made."""
        settings = state.cluster()
        assert settings is not None
        alive = [health for health in self.snapshot().values() if self.is_alive(health)]
        copies = max(1, min(settings.replication, len(alive)))
        return FileSystemStatus(
            capacity=sum(health.capacity_bytes for health in alive) // copies,
            free=sum(health.free_bytes for health in alive) // copies,
            inodes=state.statistics().inodes,
            block_size=BLOCK_BYTES_MAX,
            min_replicas=settings.min_replicas,
            replication=settings.replication,
            inline_max=settings.inline_max,
        )
