"""The sending half of a client's stream: answers wait here, and what waits goes out as one batch."""

from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

from cairnfs.protos import session_pb2

REPLY_BYTES_MAX = 4 << 20


class ClientStream:
    """Thread-safe; `session` is the one it serves, `applied_index` tells what goes with each batch."""

    def __init__(self, session: int, applied_index: Callable[[], int]) -> None:
        self.session = session
        self._applied_index = applied_index
        self._answers: SimpleQueue[list[session_pb2.Reply] | session_pb2.ServerFrame | None] = SimpleQueue()

    def put_replies(self, replies: list[session_pb2.Reply]) -> None:
        """Answers to be sent."""
        self._answers.put(replies)

    def close(self, last: session_pb2.ServerFrame | None = None) -> None:
        """End the stream, after a last frame if one is given; what has not been answered is asked again elsewhere."""
        self._answers.put(last)

    def frames(self) -> Iterator[session_pb2.ServerFrame]:
        """The frames to send, until the stream is closed; gRPC runs this on a worker of its own."""
        while True:
            answers = self._answers.get()
            replies: list[session_pb2.Reply] = []
            try:
                while isinstance(answers, list):
                    replies += answers
                    answers = self._answers.get_nowait()
            except Empty:
                yield from self._batches(replies)
                continue
            yield from self._batches(replies)
            if answers is not None:
                yield answers
            return

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
