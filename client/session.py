"""The session: every operation of this client, batched over one stream to the leading namenode (DESIGN §4).

Threads. A caller puts its operation into the outbox and sleeps on a lock of its own. gRPC's sender asks for the next
batch whenever the last one has left: whatever gathered meanwhile goes as one. The session's own thread
finds the leader, reads answers and wakes the callers; when the stream breaks it finds the next leader
and sends everything unanswered again under the same sequence numbers, which the namenode answers once.

A session does not survive fork(): threads and sockets stay with the parent, and use in the child is refused.
"""

import atexit
import os
import random
import socket
import sys
import threading
import time
from pathlib import Path

from cairnfs.client.calls import Level
from cairnfs.client.leader_search import LeaderSearch
from cairnfs.client.outbox import Outbox, Pending
from cairnfs.client.session_link import Link
from cairnfs.common.address import ClusterAddress
from cairnfs.common.channels import PROTOCOL_VERSION
from cairnfs.common.errors import CairnError, ClusterUnavailable, ProtocolError, SessionExpired, WrongCluster
from cairnfs.common.logs import EventLogger
from cairnfs.common.operations import Credentials, Operation
from cairnfs.protos.session_pb2 import Batch, Hello, Refusal, Welcome

ATTEMPT_TIMEOUT_S = 2.0
STALL_TIMEOUT_S = 5.0
GOODBYE_TIMEOUT_S = 2.0
GATHER_YIELDS_MAX = 4

_log = EventLogger("cairnfs.client.session")
_chance = random.SystemRandom()


class Session:
    """A session with the cluster at `address`; `open` makes it, `close` ends it. Safe for many threads."""

    def __init__(
        self,
        address: ClusterAddress,
        *,
        connect_timeout_s: float = 10.0,
        operation_timeout_s: float = 30.0,
        attempt_timeout_s: float = ATTEMPT_TIMEOUT_S,
        stall_timeout_s: float = STALL_TIMEOUT_S,
        client_name: str = "",
    ) -> None:
        self._address = address
        self._connect_timeout_s = connect_timeout_s
        self._operation_timeout_s = operation_timeout_s
        self._attempt_timeout_s = attempt_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._client_name = client_name or f"{socket.gethostname()}:{os.getpid()}:{Path(sys.argv[0]).name}"
        self._cluster_id = address.cluster_id
        self._lease_s = 30.0
        self._search = LeaderSearch(address.namenodes)
        self._pid = os.getpid()
        self._lock = threading.Lock()  # guards what follows, and the outbox
        self._outbox = Outbox()
        self._link: Link | None = None
        self._fatal: CairnError | None = None
        self._is_closing = False
        self._opened = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cairn-session", daemon=True)

    # --- what users call -------------------------------------------------------------------------

    def open(self) -> "Session":
        """Find the leader and open the session; ClusterUnavailable, WrongCluster or ProtocolError."""
        self._thread.start()
        try:
            is_open = self._opened.wait(self._connect_timeout_s)
        except BaseException:
            self.close()
            raise
        if is_open and self._fatal is None:
            atexit.register(self.close)
            return self
        self.close()
        if self._fatal is not None:
            raise self._fatal
        raise ClusterUnavailable(
            f"no namenode of {self._address} leads within {self._connect_timeout_s:g} s: {self._search.describe()}"
        )

    @property
    def epoch(self) -> int:
        """See calls.Namenode."""
        return self._outbox.epoch

    @property
    def cluster_id(self) -> str:
        """See calls.Namenode."""
        return self._cluster_id

    def call(
        self,
        operation: Operation,
        credentials: Credentials,
        *,
        level: Level = Level.SESSION,
        max_staleness_ms: int = 0,
        timeout_s: float | None = None,
    ) -> bytes:
        """See calls.Namenode."""
        return self.submit(
            operation, credentials, level=level, max_staleness_ms=max_staleness_ms, timeout_s=timeout_s
        ).result()

    def submit(
        self,
        operation: Operation,
        credentials: Credentials,
        *,
        level: Level = Level.SESSION,
        max_staleness_ms: int = 0,
        timeout_s: float | None = None,
    ) -> Pending:
        """See calls.Namenode."""
        if os.getpid() != self._pid:
            raise RuntimeError("this connection was made before a fork: call connect() again in the child process")
        pending = Pending(
            self,
            operation,
            credentials,
            timeout_s=self._operation_timeout_s if timeout_s is None else timeout_s,
            level=level,
            max_staleness_ms=max_staleness_ms,
        )
        with self._lock:
            if self._fatal is not None:
                raise self._fatal
            if self._is_closing:
                raise ClusterUnavailable("the connection to the cluster has been closed: call connect() again")
            self._outbox.put(pending)
            self._wake(self._link)
        return pending

    def release(self, ino: int, epoch: int) -> None:
        """See calls.Namenode."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if epoch == self._outbox.epoch and not self._is_closing:
                self._outbox.put_release(self, ino, self._operation_timeout_s)
                self._wake(self._link)

    def close(self) -> None:
        """Send what is queued, say good-bye and stop; what is not answered in two seconds fails."""
        if os.getpid() != self._pid:
            return
        atexit.unregister(self.close)
        with self._lock:
            self._is_closing = True
            link = self._link
            self._wake(link)
        self._closing.set()
        if self._thread.ident is None:
            return
        if link is not None:
            self._thread.join(GOODBYE_TIMEOUT_S)
            link.cancel()
        self._thread.join()

    # --- what a waiting caller does (outbox.Waited) ------------------------------------------------

    def suspect(self, pending: Pending) -> None:
        """Leave a namenode that has been silent for long although it owes an answer: another may lead by now."""
        with self._lock:
            link = self._link
            if link is None or not self._outbox.is_unanswered(pending):
                return
            silent_s = time.monotonic() - max(link.heard_at, pending.sent_at)
        if silent_s >= self._stall_timeout_s:
            _log.warning("namenode_silent", address=link.address, silent_s=round(silent_s, 1))
            link.cancel()

    def time_is_up(self, pending: Pending) -> ClusterUnavailable:
        """The error for an answer that did not come in time, with what is known of the namenodes."""
        link = self._link
        why = f"{link.address} does not answer" if link is not None else self._search.describe()
        return ClusterUnavailable(f"no answer from {self._address} within {pending.timeout_s:g} s: {why}")

    def abandon(self, pending: Pending) -> None:
        """The caller does not wait any more."""
        with self._lock:
            self._outbox.abandon(self, pending)
            self._wake(self._link)

    # --- the sending side: gRPC's thread -----------------------------------------------------------

    def _wake(self, link: Link | None) -> None:
        if link is not None and link.gate is not None:
            gate, link.gate = link.gate, None
            gate.release()

    def _next_batch(self, link: Link) -> Batch | None:
        """What to send next on `link`: blocks until there is something, gives None when the stream is to end."""
        timeout_s = -1.0  # for ever, until the hello is answered
        while True:
            with self._lock:
                if link.is_over:
                    return None
                if link is self._link:
                    timeout_s = self._lease_s / 3
                    if self._outbox.has_work:
                        batch = self._outbox.take_batch()
                        if batch.operations:
                            return batch
                    if self._is_closing and self._outbox.is_empty:
                        return None
                gate = link.gate = threading.Lock()
                gate.acquire()
            if not gate.acquire(timeout=timeout_s):
                with self._lock:
                    link.gate = None
                    return self._outbox.new_batch()
            self._gather()

    def _gather(self) -> None:
        """Give the other callers that the last answers woke a moment to bring their next operation.

        Woken callers need the interpreter's lock one after the other, and the first to get it wakes the sender: without
        this a batch takes 2.5 operations of 8 threads', with it 7.9, and 8 threads do 15k operations/s, not 9k.
        """
        for _ in range(GATHER_YIELDS_MAX):
            if len(self._outbox.queue) >= self._outbox.concurrency:
                return
            time.sleep(0)

    # --- the session's thread ----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # a bug, or a system without threads: nobody may wait for this session any more
            self._die(ProtocolError(f"the session has failed, call connect() again: {error!r}"))
            raise
        finally:
            with self._lock:
                self._is_closing = True
                lost = self._outbox.clear()
            for pending in lost:
                pending.error = self._fatal or ClusterUnavailable("the connection was closed before the answer came")
                pending.settle()

    def _serve(self) -> None:
        while (link := self._connect()) is not None:
            has_served = False
            try:
                has_served = self._receive(link)
            except ConnectionError as error:
                self._search.failed(link.address, str(error))
                _log.info("stream_broken", address=link.address, reason=str(error))
            finally:
                self._unlink(link)
            if not has_served:
                self._closing.wait(self._search.backoff_s(_chance.random()))

    def _connect(self) -> Link | None:
        """A link to the leader, however long that takes; None where the session is to end."""
        self._search.begin_round()
        while not self._closing.is_set() and self._fatal is None:
            address = self._search.next_address()
            if address is None:
                self._closing.wait(self._search.backoff_s(_chance.random()))
                self._search.begin_round()
                continue
            link = self._attempt(address)
            if link is not None:
                return link
        return None

    def _attempt(self, address: str) -> Link | None:
        link = Link(address, self._hello(), self._next_batch)
        try:
            frame = link.first_frame(self._attempt_timeout_s)
        except ConnectionError as error:
            self._search.failed(address, str(error))
        else:
            if frame.HasField("welcome"):
                if self._welcome(link, frame.welcome):
                    return link
            elif frame.HasField("redirect"):
                self._search.redirected(address, frame.redirect.leader)
            elif frame.HasField("refusal"):
                self._refuse(address, frame.refusal)
            else:
                self._search.failed(address, "answered out of turn")
        self._unlink(link)
        return None

    def _hello(self) -> Hello:
        with self._lock:
            return Hello(
                protocol_version=PROTOCOL_VERSION,
                cluster_id=self._cluster_id,
                session_id=self._outbox.session_id,
                nonce=self._outbox.nonce,
                client_name=self._client_name,
                held_inodes=self._outbox.held_inodes(),
            )

    def _welcome(self, link: Link, welcome: Welcome) -> bool:
        self._search.welcomed(welcome.namenodes)
        with self._lock:
            if self._is_closing:
                return False
            self._cluster_id = welcome.cluster_id
            self._lease_s = max(0.1, welcome.lease_timeout_ms / 1000)
            self._outbox.session_id = welcome.session_id
            self._outbox.seen_index = max(self._outbox.seen_index, welcome.applied_index)
            resent = self._outbox.resend_all()
            self._link = link
            self._wake(link)
        self._opened.set()
        _log.info("session_open", address=link.address, session=welcome.session_id, resent=resent)
        return True

    def _refuse(self, address: str, refusal: Refusal) -> None:
        if refusal.reason == Refusal.SESSION_EXPIRED:
            self._expire()
            self._search.hint(address)
        elif refusal.reason == Refusal.WRONG_CLUSTER and not self._opened.is_set():
            self._die(WrongCluster(f"{address} belongs to another cluster: {refusal.message}"))
        elif refusal.reason in (Refusal.WRONG_VERSION, Refusal.MALFORMED):
            self._die(ProtocolError(f"{address} does not speak this client's protocol: {refusal.message}"))
        else:
            self._search.failed(address, f"refuses: {refusal.message}")

    def _die(self, error: CairnError) -> None:
        with self._lock:
            self._fatal = error
        self._opened.set()

    def _receive(self, link: Link) -> bool:
        """Take answers until the stream ends; whether there were any."""
        has_served = False
        for frame in link.frames():
            if frame.HasField("replies"):
                if not has_served:
                    has_served = True
                    self._search.served()
                with self._lock:
                    settled = self._outbox.take_replies(self, frame.replies)
                    if self._outbox.has_work or self._is_closing:
                        self._wake(link)
                for pending in settled:
                    pending.settle()
            elif frame.HasField("redirect"):
                self._search.redirected(link.address, frame.redirect.leader)
                break
            elif frame.HasField("refusal"):
                self._unlink(link)  # before a new session's numbers begin, or they would leave on this stream
                self._refuse(link.address, frame.refusal)
                break
        return has_served

    def _unlink(self, link: Link) -> None:
        with self._lock:
            if self._link is link:
                self._link = None
            link.is_over = True
            self._wake(link)
        link.close()

    def _expire(self) -> None:
        with self._lock:
            lost = self._outbox.begin_epoch()
        _log.warning("session_expired", unanswered=len(lost))
        for pending in lost:
            pending.error = SessionExpired("the namenode has given this session up: open its files again")
            pending.settle()
