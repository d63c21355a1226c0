"""Sessions: who is let in, what an end of a stream or of a lease means, and what keeps a file alive."""

import os
import socket

import grpc
import msgspec
import pytest

from cairnfs.common import operations as ops
from cairnfs.common.attributes import Attributes
from cairnfs.common.channels import PROTOCOL_VERSION, open_channel
from cairnfs.namenode.raft import InstallSnapshot, Membership, SnapshotMeta
from cairnfs.namenode.wire import encode_message
from cairnfs.protos import raft_pb2, raft_pb2_grpc, session_pb2, session_pb2_grpc
from tests.namenode.group import CLUSTER_ID, NamenodeGroup, wait_until
from tests.namenode.raw_session import RawSession, RawStream

LINEARIZABLE = 1


def hello(
    *, cluster_id: str = CLUSTER_ID, protocol_version: int = PROTOCOL_VERSION, session_id: int = 0, nonce: bytes = b""
) -> session_pb2.Hello:
    return session_pb2.Hello(
        cluster_id=cluster_id,
        protocol_version=protocol_version,
        session_id=session_id,
        nonce=nonce or os.urandom(16),
    )


def first_answer(group: NamenodeGroup, greeting: session_pb2.Hello) -> session_pb2.ServerFrame:
    """What the leader says to a greeting."""
    stream = RawStream(group.members[group.leader()], greeting)
    try:
        frame = stream.receive()
        assert frame is not None
        return frame
    finally:
        stream.close()


def inode(body: bytes, kind: type[ops.Node] | type[ops.FileMap]) -> int:
    return Attributes.unpack(msgspec.msgpack.decode(body, type=kind).record).ino


@pytest.mark.parametrize(
    ("greeting", "reason", "words"),
    [
        (hello(cluster_id="another"), session_pb2.Refusal.WRONG_CLUSTER, "this is cluster test-cluster, not another"),
        (hello(protocol_version=99), session_pb2.Refusal.WRONG_VERSION, "speaks protocol version 99"),
        (hello(session_id=10**9), session_pb2.Refusal.SESSION_EXPIRED, "has expired"),
        (hello(nonce=b"short"), session_pb2.Refusal.MALFORMED, "nonce of 16 bytes"),
    ],
)
def test_a_wrong_greeting_is_refused_with_a_reason(
    group: NamenodeGroup, greeting: session_pb2.Hello, reason: int, words: str
) -> None:
    """Another cluster, version or session is told so at once."""
    frame = first_answer(group, greeting)
    assert frame.refusal.reason == reason
    assert words in frame.refusal.message


def test_a_follower_names_the_leader(group: NamenodeGroup) -> None:
    """A client that asks the wrong namenode learns where to go."""
    leader = group.leader()
    follower = next(node for node in group.servers if node != leader)
    stream = RawStream(group.members[follower], hello())
    frame = stream.receive()
    stream.close()
    assert frame is not None
    assert frame.redirect.leader == group.members[leader]


def test_opening_a_session_can_be_retried(group: NamenodeGroup) -> None:
    """The same nonce gives the same session."""
    nonce = os.urandom(16)
    first = first_answer(group, hello(nonce=nonce)).welcome.session_id
    assert first_answer(group, hello(nonce=nonce)).welcome.session_id == first


def test_a_malformed_operation_ends_the_stream_with_a_reason(group: NamenodeGroup) -> None:
    """Garbage in an envelope hurts nobody but its sender."""
    stream = RawStream(group.members[group.leader()], hello())
    stream.receive()
    operations = [session_pb2.Operation(sequence=1, body=b"\xff\x00garbage")]
    stream.send(session_pb2.ClientFrame(batch=session_pb2.Batch(operations=operations)))
    frame = stream.receive()
    stream.close()
    assert frame is not None
    assert frame.refusal.reason == session_pb2.Refusal.MALFORMED
    RawSession().connect(group.addresses).disconnect()


def test_a_foreign_protocol_on_the_port_is_survived(group: NamenodeGroup, session: RawSession) -> None:
    """HTTP, TLS and noise on the port end in a closed connection, and the namenode serves on."""
    host, _, port = group.members[group.leader()].partition(":")
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", os.urandom(4096)):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    session.do(ops.GetAttributes(1, b""))


def test_other_service_calls_with_another_clusters_id_are_refused(group: NamenodeGroup) -> None:
    """A namenode of another cluster cannot send Raft messages here."""
    with open_channel(group.members[group.leader()]) as channel:
        envelope = raft_pb2.Envelope(protocol_version=PROTOCOL_VERSION, cluster_id="another", sender=9, recipient=1)
        with pytest.raises(grpc.RpcError) as caught:
            raft_pb2_grpc.PeerStub(channel).Send(iter([envelope]), timeout=10)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_a_session_lives_through_a_lost_stream(session: RawSession, group: NamenodeGroup, folder: bytes) -> None:
    """The same session goes on with a new stream."""
    session.do(ops.WriteFile(1, folder + b"/f", 0o644, b"x"))
    old = session.session_id
    session.disconnect()
    session.connect(group.addresses)
    assert session.session_id == old
    session.do(ops.GetAttributes(1, folder + b"/f"))


def test_a_silent_session_expires(group: NamenodeGroup) -> None:
    """A client not heard of for a lease loses its session, and is told so."""
    silent = RawSession().connect(group.addresses)
    number = silent.session_id
    silent.disconnect()

    def is_gone() -> bool:
        node = group.servers[group.leader()].node
        return node.inspect(lambda state: state.session(number)) is None

    wait_until(is_gone, "the session has expired")
    frame = first_answer(group, hello(session_id=number))
    assert frame.refusal.reason == session_pb2.Refusal.SESSION_EXPIRED


def count_orphans(group: NamenodeGroup) -> int:
    node = group.servers[group.leader()].node
    return len(node.inspect(lambda state: state.orphans(0, 1000)))


def test_an_unlinked_file_lives_while_it_is_open(session: RawSession, group: NamenodeGroup, folder: bytes) -> None:
    """Content of an unlinked file can be read through an open handle, across a failover, until it is released."""
    path = folder + b"/open"
    session.do(ops.WriteFile(1, path, 0o644, b"kept"))
    reader = RawSession().connect(group.addresses)
    ino = inode(reader.do(ops.OpenFile(1, path)), ops.FileMap)
    reader.held.append(ino)
    session.do(ops.Unlink(1, path))
    assert session.call(ops.GetAttributes(1, path)).errno == 2
    for raw in (session, reader):
        raw.disconnect()
    group.move_leadership()
    for raw in (session, reader):
        raw.connect(group.addresses)
    wait_until(lambda: count_orphans(group) == 1, "only the open file is left as an orphan")
    answer = msgspec.msgpack.decode(reader.do(ops.GetMap(ino)), type=ops.FileMap)
    assert answer.inline == b"kept"
    reader.do(ops.ReleaseFiles((ino,)))
    wait_until(lambda: count_orphans(group) == 0, "the released orphan is reaped")
    assert reader.call(ops.GetMap(ino)).errno == 9
    reader.disconnect()


def test_what_a_dead_client_held_is_freed(session: RawSession, group: NamenodeGroup) -> None:
    """A file without a name goes with the session that made it."""
    dead = RawSession().connect(group.addresses)
    dead.do(ops.CreateOrphan(0o644))
    assert count_orphans(group) == 1
    dead.disconnect()
    wait_until(lambda: count_orphans(group) == 0, "the dead client's file is reaped")


def test_only_a_holder_may_use_a_file_by_its_number(session: RawSession, group: NamenodeGroup, folder: bytes) -> None:
    """Another session's open file, or none's, cannot be written, read or truncated by number."""
    ino = inode(session.do(ops.WriteFile(1, folder + b"/mine", 0o600, b"secret")), ops.Node)
    stranger = RawSession(uid=1000, gid=1000).connect(group.addresses)
    for operation in (
        ops.Write(ino, 0, b"x"),
        ops.GetMap(ino),
        ops.AllocateBlock(ino),
        ops.Commit(ino, (), ()),
        ops.AllocateRange(ino, 0, 0, 10),
        ops.SetAttributes(ino, b"", size=0, by_handle=True),
    ):
        assert stranger.call(operation).errno == 9, type(operation).__name__
    stranger.disconnect()


def test_open_sees_what_was_committed_before_anywhere(group: NamenodeGroup, folder: bytes) -> None:
    """Two clients: what one has written and been answered for, the other's open and linearizable stat see."""
    writer = RawSession().connect(group.addresses)
    reader = RawSession().connect(group.addresses)
    path = folder + b"/shared"
    for round_ in range(50):
        content = b"%d" % round_
        writer.do(ops.WriteFile(1, path, 0o644, content))
        assert msgspec.msgpack.decode(reader.do(ops.OpenFile(1, path)), type=ops.FileMap).inline == content
    for raw in (writer, reader):
        raw.disconnect()


def test_a_leader_that_is_cut_off_answers_no_linearizable_read(group: NamenodeGroup, folder: bytes) -> None:
    """Without its majority the old leader cannot confirm that it leads: it ends the stream instead of answering."""
    lonely = RawSession().connect(group.addresses)
    leader = group.leader()
    others = [node for node in group.servers if node != leader]
    for node in others:
        group.stop(node)
    try:
        lonely.send(ops.GetAttributes(1, folder), level=LINEARIZABLE)
        assert lonely.stream is not None
        frame = lonely.stream.receive()
        assert frame is None or frame.WhichOneof("kind") == "redirect"
    finally:
        lonely.disconnect()
        for node in others:
            group.start(node)
        group.leader()


def test_the_number_of_sessions_is_bounded(group: NamenodeGroup) -> None:
    """Beyond the bound a client is refused with a reason, and is let in once another has left."""
    service = group.servers[group.leader()]._sessions
    bound, service._sessions_max = service._sessions_max, service.connected
    try:
        frame = first_answer(group, hello())
        assert "sessions already" in frame.refusal.message
    finally:
        service._sessions_max = bound
    assert first_answer(group, hello()).welcome.session_id


def test_a_stream_without_a_greeting_is_refused(group: NamenodeGroup) -> None:
    """The first frame has to be a hello."""
    with open_channel(group.members[group.leader()]) as channel:
        frames = iter([session_pb2.ClientFrame(batch=session_pb2.Batch())])
        answers = list(session_pb2_grpc.SessionStub(channel).Stream(frames, timeout=10))
    assert answers[0].refusal.reason == session_pb2.Refusal.MALFORMED


def test_a_goodbye_ends_the_session_at_once(group: NamenodeGroup) -> None:
    """A client that leaves in order leaves nothing for a lease to run out on."""
    leaving = RawSession().connect(group.addresses)
    leaving.do(ops.CreateOrphan(0o644))
    assert leaving.stream is not None
    leaving.stream.send(session_pb2.ClientFrame(goodbye=session_pb2.Goodbye()))
    assert leaving.stream.receive() is None
    node = group.servers[group.leader()].node
    assert node.inspect(lambda state: state.session(leaving.session_id)) is None
    wait_until(lambda: count_orphans(group) == 0, "what it held is freed")
    leaving.disconnect()


def test_a_retry_keeps_its_answer_where_the_leader_would_refuse_it_now(
    group: NamenodeGroup, session: RawSession, folder: bytes
) -> None:
    """An operation that was done, sent again once the file is no longer held: the first answer, not EBADF."""
    ino = inode(session.do(ops.CreateFile(1, folder + b"/f", 0o644)), ops.FileMap)
    sequence = session.send(ops.Write(ino, 0, b"abc"))
    before = session.answer(sequence)
    assert before.errno == 0
    session.do(ops.ReleaseFiles((ino,)))
    session.send(ops.Write(ino, 0, b"abc"), sequence=sequence)
    assert session.answer(sequence).body == before.body
    assert session.call(ops.Write(ino, 0, b"abc")).errno == 9


def test_a_question_that_fails_stops_nobody(group: NamenodeGroup) -> None:
    """Whoever asks a bad question hears of it; the namenode serves on."""
    node = group.servers[group.leader()].node
    with pytest.raises(ZeroDivisionError):
        node.inspect(lambda _: 1 // 0)
    assert node.inspect(lambda state: state.applied_index) > 0


def test_a_snapshot_without_its_bytes_is_refused(group: NamenodeGroup) -> None:
    """A message that would replace the state cannot come in by the ordinary way, and ends nothing but its stream."""
    follower = next(node for node in group.servers if node != group.leader())
    message = InstallSnapshot(9, follower, 10**6, SnapshotMeta(10**9, 1, Membership.of((9,))))
    envelope = raft_pb2.Envelope(
        protocol_version=PROTOCOL_VERSION,
        cluster_id=CLUSTER_ID,
        sender=9,
        recipient=follower,
        messages=[encode_message(message)],
    )
    with open_channel(group.members[follower]) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            raft_pb2_grpc.PeerStub(channel).Send(iter([envelope]), timeout=10)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    group.settle()
