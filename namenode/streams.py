"""The sending half of a client's stream: answers wait here, and what waits goes out as one batch."""

import threading
from collections.abc import Callable, Iterator

from cairnfs.protos import session_pb2

REPLY_BYTES_MAX = 4 << 20


class ClientStream:
    """Thread-safe; `session` is the one it serves, `applied_index` tells what goes with each batch."""

    def __init__(self, session: int, applied_index: Callable[[], int]) -> None:
        self.session = session
        self._applied_index = applied_index
        self._condition = threading.Condition()
        self._replies: list[session_pb2.Reply] = []
        self._last: session_pb2.ServerFrame | None = None
        self._is_closed = False

    def put_replies(self, replies: list[session_pb2.Reply]) -> None:
        """Answers to be sent."""
        with self._condition:
            self._replies.extend(replies)
            self._condition.notify()

    def close(self, last: session_pb2.ServerFrame | None = None) -> None:
        """End the stream, after a last frame if one is given; what has not been answered is asked again elsewhere."""
        with self._condition:
            if not self._is_closed:
                self._is_closed = True
                self._last = last
            self._condition.notify()

    def frames(self) -> Iterator[session_pb2.ServerFrame]:
        """The frames to send, until the stream is closed; gRPC runs this on a worker of its own."""
        while True:
            with self._condition:
                while not self._replies and not self._is_closed:
                    self._condition.wait()
                if self._is_closed:
                    break
                replies, self._replies = self._replies, []
            yield from self._batches(replies)
        if self._last is not None:
            yield self._last

    def _batches(self, replies: list[session_pb2.Reply]) -> Iterator[session_pb2.ServerFrame]:
        batch: list[session_pb2.Reply] = []
        size = 0
        for reply in replies:
            batch.append(reply)
            size += len(reply.body)
            if size > REPLY_BYTES_MAX:
                yield self._frame(batch)
                batch, size = [], 0
        if batch:
            yield self._frame(batch)

    def _frame(self, replies: list[session_pb2.Reply]) -> session_pb2.ServerFrame:
        return session_pb2.ServerFrame(
            replies=session_pb2.Replies(applied_index=self._applied_index(), replies=replies)
        )
