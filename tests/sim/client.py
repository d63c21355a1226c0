"""Clients that read and write, one request at a time, and retry with the same (session, sequence) until answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .world import World


@dataclass(slots=True, eq=False)
class Attempt:
    """One sending of one request; `floor` is the newest version known to anybody when it (a read), or the request's
    first attempt (a write), was sent."""

    client: Client
    number: int
    sequence: int
    key: int
    is_write: bool
    floor: int

    def command(self) -> bytes:
        return b"%d %d %d" % (self.client.session, self.sequence, self.key)


class Client:
    """One session."""

    TIMEOUTS = (50, 150, 400)
    KEYS = 3

    def __init__(self, world: World, session: int) -> None:
        self.world = world
        self.session = session
        self.sequence = 0
        self.target = 0
        self.attempts = 0
        self.current: Attempt | None = None

    def start(self) -> None:
        """Send the next request, if the run wants any."""
        world = self.world
        if not world.wants_requests:
            self.current = None
            world.later(50, self.start)
            return
        key = world.below(self.KEYS)
        self.ask(key, is_write=world.below(10) < 6)

    def ask(self, key: int, *, is_write: bool) -> None:
        """A new request."""
        if is_write:
            self.sequence += 1
        self._attempt(key, is_write, self.world.checks.floors.get(key, 0))

    def _attempt(self, key: int, is_write: bool, floor: int) -> None:
        world = self.world
        self.attempts += 1
        self.current = attempt = Attempt(self, self.attempts, self.sequence, key, is_write, floor)
        if not self.target or world.below(4) == 0:
            self.target = world.any_node()
        world.ask(self.target, attempt)
        world.later(self.TIMEOUTS[world.below(3)], self.expire, attempt)

    def retry(self, attempt: Attempt, target: int) -> None:
        """Ask again, here or there."""
        if self.current is attempt:
            self.target = target
            floor = attempt.floor if attempt.is_write else self.world.checks.floors.get(attempt.key, 0)
            self._attempt(attempt.key, attempt.is_write, floor)

    def expire(self, attempt: Attempt) -> None:
        """No answer came."""
        self.retry(attempt, 0)

    def answered(self, attempt: Attempt, version: int | None, hint: int) -> None:
        """An answer came, perhaps to an attempt that was given up: for a write it is as good as any."""
        current = self.current
        if current is None or current.sequence != attempt.sequence or current.is_write != attempt.is_write:
            return
        if not attempt.is_write and current is not attempt:
            return
        if version is None:
            if current is attempt:
                self.world.later(5 + self.world.below(20), self.retry, attempt, hint)
            return
        checks = self.world.checks
        checks.answered(attempt.key, version, attempt.floor, is_write=attempt.is_write)
        if attempt.is_write:
            checks.acknowledge(self.session, attempt.sequence, version)
        self.world.count("writes" if attempt.is_write else "reads")
        self.current = None
        self.world.later(self.world.below(10), self.start)
