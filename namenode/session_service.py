"""The session service: takes clients' batches apart, and sends each operation the way it has to go.

mutation              placed if it needs a place ─► Node.propose ─► on_outcomes ─► stream
query, session        once the state has what the client has seen ─► stream
query, linearizable   Node.confirm_read ─► stream
opening a file        linearizable, and the session holds the inode before anything can reap it
"""

import errno
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial

import grpc
import msgspec

from cairnfs.common.attributes import Attributes
from cairnfs.common.channels import PROTOCOL_VERSION
from cairnfs.common.errors import Refused
from cairnfs.common.logs import EventLogger
from cairnfs.common.operations import (
    AllocateBlock,
    AllocateRange,
    AnyOperation,
    AnyQuery,
    Commit,
    Credentials,
    Done,
    FileMap,
    GetFileSystemStatus,
    GetMap,
    Mutation,
    OpenFile,
    ReleaseFiles,
    SetAttributes,
    Write,
    decode_operation,
    encode,
)
from cairnfs.namenode.datanodes import DatanodeTable
from cairnfs.namenode.holds import HoldTable
from cairnfs.namenode.node import Node
from cairnfs.namenode.proposals import Proposal
from cairnfs.namenode.state.commands import CloseSession, Item, OpenSession, decode_session_opened, internal_item
from cairnfs.namenode.state.machine import StateMachine
from cairnfs.namenode.state.sessions import Outcome
from cairnfs.namenode.streams import ClientStream
from cairnfs.protos import session_pb2, session_pb2_grpc

OPEN_TIMEOUT_S = 10.0
HELLO_TIMEOUT_S = 10.0
NOBODY = Credentials(0, 0)

_log = EventLogger("sessions")
_decode_map = msgspec.msgpack.Decoder(FileMap).decode
_Frames = Iterator[session_pb2.ClientFrame]
_Query = tuple[int, Credentials, AnyQuery]  # its sequence, and who asks


class SessionService(session_pb2_grpc.SessionServicer):
    """One instance a process; it is the Node's listener for what concerns sessions."""

    def __init__(
        self,
        node: Node,
        holds: HoldTable,
        datanodes: DatanodeTable,
        *,
        cluster_id: str,
        members: dict[int, str],
        lease_s: float,
        sessions_max: int,
    ) -> None:
        self._node = node
        self._holds = holds
        self._datanodes = datanodes
        self._cluster_id = cluster_id
        self._members = members
        self._lease_s = lease_s
        self._sessions_max = sessions_max
        self._lock = threading.Lock()
        self._streams: dict[int, ClientStream] = {}

    # --- the node's side -------------------------------------------------------------------------

    def on_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Send the answers of applied mutations to whoever is connected; others will ask again."""
        now_s = time.monotonic()
        replies: dict[int, list[session_pb2.Reply]] = {}
        for outcome in outcomes:
            if outcome.session:
                if outcome.holds:
                    self._holds.add(outcome.session, outcome.sequence, outcome.holds, now_s)
                replies.setdefault(outcome.session, []).append(_reply(outcome))
        for session, answers in replies.items():
            stream = self._streams.get(session)
            if stream is not None:
                stream.put_replies(answers)

    def redirect_all(self) -> None:
        """This node serves no more: every client has to look for the new leader."""
        with self._lock:
            streams = list(self._streams.values())
            self._streams.clear()
        for stream in streams:
            stream.close(self._redirect())

    def end_session(self, session: int) -> None:
        """The session has been closed or has expired."""
        with self._lock:
            stream = self._streams.pop(session, None)
        if stream is not None:
            stream.close(_refusal(session_pb2.Refusal.SESSION_EXPIRED, f"session {session} is closed"))

    @property
    def connected(self) -> int:
        """How many sessions have a stream here."""
        return len(self._streams)

    # --- a client's stream -----------------------------------------------------------------------

    def Stream(self, request_iterator: _Frames, context: grpc.ServicerContext) -> Iterator[session_pb2.ServerFrame]:
        """Serve one client until either side ends the stream."""
        first = _first_frame(request_iterator, context)
        if first is None:
            return
        hello = first.hello
        refusal = self._check(first)
        if refusal is not None:
            _log.warning(
                "client_refused", peer=context.peer(), client=hello.client_name, reason=refusal.refusal.message
            )
            yield refusal
            return
        if not self._node.is_serving:
            yield self._redirect()
            return
        session = hello.session_id or self._open_session(hello)
        if not session:
            yield self._redirect()
            return
        if self._node.inspect(lambda state: state.session(session)) is None:
            yield _refusal(session_pb2.Refusal.SESSION_EXPIRED, f"session {session} has expired")
            return
        stream = ClientStream(session, lambda: self._node.applied_index)
        if not self._attach(stream, hello):
            yield self._redirect()
            return
        _log.debug("client_connected", session=session, client=hello.client_name, peer=context.peer())
        yield self._welcome(session)
        reader = threading.Thread(
            target=self._read, args=(stream, request_iterator), name=f"session-{session}", daemon=True
        )
        context.add_callback(stream.close)
        reader.start()
        try:
            yield from stream.frames()
        finally:
            self._detach(stream)

    def _check(self, first: session_pb2.ClientFrame) -> session_pb2.ServerFrame | None:
        hello = first.hello
        if first.WhichOneof("kind") != "hello":
            return _refusal(session_pb2.Refusal.MALFORMED, "a stream begins with a hello")
        if hello.protocol_version != PROTOCOL_VERSION:
            return _refusal(
                session_pb2.Refusal.WRONG_VERSION,
                f"the client speaks protocol version {hello.protocol_version}, this namenode {PROTOCOL_VERSION}",
            )
        if hello.cluster_id and hello.cluster_id != self._cluster_id:
            return _refusal(
                session_pb2.Refusal.WRONG_CLUSTER,
                f"this is cluster {self._cluster_id}, not {hello.cluster_id}: check the address",
            )
        if not hello.session_id and len(hello.nonce) != 16:
            return _refusal(session_pb2.Refusal.MALFORMED, "a new session needs a nonce of 16 bytes")
        if len(self._streams) >= self._sessions_max:
            return _refusal(session_pb2.Refusal.UNKNOWN, f"this namenode serves {self._sessions_max} sessions already")
        return None

    def _open_session(self, hello: session_pb2.Hello) -> int:
        """The id of a new session, or 0 where the leadership was lost on the way."""
        answered = threading.Event()
        outcomes: list[Outcome | None] = []

        def on_outcome(outcome: Outcome | None) -> None:
            outcomes.append(outcome)
            answered.set()

        self._node.propose([Proposal(internal_item(OpenSession(hello.nonce, hello.client_name)), on_outcome)])
        if not answered.wait(OPEN_TIMEOUT_S) or outcomes[0] is None or outcomes[0].errno:
            return 0  # the leadership is changing, or the cluster is still being set up
        session = decode_session_opened(outcomes[0].body).session
        self._holds.hear(session, time.monotonic())
        return session

    def _attach(self, stream: ClientStream, hello: session_pb2.Hello) -> bool:
        with self._lock:
            if not self._node.is_serving:
                return False
            # Before the stream can be found: a reign that begins after this ends the stream, and is told again.
            self._holds.announce(stream.session, hello.held_inodes, time.monotonic())
            previous = self._streams.get(stream.session)
            self._streams[stream.session] = stream
        if previous is not None:
            previous.close()
        return True

    def _detach(self, stream: ClientStream) -> None:
        stream.close()
        with self._lock:
            if self._streams.get(stream.session) is stream:
                del self._streams[stream.session]

    def _welcome(self, session: int) -> session_pb2.ServerFrame:
        return session_pb2.ServerFrame(
            welcome=session_pb2.Welcome(
                cluster_id=self._cluster_id,
                session_id=session,
                lease_timeout_ms=int(self._lease_s * 1000),
                applied_index=self._node.applied_index,
                namenodes=list(self._members.values()),
            )
        )

    def _redirect(self) -> session_pb2.ServerFrame:
        leader = self._members.get(self._node.status.leader_id, "")
        return session_pb2.ServerFrame(redirect=session_pb2.Redirect(leader=leader))

    # --- operations ------------------------------------------------------------------------------

    def _read(self, stream: ClientStream, frames: _Frames) -> None:
        try:
            for frame in frames:
                kind = frame.WhichOneof("kind")
                if kind == "goodbye":
                    self._say_goodbye(stream)
                    return
                if kind != "batch":
                    stream.close(_refusal(session_pb2.Refusal.MALFORMED, "only batches may follow the hello"))
                    return
                self._take(stream, frame.batch)
        except grpc.RpcError:
            pass  # the client is gone, or the stream was closed here: either way it is over
        except msgspec.MsgspecError as error:
            _log.warning("client_malformed", session=stream.session, error=error)
            stream.close(_refusal(session_pb2.Refusal.MALFORMED, f"not an operation: {error}"))
        finally:
            stream.close()

    def _say_goodbye(self, stream: ClientStream) -> None:
        """Close the session for good, and wait for that: what it held is free then."""
        closed = threading.Event()
        proposal = Proposal(internal_item(CloseSession(stream.session)), lambda _: closed.set())
        self._node.propose([proposal])
        if closed.wait(OPEN_TIMEOUT_S):
            self._holds.end(stream.session)

    def _take(self, stream: ClientStream, batch: session_pb2.Batch) -> None:
        session = stream.session
        if self._streams.get(session) is not stream:
            return  # another stream has taken its place, or the session has ended: all this is asked again
        self._holds.hear(session, time.monotonic())
        self._holds.forget_answered(session, batch.answered_through)
        callers = [Credentials(c.uid, c.gid, tuple(c.groups)) for c in batch.credentials] or [NOBODY]
        proposals: list[Proposal] = []
        refused: list[tuple[int, Refused]] = []
        queries: list[_Query] = []
        linearizable: list[_Query] = []
        for request in batch.operations:
            operation = decode_operation(request.body)
            if request.credentials >= len(callers):
                raise msgspec.ValidationError("credentials index out of range")
            caller = callers[request.credentials]
            if not isinstance(operation, Mutation):
                is_strict = request.level == session_pb2.LINEARIZABLE or isinstance(operation, OpenFile)
                (linearizable if is_strict else queries).append((request.sequence, caller, operation))
                continue
            try:
                body = self._prepare(session, operation, request.body)
            except Refused as refusal:
                refused.append((request.sequence, refusal))
            else:
                proposals.append(Proposal(Item(session, request.sequence, batch.answered_through, caller, body)))
        if refused:
            self._node.read(partial(self._refuse, stream, refused))
        if proposals:
            self._node.wait_for_room()
            self._node.propose(proposals)
        if queries:
            self._node.read(partial(self._answer_all, stream, queries), index=batch.seen_index)
        if linearizable:
            self._node.read_linearizable(
                partial(self._answer_all, stream, linearizable), lambda: stream.close(self._redirect())
            )

    def _refuse(self, stream: ClientStream, refused: list[tuple[int, Refused]], state: StateMachine) -> None:
        """Refuse what the leader would not propose, but for what an earlier leader has: that keeps its first answer."""
        replies = []
        for sequence, refusal in refused:
            earlier = state.earlier_outcome(stream.session, sequence)
            replies.append(_refused(sequence, refusal) if earlier is None else _reply(earlier))
        stream.put_replies(replies)

    def _prepare(self, session: int, operation: AnyOperation, body: bytes) -> bytes:
        """The body to propose: checked against what the leader alone knows, and placed where it needs a place."""
        if isinstance(operation, Write | Commit | AllocateRange | AllocateBlock):
            self._check_hold(session, operation.ino)
        elif isinstance(operation, SetAttributes) and operation.by_handle:
            self._check_hold(session, operation.at)
        if isinstance(operation, AllocateBlock):
            placement = self._datanodes.place(operation.excluded)
            return encode(msgspec.structs.replace(operation, placement=placement))
        return body

    def _check_hold(self, session: int, inode: int) -> None:
        if not self._holds.is_held(inode, session):
            raise Refused(errno.EBADF, f"session {session} does not hold inode {inode} open")

    def _answer_all(self, stream: ClientStream, queries: list[_Query], state: StateMachine) -> None:
        replies = []
        for sequence, caller, operation in queries:
            try:
                body = self._answer(state, stream.session, sequence, caller, operation)
            except Refused as refusal:
                replies.append(_refused(sequence, refusal))
            else:
                replies.append(session_pb2.Reply(sequence=sequence, body=body))
        stream.put_replies(replies)

    def _answer(
        self, state: StateMachine, session: int, sequence: int, caller: Credentials, operation: AnyQuery
    ) -> bytes:
        if isinstance(operation, ReleaseFiles):
            self._holds.release(session, sequence, operation.inodes, time.monotonic())
            return encode(Done())
        if isinstance(operation, GetFileSystemStatus):
            return encode(self._datanodes.file_system_status(state))
        if isinstance(operation, GetMap):
            self._check_hold(session, operation.ino)
        body = state.query(session, caller, operation, int(time.time()))
        if isinstance(operation, OpenFile):
            inode = Attributes.unpack(_decode_map(body).record).ino
            self._holds.add(session, sequence, inode, time.monotonic())
        return body


def _first_frame(frames: _Frames, context: grpc.ServicerContext) -> session_pb2.ClientFrame | None:
    """The greeting; None where none comes in time, so that nobody keeps a worker by saying nothing."""
    timer = threading.Timer(HELLO_TIMEOUT_S, context.cancel)
    timer.start()
    try:
        return next(frames, None)
    except grpc.RpcError:
        return None
    finally:
        timer.cancel()


def _reply(outcome: Outcome) -> session_pb2.Reply:
    return session_pb2.Reply(sequence=outcome.sequence, body=outcome.body, errno=outcome.errno, message=outcome.message)


def _refused(sequence: int, refusal: Refused) -> session_pb2.Reply:
    return session_pb2.Reply(sequence=sequence, errno=refusal.errno or 0, message=str(refusal))


def _refusal(reason: session_pb2.Refusal.Reason, message: str) -> session_pb2.ServerFrame:
    return session_pb2.ServerFrame(refusal=session_pb2.Refusal(reason=reason, message=message))
