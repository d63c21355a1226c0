"""Namenodes that follow a script: each stream that a client opens gets the next script."""

import queue
from collections.abc import Callable, Iterator

import grpc

from cairnfs.common.channels import make_server
from cairnfs.protos import session_pb2 as pb
from cairnfs.protos.session_pb2_grpc import SessionServicer, add_SessionServicer_to_server

Frames = Iterator[pb.ClientFrame]
Script = Callable[[Frames], Iterator[pb.ServerFrame]]
PATIENCE_S = 20.0


class ScriptedNamenode(SessionServicer):
    """A server on a port of its own. `hellos` and `batches` are what came, in order."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts: queue.SimpleQueue[Script] = queue.SimpleQueue()
        self.hellos: list[pb.Hello] = []
        self.batches: queue.SimpleQueue[pb.Batch] = queue.SimpleQueue()
        for script in scripts:
            self._scripts.put(script)
        self._server = make_server(8)
        add_SessionServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def add(self, script: Script) -> None:
        """One more script."""
        self._scripts.put(script)

    def Stream(self, request_iterator: Frames, context: grpc.ServicerContext) -> Iterator[pb.ServerFrame]:  # noqa: N802
        first = next(request_iterator)
        self.hellos.append(first.hello)
        yield from self._scripts.get(timeout=PATIENCE_S)(request_iterator)

    def take_batch(self, frames: Frames) -> pb.Batch:
        """The next batch with operations."""
        for frame in frames:
            self.batches.put(frame.batch)
            if frame.batch.operations:
                return frame.batch
        raise AssertionError("the client ended the stream")

    def close(self) -> None:
        self._server.stop(None).wait()


def welcome(session: int = 7, *, lease_ms: int = 30_000, index: int = 0) -> pb.ServerFrame:
    return pb.ServerFrame(
        welcome=pb.Welcome(cluster_id="c", session_id=session, lease_timeout_ms=lease_ms, applied_index=index)
    )


def redirect(leader: str = "") -> pb.ServerFrame:
    return pb.ServerFrame(redirect=pb.Redirect(leader=leader))


def refuse(reason: pb.Refusal.Reason, message: str = "") -> pb.ServerFrame:
    return pb.ServerFrame(refusal=pb.Refusal(reason=reason, message=message))


def answers(batch: pb.Batch, *, index: int = 1) -> pb.ServerFrame:
    """Each operation of the batch answered with its own body."""
    replies = [pb.Reply(sequence=each.sequence, body=each.body) for each in batch.operations]
    return pb.ServerFrame(replies=pb.Replies(applied_index=index, replies=replies))


def echo(frames: Frames) -> Iterator[pb.ServerFrame]:
    """Serve until the client ends."""
    yield welcome()
    for frame in frames:
        if frame.batch.operations:
            yield answers(frame.batch)


def refuse_all_with(*frames: pb.ServerFrame) -> Script:
    """Answer the hello with these frames, and end."""
    return lambda _: iter(frames)
