"""gRPC between the namenodes: Raft messages in one stream each way, snapshots in streams of their own.

A message that cannot be sent is dropped, as the core expects; what waits for a peer is bounded.
"""

import contextlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

import grpc

from cairnfs.common.channels import PROTOCOL_VERSION, open_channel
from cairnfs.common.errors import ProtocolError
from cairnfs.common.logs import EventLogger
from cairnfs.namenode.entry_log import sync_directory
from cairnfs.namenode.raft import InstallSnapshot, Message, SnapshotMeta
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.moment import Moment
from cairnfs.namenode.wire import decode_message, encode_message
from cairnfs.protos import raft_pb2, raft_pb2_grpc

WAITING_MAX = 4_096
RECONNECT_FIRST_S = 0.05
RECONNECT_MAX_S = 1.0
SNAPSHOT_TIMEOUT_S = 3_600.0
SNAPSHOT_FORMAT = 1

_log = EventLogger("peers")


class Inbox(Protocol):
    """The node, as far as its peers are concerned."""

    def receive(self, messages: Sequence[Message]) -> None:
        """Messages have arrived."""

    def report_unreachable(self, node_id: int) -> None:
        """Messages to the node have been lost."""

    def report_snapshot(self, node_id: int, is_ok: bool) -> None:
        """A snapshot has been taken in there, or has not."""

    def install_snapshot(self, message: InstallSnapshot, state: StateMachine, directory: str) -> None:
        """A snapshot has arrived here."""


class _Link:
    """The way to one peer: a queue, and a thread that keeps a stream open and sends what is queued."""

    def __init__(self, cluster_id: str, sender: int, recipient: int, address: str, inbox: Inbox) -> None:
        self._cluster_id = cluster_id
        self._sender = sender
        self.recipient = recipient
        self.address = address
        self._inbox = inbox
        self._outgoing: SimpleQueue[Sequence[Message]] = SimpleQueue()
        self._stream = 0
        self._closing = threading.Event()
        self.channel = open_channel(address)
        self._stub = raft_pb2_grpc.PeerStub(self.channel)
        self._thread = threading.Thread(target=self._run, name=f"peer-{recipient}", daemon=True)
        self._thread.start()

    def send(self, messages: Sequence[Message]) -> None:
        if self._outgoing.qsize() < WAITING_MAX:
            self._outgoing.put(messages)
        else:
            self._inbox.report_unreachable(self.recipient)

    def close(self) -> None:
        self._closing.set()
        self._outgoing.put(())
        self.channel.close()
        self._thread.join()

    def _run(self) -> None:
        backoff_s = RECONNECT_FIRST_S
        for stream in count(1):
            self._stream = stream
            try:
                self._stub.Send(self._envelopes(stream))
                backoff_s = RECONNECT_FIRST_S
            except (grpc.RpcError, ValueError) as error:  # ValueError: the channel has been closed
                _log.debug("peer_stream_ended", peer=self.recipient, address=self.address, error=_reason(error))
            self._stream = 0
            self._outgoing.put(())  # wakes the generator of the stream that has ended, so that it ends too
            self._inbox.report_unreachable(self.recipient)
            if self._closing.wait(backoff_s):
                return
            backoff_s = min(2 * backoff_s, RECONNECT_MAX_S)

    def _envelopes(self, stream: int) -> Iterator[raft_pb2.Envelope]:
        """What gRPC's thread sends; ends once its stream has. What it took after that is lost, as on a bad network."""
        while True:
            messages = [*self._outgoing.get()]
            with contextlib.suppress(Empty):
                while True:
                    messages += self._outgoing.get_nowait()
            if self._stream != stream or self._closing.is_set():
                return
            if messages:
                yield raft_pb2.Envelope(
                    protocol_version=PROTOCOL_VERSION,
                    cluster_id=self._cluster_id,
                    sender=self._sender,
                    recipient=self.recipient,
                    messages=[encode_message(message) for message in messages],
                )


class GrpcPeers:
    """Node's Peers: sends to the other members, and streams them snapshots."""

    def __init__(self, cluster_id: str, node_id: int, members: dict[int, str], inbox: Inbox) -> None:
        self._cluster_id = cluster_id
        self._node_id = node_id
        self._inbox = inbox
        self._links = {
            member: _Link(cluster_id, node_id, member, address, inbox)
            for member, address in members.items()
            if member != node_id
        }

    def send(self, messages: Sequence[Message]) -> None:
        """Queue messages for their recipients; unknown ones are dropped."""
        by_recipient: dict[int, list[Message]] = {}
        for message in messages:
            by_recipient.setdefault(message.to, []).append(message)
        for recipient, batch in by_recipient.items():
            link = self._links.get(recipient)
            if link is not None:
                link.send(batch)

    def send_snapshot(self, message: InstallSnapshot, moment: Moment) -> None:
        """Stream a moment of the state to the message's recipient in the background."""
        threading.Thread(
            target=self._stream_snapshot, args=(message, moment), name=f"snapshot-{message.to}", daemon=True
        ).start()

    def close(self) -> None:
        """End all streams."""
        for link in self._links.values():
            link.close()

    def _stream_snapshot(self, message: InstallSnapshot, moment: Moment) -> None:
        is_ok = False
        try:
            link = self._links[message.to]
            stub = raft_pb2_grpc.PeerStub(link.channel)
            result = stub.InstallSnapshot(self._chunks(message, moment), timeout=SNAPSHOT_TIMEOUT_S)
            is_ok = result.installed
            _log.info("snapshot_sent", peer=message.to, installed=is_ok, reason=result.reason)
        except (grpc.RpcError, ValueError) as error:
            _log.warning("snapshot_failed", peer=message.to, error=_reason(error))
        finally:
            moment.close()
            self._inbox.report_snapshot(message.to, is_ok)

    def _chunks(self, message: InstallSnapshot, moment: Moment) -> Iterator[raft_pb2.SnapshotChunk]:
        # The state has gone on since the core asked: what is sent is where it was when the moment was taken.
        position = SnapshotMeta(moment.index, moment.term, message.snapshot.membership)
        header = raft_pb2.SnapshotHeader(
            format_version=SNAPSHOT_FORMAT,
            cluster_id=self._cluster_id,
            sender=self._node_id,
            message=encode_message(replace(message, snapshot=position)),
        )
        yield raft_pb2.SnapshotChunk(header=header)
        for rows in moment.dump():
            yield raft_pb2.SnapshotChunk(rows=rows)


class PeerService(raft_pb2_grpc.PeerServicer):
    """What the other members' links arrive at."""

    def __init__(self, cluster_id: str, node_id: int, directory: Path, map_size_bytes: int, inbox: Inbox) -> None:
        self._cluster_id = cluster_id
        self._node_id = node_id
        self._directory = directory
        self._map_size_bytes = map_size_bytes
        self._inbox = inbox
        self._snapshot_lock = threading.Lock()

    def Send(self, request_iterator: Iterator[raft_pb2.Envelope], context: grpc.ServicerContext) -> raft_pb2.Closed:
        """Hand every message to the node, until the sender ends the stream."""
        for envelope in request_iterator:
            reason = self._refusal(envelope)
            if reason:
                _log.warning("peer_refused", peer=context.peer(), reason=reason)
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, reason)
            try:
                self._inbox.receive([_plain(decode_message(message)) for message in envelope.messages])
            except ProtocolError as error:
                _log.warning("peer_refused", peer=context.peer(), reason=error)
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return raft_pb2.Closed()

    def _refusal(self, envelope: raft_pb2.Envelope) -> str:
        if envelope.protocol_version != PROTOCOL_VERSION:
            return f"protocol version {envelope.protocol_version} is not {PROTOCOL_VERSION}"
        if envelope.cluster_id != self._cluster_id:
            return f"this namenode belongs to cluster {self._cluster_id}, not to {envelope.cluster_id}"
        if envelope.recipient != self._node_id:
            return f"this is namenode {self._node_id}, not {envelope.recipient}: the members' addresses are mixed up"
        return ""

    def InstallSnapshot(
        self, request_iterator: Iterator[raft_pb2.SnapshotChunk], context: grpc.ServicerContext
    ) -> raft_pb2.SnapshotResult:
        """Load a streamed state into a folder of its own, and offer it to the node."""
        if not self._snapshot_lock.acquire(blocking=False):
            return raft_pb2.SnapshotResult(installed=False, reason="another snapshot is arriving")
        try:
            return self._load(request_iterator)
        finally:
            self._snapshot_lock.release()

    def _load(self, chunks: Iterator[raft_pb2.SnapshotChunk]) -> raft_pb2.SnapshotResult:
        header = next(chunks, raft_pb2.SnapshotChunk()).header
        if header.cluster_id != self._cluster_id or header.format_version != SNAPSHOT_FORMAT:
            return raft_pb2.SnapshotResult(installed=False, reason="another cluster's, or another version's, snapshot")
        incoming = self._directory / "state-incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        try:
            message = decode_message(header.message)
            if not isinstance(message, InstallSnapshot) or message.to != self._node_id:
                raise ProtocolError("a snapshot came with a message that is none for this namenode")
            state = StateMachine.load(incoming, (chunk.rows for chunk in chunks), map_size_bytes=self._map_size_bytes)
        except (OSError, grpc.RpcError) as error:
            shutil.rmtree(incoming, ignore_errors=True)
            _log.warning("snapshot_refused", sender=header.sender, reason=_reason(error))
            return raft_pb2.SnapshotResult(installed=False, reason=_reason(error))
        directory = f"state-{state.applied_index}-{state.applied_term}"
        if (self._directory / directory).exists():
            state.close()
            return raft_pb2.SnapshotResult(installed=False, reason="this snapshot is here already")
        incoming.rename(self._directory / directory)
        sync_directory(self._directory)
        self._inbox.install_snapshot(message, state, directory)
        return raft_pb2.SnapshotResult(installed=True)


def _plain(message: Message) -> Message:
    """The message, which is none that bytes have to come with: those arrive by InstallSnapshot."""
    if isinstance(message, InstallSnapshot):
        raise ProtocolError("a snapshot was announced without its bytes")
    return message


def _reason(error: Exception) -> str:
    details = getattr(error, "details", None)
    return str(details()) if details is not None else f"{type(error).__name__}: {error}"
