"""What a session has to send and waits to be answered: queue, sequence numbers, holds. No threads, no streams.

An operation gets its sequence number when it first leaves. One that nobody waits for any more (its time
is up, or Ctrl-C) is dropped if it has not left; else it stays until it is answered, and if it opened a file the hold
it got is given back.

    put ──► queue ──take_batch──► unanswered ──take_replies──► settled
                        ▲              │ resend (a new stream)
                        └──────────────┘

Not thread-safe: the session calls it under its lock. Pending operations sleep on locks of their own.
"""

import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Protocol

import msgspec

from cairnfs.client.calls import Level
from cairnfs.common.errors import CairnError, Refused
from cairnfs.common.operations import (
    CreateFile,
    CreateOrphan,
    Credentials,
    OpenFile,
    Operation,
    ReleaseFiles,
    encode,
)
from cairnfs.protos.session_pb2 import Batch, Replies, Reply
from cairnfs.protos.session_pb2 import Operation as OperationFrame

BATCH_OPERATIONS_MAX = 1024
BATCH_BYTES_MAX = 4 << 20
UNANSWERED_MAX = 4096
WAIT_SLICE_S = 1.0

_OPENING = (OpenFile, CreateFile, CreateOrphan)
_NOBODY = Credentials(0, 0)


class _Opened(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first field of a FileMap, whose first eight bytes are the inode number."""

    record: bytes


_opened_decoder = msgspec.msgpack.Decoder(_Opened)


class Waited(Protocol):
    """What a waiting caller needs of the session."""

    def suspect(self, pending: "Pending") -> None:
        """Called now and then while the answer is not there."""

    def time_is_up(self, pending: "Pending") -> CairnError:
        """The error for an answer that did not come in time."""

    def abandon(self, pending: "Pending") -> None:
        """The caller does not wait any more."""


class Pending:
    """One operation on its way: what to send, and the lock its caller sleeps on until the answer is there."""

    __slots__ = (
        "_arrived",
        "_session",
        "answer",
        "body",
        "credentials",
        "deadline",
        "error",
        "is_abandoned",
        "is_opening",
        "level",
        "max_staleness_ms",
        "released",
        "sent_at",
        "sequence",
        "timeout_s",
    )

    def __init__(
        self,
        session: Waited,
        operation: Operation,
        credentials: Credentials,
        *,
        timeout_s: float,
        level: Level = Level.SESSION,
        max_staleness_ms: int = 0,
    ) -> None:
        self.body = encode(operation)
        self.credentials = credentials
        self.level = level
        self.max_staleness_ms = max_staleness_ms
        self.timeout_s = timeout_s
        self.deadline = time.monotonic() + timeout_s
        self.is_opening = isinstance(operation, _OPENING)
        self.released: tuple[int, ...] = operation.inodes if isinstance(operation, ReleaseFiles) else ()
        self.is_abandoned = False
        self.sequence = 0
        self.sent_at = 0.0
        self.answer = b""
        self.error: CairnError | None = None
        self._session = session
        self._arrived = threading.Lock()
        self._arrived.acquire()

    def result(self) -> bytes:
        """The encoded answer, once it is there; see calls.Answer."""
        try:
            while not self._arrived.acquire(timeout=max(0.0, min(WAIT_SLICE_S, self.deadline - time.monotonic()))):
                if time.monotonic() >= self.deadline:
                    raise self._session.time_is_up(self)
                self._session.suspect(self)
        except BaseException:
            self._session.abandon(self)
            raise
        self._arrived.release()
        if self.error is not None:
            raise self.error
        return self.answer

    def settle(self) -> None:
        """Wake the caller: `answer` or `error` is set."""
        self._arrived.release()

    @property
    def opened_inode(self) -> int:
        """The inode whose hold the answer of an opening operation brought."""
        return int.from_bytes(_opened_decoder.decode(self.answer).record[:8], "little")


class Outbox:
    """The operations of one client across the streams, and the sessions, that carry them."""

    def __init__(self) -> None:
        self.epoch = 0
        self.session_id = 0
        self.nonce = secrets.token_bytes(16)
        self.seen_index = 0
        self.concurrency = 0  # how many operations were in flight when the last answers came
        self.queue: deque[Pending] = deque()
        self._resend: deque[Pending] = deque()
        self._unanswered: dict[int, Pending] = {}
        self._last_sequence = 0
        self._held: Counter[int] = Counter()

    @property
    def has_work(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self.queue or self._resend)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be sent or answered."""
        return not self.queue and not self._unanswered

    def is_unanswered(self, pending: Pending) -> bool:
        """Whether it has been sent, and not been answered."""
        return pending.sequence in self._unanswered

    def held_inodes(self) -> list[int]:
        """What the session holds open, an inode as often as it is held."""
        return list(self._held.elements())

    def put(self, pending: Pending) -> None:
        """Queue an operation."""
        self.queue.append(pending)

    def put_release(self, session: Waited, ino: int, timeout_s: float) -> None:
        """Queue the giving up of one hold, for which nobody waits."""
        pending = Pending(session, ReleaseFiles((ino,)), _NOBODY, timeout_s=timeout_s)
        pending.is_abandoned = True
        self.queue.append(pending)

    def abandon(self, session: Waited, pending: Pending) -> None:
        """Nobody waits for it any more."""
        pending.is_abandoned = True
        if pending.sequence == 0:
            if pending in self.queue:
                self.queue.remove(pending)
        elif pending.answer and pending.is_opening:
            self.put_release(session, pending.opened_inode, pending.timeout_s)

    def new_batch(self) -> Batch:
        """An empty batch: a sign of life."""
        answered = next(iter(self._unanswered)) - 1 if self._unanswered else self._last_sequence
        return Batch(answered_through=answered, seen_index=self.seen_index)

    def take_batch(self) -> Batch:
        """What to send next, within bounds; it may be empty while too much is unanswered."""
        frames: list[OperationFrame] = []
        batch = self.new_batch()
        credentials_index: dict[Credentials, int] = {}
        last_credentials: Credentials | None = None
        index = 0
        bytes_left = BATCH_BYTES_MAX
        now = time.monotonic()
        while len(frames) < BATCH_OPERATIONS_MAX and bytes_left > 0:
            pending = self._take_operation()
            if pending is None:
                break
            pending.sent_at = now
            if pending.credentials is not last_credentials:
                last_credentials = pending.credentials
                index = credentials_index.setdefault(last_credentials, len(credentials_index))
            frames.append(
                OperationFrame(
                    sequence=pending.sequence,
                    body=pending.body,
                    credentials=index,
                    level=pending.level,  # type: ignore[arg-type]  # the stub wants its own enum; the numbers are the same
                    max_staleness_ms=pending.max_staleness_ms,
                )
            )
            bytes_left -= len(pending.body)
        batch.operations.extend(frames)
        for each in credentials_index:
            batch.credentials.add(uid=each.uid, gid=each.gid, groups=each.groups)
        return batch

    def resend_all(self) -> int:
        """A new stream begins: send what is unanswered again, under the same numbers; how many that is."""
        self._resend = deque(self._unanswered.values())
        return len(self._resend)

    def take_replies(self, session: Waited, replies: Replies) -> list[Pending]:
        """The operations that `replies` answer, to be settled; a second answer to one is passed over."""
        self.seen_index = max(self.seen_index, replies.applied_index)
        self.concurrency = len(self._unanswered)
        settled: list[Pending] = []
        for reply in replies.replies:
            pending = self._unanswered.get(reply.sequence)
            if pending is not None:
                self._take_reply(session, pending, reply)
                del self._unanswered[reply.sequence]  # last: an answer that makes no sense leaves nobody waiting
                settled.append(pending)
        return settled

    def begin_epoch(self) -> list[Pending]:
        """A new session, with numbers from 1 and nothing held; what the old one did not answer is lost."""
        lost = list(self._unanswered.values())
        self.epoch += 1
        self.session_id = 0
        self.nonce = secrets.token_bytes(16)
        self._last_sequence = 0
        self._unanswered.clear()
        self._resend.clear()
        self._held.clear()
        return lost

    def clear(self) -> Iterable[Pending]:
        """Everything that will never be answered."""
        lost = [*self._unanswered.values(), *self.queue]
        self._unanswered.clear()
        self._resend.clear()
        self.queue.clear()
        return lost

    def _take_operation(self) -> Pending | None:
        while self._resend:
            pending = self._resend.popleft()
            if pending.sequence in self._unanswered:
                return pending
        if not self.queue or len(self._unanswered) >= UNANSWERED_MAX:
            return None
        pending = self.queue.popleft()
        self._last_sequence += 1
        pending.sequence = self._last_sequence
        self._unanswered[pending.sequence] = pending
        return pending

    def _take_reply(self, session: Waited, pending: Pending, reply: Reply) -> None:
        if reply.errno:
            pending.error = Refused(reply.errno, reply.message)
            return
        pending.answer = reply.body
        if pending.is_opening:
            ino = pending.opened_inode
            self._held[ino] += 1
            if pending.is_abandoned:
                self.put_release(session, ino, pending.timeout_s)
        for ino in pending.released:
            # Not when it is sent: a new leader counts the announced holds first, then the release that is sent again.
            self._held[ino] -= 1
            if self._held[ino] <= 0:
                del self._held[ino]
