"""A client's stream under the test's hand: what is sent and read, and when, is the test's to say."""

import os
import queue
import threading
from collections.abc import Iterator

import grpc

from cairnfs.common.channels import PROTOCOL_VERSION, open_channel
from cairnfs.common.operations import AnyOperation, encode
from cairnfs.protos import session_pb2, session_pb2_grpc
from tests.namenode.group import CLUSTER_ID, wait_until

ANSWER_TIMEOUT_S = 20.0


class RawStream:
    """One stream to one namenode; frames that arrive wait in `incoming` until they are read."""

    def __init__(self, address: str, hello: session_pb2.Hello) -> None:
        self._outgoing: queue.SimpleQueue[session_pb2.ClientFrame | None] = queue.SimpleQueue()
        self.incoming: queue.SimpleQueue[session_pb2.ServerFrame | None] = queue.SimpleQueue()
        self._channel = open_channel(address)
        self._outgoing.put(session_pb2.ClientFrame(hello=hello))
        self._call = session_pb2_grpc.SessionStub(self._channel).Stream(self._frames())
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _frames(self) -> Iterator[session_pb2.ClientFrame]:
        while (frame := self._outgoing.get()) is not None:
            yield frame

    def _read(self) -> None:
        try:
            for frame in self._call:
                self.incoming.put(frame)
        except grpc.RpcError:
            pass  # the server is gone, which the None tells
        self.incoming.put(None)

    def send(self, frame: session_pb2.ClientFrame) -> None:
        """Send one frame."""
        self._outgoing.put(frame)

    def receive(self) -> session_pb2.ServerFrame | None:
        """The next frame, or None once the stream has ended."""
        return self.incoming.get(timeout=ANSWER_TIMEOUT_S)

    def close(self) -> None:
        """End the stream."""
        self._outgoing.put(None)
        self._call.cancel()
        self._reader.join()
        self._channel.close()


class RawSession:
    """A session that numbers its operations, and can be moved from one namenode to another."""

    def __init__(self, *, uid: int = 0, gid: int = 0) -> None:
        self.session_id = 0
        self.sequence = 0
        self.answered_through = 0
        self.held: list[int] = []
        self.stream: RawStream | None = None
        self._credentials = session_pb2.Credentials(uid=uid, gid=gid)
        self._nonce = os.urandom(16)

    def connect(self, addresses: list[str]) -> "RawSession":
        """Find the leader among the addresses and attach to it."""

        def attach() -> bool:
            return any(self._attach(address) for address in addresses)

        wait_until(attach, "a namenode takes the session")
        return self

    def _attach(self, address: str) -> bool:
        self.disconnect()
        hello = session_pb2.Hello(
            protocol_version=PROTOCOL_VERSION,
            cluster_id=CLUSTER_ID,
            session_id=self.session_id,
            nonce=self._nonce,
            client_name="test",
            held_inodes=self.held,
        )
        stream = RawStream(address, hello)
        frame = stream.receive()
        if frame is None or frame.WhichOneof("kind") != "welcome":
            stream.close()
            return False
        self.session_id = frame.welcome.session_id
        self.stream = stream
        return True

    def disconnect(self) -> None:
        """Drop the stream; the session lives on."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def send(self, operation: AnyOperation, *, sequence: int = 0, level: int = 0) -> int:
        """Send one operation, as a new one or again under a given sequence; returns the sequence."""
        assert self.stream is not None
        if not sequence:
            self.sequence += 1
            sequence = self.sequence
        request = session_pb2.Operation(sequence=sequence, body=encode(operation), level=level)  # type: ignore[arg-type]
        batch = session_pb2.Batch(
            credentials=[self._credentials], operations=[request], answered_through=self.answered_through
        )
        self.stream.send(session_pb2.ClientFrame(batch=batch))
        return sequence

    def answer(self, sequence: int) -> session_pb2.Reply:
        """Wait for the answer to one operation; answers to others on the way are dropped."""
        assert self.stream is not None
        while True:
            frame = self.stream.receive()
            assert frame is not None, "the stream ended before the answer"
            for reply in frame.replies.replies:
                if reply.sequence == sequence:
                    return reply

    def call(self, operation: AnyOperation, *, level: int = 0) -> session_pb2.Reply:
        """Send one operation and wait for its answer."""
        return self.answer(self.send(operation, level=level))

    def do(self, operation: AnyOperation, *, level: int = 0) -> bytes:
        """As call(), but the operation has to succeed; returns the answer's body."""
        reply = self.call(operation, level=level)
        assert reply.errno == 0, f"{type(operation).__name__}: errno {reply.errno}: {reply.message}"
        return reply.body
