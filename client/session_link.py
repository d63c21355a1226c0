"""One gRPC stream to one namenode: frames out, frames in, and how it ends. What goes is the session's to say."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import grpc

from cairnfs.common.channels import open_channel
from cairnfs.protos.session_pb2 import Batch, ClientFrame, Goodbye, Hello, ServerFrame
from cairnfs.protos.session_pb2_grpc import SessionStub


class Link:
    """A stream that has been opened with `hello`, and asks `next_batch` for what to send until that gives None.

    `gate` is what the sending side sleeps on, None while it is awake; it and `is_over` change under the session's lock.
    """

    def __init__(self, address: str, hello: Hello, next_batch: "Callable[[Link], Batch | None]") -> None:
        self.address = address
        self.gate: threading.Lock | None = None
        self.is_over = False
        self.heard_at = time.monotonic()
        self._hello = hello
        self._next_batch = next_batch
        self._was_late = False
        self._channel = open_channel(address)
        self._call = SessionStub(self._channel).Stream(self._outgoing())

    def first_frame(self, timeout_s: float) -> ServerFrame:
        """The answer to the hello; ConnectionError with the reason where none comes in time."""
        timer = threading.Timer(timeout_s, self._give_up)
        timer.start()
        try:
            frame: ServerFrame = next(self._call)
            return frame
        except StopIteration:
            raise ConnectionError("ended the stream at once") from None
        except grpc.RpcError as error:
            raise ConnectionError(
                f"did not answer within {timeout_s:g} s" if self._was_late else describe(error)
            ) from None
        finally:
            timer.cancel()
            timer.join()

    def frames(self) -> Iterator[ServerFrame]:
        """The frames that follow, until the stream ends; ConnectionError where it breaks."""
        try:
            for frame in self._call:
                self.heard_at = time.monotonic()
                yield frame
        except grpc.RpcError as error:
            raise ConnectionError(describe(error)) from None

    def cancel(self) -> None:
        """Break the stream: whoever reads it sees its end."""
        self._call.cancel()

    def close(self) -> None:
        """Break the stream and close the connection."""
        self._call.cancel()
        self._channel.close()

    def _outgoing(self) -> Iterator[ClientFrame]:
        yield ClientFrame(hello=self._hello)
        while (batch := self._next_batch(self)) is not None:
            yield ClientFrame(batch=batch)
        if not self.is_over:
            yield ClientFrame(goodbye=Goodbye())

    def _give_up(self) -> None:
        self._was_late = True
        self._call.cancel()


def describe(error: grpc.RpcError) -> str:
    """What a failed call says about the other side, in a few words."""
    call = cast(grpc.Call, error)  # what a stream raises is the call itself
    code = call.code()
    details = (call.details() or "").replace("\n", " ")
    if code is grpc.StatusCode.UNAVAILABLE:
        if "refused" in details:
            return "refuses connections"
        return "cannot be reached, or is no namenode" if "connect" in details else f"is unavailable ({details[:100]})"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return "is no namenode"
    return f"failed: {code.name} {details[:100]}".rstrip()
