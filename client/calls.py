"""The seam between the client library and the namenode: what a session offers, without saying how.

The library sees the namenode through `Namenode` only, so that this module, and all that imports it,
loads without gRPC; `session.py` is the real one, and tests hand in others.
"""

import enum
from typing import Protocol

from cairnfs.common.operations import Credentials, Operation


class Level(enum.IntEnum):
    """How fresh the answer of a query is (protos/session.proto)."""

    SESSION = 0
    LINEARIZABLE = 1
    BOUNDED = 2
    EVENTUAL = 3


class Answer(Protocol):
    """An operation on its way."""

    def result(self) -> bytes:
        """Wait for the encoded answer; Refused where the namenode says no, ClusterUnavailable when time is up."""


class Namenode(Protocol):
    """What the library asks of the namenode group. Safe for many threads; operations leave in the order of calls."""

    @property
    def epoch(self) -> int:
        """Rises with every new session: what an earlier epoch held open is gone."""

    @property
    def cluster_id(self) -> str:
        """The id of the cluster that answered."""

    def call(
        self,
        operation: Operation,
        credentials: Credentials,
        *,
        level: Level = Level.SESSION,
        max_staleness_ms: int = 0,
        timeout_s: float | None = None,
    ) -> bytes:
        """Send an operation and wait for its encoded answer; errors as Answer.result."""

    def submit(
        self,
        operation: Operation,
        credentials: Credentials,
        *,
        level: Level = Level.SESSION,
        max_staleness_ms: int = 0,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send an operation and go on; the time runs from now."""

    def release(self, ino: int, epoch: int) -> None:
        """Give up one hold of an inode that an open of this epoch brought; does not wait."""

    def close(self) -> None:
        """End the session; waiting calls fail, later ones too."""
