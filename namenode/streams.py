"""Client streams: one per session, a queue of answers and of queries that may now be answered.

    gRPC's reader ─► SessionService ─► Node (mutations) ─► put_replies()
                           └────────► put_query()                └──► writer: runs queries, sends batches

Whatever waits when the writer comes round goes out as one batch.
"""

import threading
from collections.abc import Callable, Iterator

from cairnfs.common.errors import Refused
from cairnfs.protos import session_pb2

REPLY_BYTES_MAX = 4 << 20

Query = Callable[[], bytes]


class ClientStream:
    """The sending half of one client's stream."""

    def __init__(self, session: int, applied_index: Callable[[], int]) -> None:
        self.session = session
        self._applied_index = applied_index
        self._condition = threading.Condition()
        self._replies: list[session_pb2.Reply] = []
        self._queries: list[tuple[int, Query]] = []
        self._last: session_pb2.ServerFrame | None = None
        self._is_closed = False

    def put_replies(self, replies: list[session_pb2.Reply]) -> None:
        """Answers to be sent."""
        with self._condition:
            self._replies.extend(replies)
            self._condition.notify()

    def put_query(self, sequence: int, query: Query) -> None:
        """A query to be run by the writer, its answer to be sent."""
        with self._condition:
            self._queries.append((sequence, query))
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
                while not (self._replies or self._queries or self._is_closed):
                    self._condition.wait()
                if self._is_closed:
                    break
                replies, self._replies = self._replies, []
                queries, self._queries = self._queries, []
            yield from self._batches(replies, queries)
        if self._last is not None:
            yield self._last

    def _batches(
        self, replies: list[session_pb2.Reply], queries: list[tuple[int, Query]]
    ) -> Iterator[session_pb2.ServerFrame]:
        size = 0
        for sequence, query in queries:
            reply = _answer(sequence, query)
            replies.append(reply)
            size += len(reply.body)
            if size > REPLY_BYTES_MAX:
                yield self._frame(replies)
                replies, size = [], 0
        if replies:
            yield self._frame(replies)

    def _frame(self, replies: list[session_pb2.Reply]) -> session_pb2.ServerFrame:
        return session_pb2.ServerFrame(
            replies=session_pb2.Replies(applied_index=self._applied_index(), replies=replies)
        )


def _answer(sequence: int, query: Query) -> session_pb2.Reply:
    try:
        return session_pb2.Reply(sequence=sequence, body=query())
    except Refused as refusal:
        return session_pb2.Reply(sequence=sequence, errno=refusal.errno or 0, message=str(refusal))
