"""The session against namenodes that follow a script: failover, retries, expiry, order, time limits."""

import errno
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from cairnfs.client.session import Session
from cairnfs.common.address import ClusterAddress
from cairnfs.common.attributes import Attributes
from cairnfs.common.errors import ClusterUnavailable, ProtocolError, Refused, SessionExpired, WrongCluster
from cairnfs.common.operations import (
    Credentials,
    FileMap,
    GetAttributes,
    OpenFile,
    ReleaseFiles,
    Unlink,
    decode_operation,
    encode,
)
from cairnfs.protos import session_pb2 as pb
from tests.unit.client.scripted import (
    PATIENCE_S,
    Frames,
    Script,
    ScriptedNamenode,
    answers,
    echo,
    redirect,
    refuse,
    refuse_all_with,
    welcome,
)

ALICE = Credentials(1000, 100, (4, 5))
BOB = Credentials(1001, 100)
Namenodes = Callable[..., ScriptedNamenode]
Connect = Callable[..., Session]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def namenode(stack: ExitStack) -> Namenodes:
    def make(*scripts: Script) -> ScriptedNamenode:
        made = ScriptedNamenode(*scripts)
        stack.callback(made.close)
        return made

    return make


@pytest.fixture
def connect(stack: ExitStack) -> Connect:
    def make(*addresses: str, **options: float) -> Session:
        options = {"connect_timeout_s": PATIENCE_S, "operation_timeout_s": PATIENCE_S, **options}
        session = Session(ClusterAddress(tuple(addresses)), **options)  # type: ignore[arg-type]
        stack.callback(session.close)
        return session.open()

    return make


def look(path: bytes) -> GetAttributes:
    return GetAttributes(1, path)


def opened(ino: int) -> bytes:
    attributes = Attributes(ino, 0o100644, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0)
    return encode(FileMap(attributes.pack(), b"", (), ()))


def test_an_operation_is_answered(namenode: Namenodes, connect: Connect) -> None:
    """A call gives the body of the reply to its own operation, with the caller's credentials beside it."""
    server = namenode(echo)
    session = connect(server.address)
    assert session.call(look(b"/a"), ALICE) == encode(look(b"/a"))
    assert session.cluster_id == "c"


def test_a_refusal_is_raised_with_errno_and_message(namenode: Namenodes, connect: Connect) -> None:
    """A reply with an errno raises Refused, which has the errno and what the namenode said."""

    def script(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        sequence = next(frames).batch.operations[0].sequence
        reply = pb.Reply(sequence=sequence, errno=errno.ENOENT, message="gone")
        yield pb.ServerFrame(replies=pb.Replies(replies=[reply]))
        for _ in frames:
            pass

    session = connect(namenode(script).address)
    with pytest.raises(Refused, match="gone") as refused:
        session.call(look(b"/a"), ALICE)
    assert refused.value.errno == errno.ENOENT


def test_sequences_rise_by_one_from_one_in_the_order_of_calls(namenode: Namenodes, connect: Connect) -> None:
    """Operations of one thread leave in its order with sequences 1, 2, 3, …, their credentials listed once a batch."""
    seen: list[tuple[int, bytes]] = []
    done = threading.Event()

    def script(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        for frame in frames:
            batch = frame.batch
            assert len(batch.credentials) <= 2
            seen.extend((each.sequence, each.body) for each in batch.operations)
            uids = [batch.credentials[each.credentials].uid for each in batch.operations]
            expected = [1000 + decode_operation(each.body).path[-1] % 2 for each in batch.operations]  # type: ignore[union-attr]
            assert uids == expected
            if len(seen) == 50:
                done.set()
            yield answers(batch)

    session = connect(namenode(script).address)
    pending = [session.submit(look(b"/%c" % number), BOB if number % 2 else ALICE) for number in range(48, 98)]
    assert [each.result() for each in pending] == [encode(look(b"/%c" % number)) for number in range(48, 98)]
    assert done.wait(PATIENCE_S)
    assert [sequence for sequence, _ in seen] == list(range(1, 51))


def test_answered_through_follows_the_oldest_unanswered(namenode: Namenodes, connect: Connect) -> None:
    """answered_through is the highest s such that all up to s are answered, whatever later ones are."""
    through: queue.SimpleQueue[int] = queue.SimpleQueue()

    def script(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        kept: list[pb.Operation] = []
        for frame in frames:
            through.put(frame.batch.answered_through)
            operations = list(frame.batch.operations)
            last = any(each.body == encode(look(b"/last")) for each in operations)
            now = [each for each in operations if each.body != encode(look(b"/slow"))]
            kept += [each for each in operations if each.body == encode(look(b"/slow"))]
            if last:
                now, kept = kept + now, []
            yield answers(pb.Batch(operations=now))

    session = connect(namenode(script).address)
    session.call(look(b"/1"), ALICE)
    slow = session.submit(look(b"/slow"), ALICE)
    session.call(look(b"/3"), ALICE)
    session.call(look(b"/last"), ALICE)
    slow.result()
    session.call(look(b"/5"), ALICE)
    seen = []
    while not through.empty():
        seen.append(through.get())
    assert seen[0] == 0
    assert seen[-2:] == [1, 4]


def test_unanswered_operations_are_sent_again_to_the_next_leader(namenode: Namenodes, connect: Connect) -> None:
    """A stream that breaks costs nothing: what was not answered goes to the new leader under the same sequences."""
    first_batches: list[pb.Batch] = []

    def dies(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome(index=5)
        yield answers(first.take_batch(frames), index=9)
        first_batches.append(first.take_batch(frames))

    first = namenode(dies)
    second = namenode()

    def takes_over(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        for _ in range(2):
            yield answers(second.take_batch(frames))
        for _ in frames:
            pass

    second.add(takes_over)
    first.add(refuse_all_with(redirect(second.address)))
    session = connect(first.address)
    assert session.call(look(b"/1"), ALICE) == encode(look(b"/1"))
    assert session.call(Unlink(1, b"/2"), ALICE) == encode(Unlink(1, b"/2"))
    assert session.call(look(b"/3"), ALICE) == encode(look(b"/3"))
    again = second.batches.get()
    assert [(each.sequence, each.body) for each in again.operations] == [(2, encode(Unlink(1, b"/2")))]
    assert [each.sequence for each in first_batches[0].operations] == [2]
    assert (again.answered_through, again.seen_index) == (1, 9)
    assert second.hellos[0].session_id == 7
    assert second.hellos[0].nonce == first.hellos[0].nonce


def test_held_inodes_are_announced_after_a_failover(namenode: Namenodes, connect: Connect) -> None:
    """The hello of a new stream names what is held open, as often as it is held, less what was released."""

    def first(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        left = 5
        while left > 0:
            batch = server.take_batch(frames)
            left -= len(batch.operations)
            replies = []
            for each in batch.operations:
                operation = decode_operation(each.body)
                body = opened(int(operation.path)) if isinstance(operation, OpenFile) else b"\x90"
                replies.append(pb.Reply(sequence=each.sequence, body=body))
            yield pb.ServerFrame(replies=pb.Replies(replies=replies))

    server = namenode(first, echo)
    session = connect(server.address)
    for ino in (11, 12, 11):
        session.call(OpenFile(1, b"%d" % ino), ALICE)
    session.release(12, session.epoch)
    session.call(look(b"/"), ALICE)
    session.call(look(b"/"), ALICE)  # answered by the second stream
    assert sorted(server.hellos[1].held_inodes) == [11, 11]


def test_an_expired_session_fails_what_it_owed_and_begins_anew(namenode: Namenodes, connect: Connect) -> None:
    """After SESSION_EXPIRED unanswered operations raise SessionExpired; later ones go out in a new session, from 1."""

    def first(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome(7)
        server.take_batch(frames)

    def third(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome(8)
        for frame in frames:
            server.batches.put(frame.batch)
            yield answers(frame.batch)

    server = namenode(first, refuse_all_with(refuse(pb.Refusal.SESSION_EXPIRED)), third)
    session = connect(server.address)
    epoch = session.epoch
    with pytest.raises(SessionExpired, match="given this session up"):
        session.call(look(b"/lost"), ALICE)
    assert session.call(look(b"/new"), ALICE) == encode(look(b"/new"))
    assert session.epoch == epoch + 1
    assert [hello.session_id for hello in server.hellos] == [0, 7, 0]
    assert server.hellos[2].nonce != server.hellos[0].nonce
    server.batches.get()
    assert [each.sequence for each in server.batches.get().operations] == [1]


def test_expiry_on_a_running_stream_loses_only_the_old_session(namenode: Namenodes, connect: Connect) -> None:
    """A refusal in the middle of a stream is taken the same way, and releases of the old epoch are not sent."""

    def first(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome(7)
        yield pb.ServerFrame(
            replies=pb.Replies(
                replies=[pb.Reply(sequence=server.take_batch(frames).operations[0].sequence, body=opened(11))]
            )
        )
        server.take_batch(frames)
        yield refuse(pb.Refusal.SESSION_EXPIRED)

    server = namenode(first, echo)
    session = connect(server.address)
    old_epoch = session.epoch
    session.call(OpenFile(1, b"f"), ALICE)
    with pytest.raises(SessionExpired):
        session.call(look(b"/lost"), ALICE)
    session.call(look(b"/new"), ALICE)
    assert session.epoch != old_epoch
    session.release(11, old_epoch)
    assert list(server.hellos[1].held_inodes) == []


def test_another_clusters_address_is_refused_at_once(namenode: Namenodes, connect: Connect) -> None:
    """WRONG_CLUSTER is raised as WrongCluster with the address, without waiting for the time limit."""
    server = namenode(refuse_all_with(refuse(pb.Refusal.WRONG_CLUSTER, "this is cluster x")))
    with pytest.raises(WrongCluster, match=rf"{server.address} .*this is cluster x"):
        connect(server.address)


def test_another_version_is_refused_at_once(namenode: Namenodes, connect: Connect) -> None:
    """WRONG_VERSION is raised as ProtocolError with the address."""
    server = namenode(refuse_all_with(refuse(pb.Refusal.WRONG_VERSION, "speak 2")))
    with pytest.raises(ProtocolError, match="speak 2"):
        connect(server.address)


def test_a_malformed_refusal_ends_the_session_for_good(namenode: Namenodes, connect: Connect) -> None:
    """A namenode that cannot read an operation ends the session with an error for every caller, never a loop."""

    def script(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        next(frames)
        yield refuse(pb.Refusal.MALFORMED, "not an operation")

    session = connect(namenode(script).address)
    with pytest.raises(ProtocolError, match="not an operation"):
        session.call(look(b"/"), ALICE)
    with pytest.raises(ProtocolError, match="not an operation"):
        session.call(look(b"/"), ALICE)


def test_no_namenode_is_an_error_within_the_time_that_names_the_addresses(connect: Connect, stack: ExitStack) -> None:
    """Nobody listens, or what listens is no namenode: ClusterUnavailable within the limit, with each address."""
    silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    silent_address = f"127.0.0.1:{silent.getsockname()[1]}"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        closed_address = f"127.0.0.1:{closed.getsockname()[1]}"
    started = time.monotonic()
    with pytest.raises(ClusterUnavailable) as error:
        connect(closed_address, silent_address, connect_timeout_s=0.5, attempt_timeout_s=0.2)
    assert time.monotonic() - started < PATIENCE_S / 2
    assert f"{closed_address} refuses connections" in str(error.value)
    assert f"{silent_address} did not answer within 0.2 s" in str(error.value)
    assert "\n" not in str(error.value)


def test_no_majority_is_an_error_within_the_time(namenode: Namenodes, connect: Connect) -> None:
    """Namenodes that know of no leader give ClusterUnavailable within the limit, and say so."""
    scripts = [refuse_all_with(redirect())] * 100
    first, second = namenode(*scripts), namenode(*scripts)
    with pytest.raises(ClusterUnavailable, match=r"knows no leader; .* knows no leader"):
        connect(first.address, second.address, connect_timeout_s=0.3)


def test_an_operation_without_an_answer_fails_in_time_and_the_session_goes_on(
    namenode: Namenodes, connect: Connect
) -> None:
    """An operation's time limit raises ClusterUnavailable; its late answer disturbs nobody."""

    def script(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        late = server.take_batch(frames)
        for frame in frames:
            yield answers(late)
            yield answers(frame.batch)

    server = namenode(script)
    session = connect(server.address)
    with pytest.raises(ClusterUnavailable, match=r"within 0\.05 s: .* does not answer"):
        session.call(look(b"/slow"), ALICE, timeout_s=0.05)
    assert session.call(look(b"/next"), ALICE) == encode(look(b"/next"))


def test_what_never_left_is_never_done(namenode: Namenodes, connect: Connect) -> None:
    """An operation whose time ran out while there was no leader is not sent to the next one."""
    resume = threading.Event()

    def second(_: Frames) -> Iterator[pb.ServerFrame]:
        resume.wait(PATIENCE_S)
        yield redirect()

    def third(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        for frame in frames:
            sent.extend(frame.batch.operations)
            yield answers(frame.batch)

    sent: list[pb.Operation] = []
    server = namenode(refuse_all_with(welcome()), second, third)
    session = connect(server.address)
    while len(server.hellos) < 2:
        os.sched_yield()
    with pytest.raises(ClusterUnavailable):
        session.call(Unlink(1, b"/dangerous"), ALICE, timeout_s=0.05)
    resume.set()
    assert session.call(look(b"/"), ALICE) == encode(look(b"/"))
    assert [each.body for each in sent] == [encode(look(b"/"))]


def test_an_open_that_nobody_waits_for_is_released(namenode: Namenodes, connect: Connect) -> None:
    """When the answer to an abandoned open comes, the hold that it brought is given back."""
    released: queue.SimpleQueue[tuple[int, ...]] = queue.SimpleQueue()

    def script(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        late = server.take_batch(frames).operations[0]
        for frame in frames:
            for each in frame.batch.operations:
                operation = decode_operation(each.body)
                if isinstance(operation, ReleaseFiles):
                    released.put(operation.inodes)
            reply = pb.Reply(sequence=late.sequence, body=opened(11))
            yield pb.ServerFrame(replies=pb.Replies(replies=[reply]))
            yield answers(frame.batch)

    server = namenode(script)
    session = connect(server.address)
    with pytest.raises(ClusterUnavailable):
        session.call(OpenFile(1, b"/f"), ALICE, timeout_s=0.05)
    session.call(look(b"/"), ALICE)
    assert released.get(timeout=PATIENCE_S) == (11,)


def test_ctrl_c_leaves_the_session_usable(namenode: Namenodes, connect: Connect) -> None:
    """KeyboardInterrupt comes out of a waiting call, and the next call is answered."""

    def script(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        server.take_batch(frames)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        for frame in frames:
            yield answers(frame.batch)

    server = namenode(script)
    session = connect(server.address)
    with pytest.raises(KeyboardInterrupt):
        session.call(look(b"/slow"), ALICE)
    assert session.call(look(b"/next"), ALICE) == encode(look(b"/next"))


def test_a_silent_leader_is_left_for_another(namenode: Namenodes, connect: Connect) -> None:
    """A leader that keeps its stream open but says nothing (it is stopped) is left, and another answers the call."""
    over = threading.Event()

    def mute(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        for _ in frames:
            pass
        over.set()

    first, second = namenode(mute, refuse_all_with(redirect())), namenode(echo)
    session = connect(first.address, second.address, stall_timeout_s=0.05)
    assert session.call(look(b"/"), ALICE) == encode(look(b"/"))
    assert len(second.hellos) == 1


def test_signs_of_life_keep_the_lease(namenode: Namenodes, connect: Connect) -> None:
    """An idle client sends an empty batch at least every third of the lease."""
    empty = threading.Event()

    def script(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome(lease_ms=300)
        for frame in frames:
            assert not frame.batch.operations
            empty.set()

    connect(namenode(script).address)
    assert empty.wait(PATIENCE_S)


def test_many_threads_get_their_own_answers(namenode: Namenodes, connect: Connect) -> None:
    """Eight threads' operations share batches, and each gets the answers to its own."""
    session = connect(namenode(echo).address)
    wrong: list[bytes] = []

    def work(thread: int) -> None:
        for number in range(200):
            operation = look(b"/%d/%d" % (thread, number))
            if session.call(operation, ALICE) != encode(operation):
                wrong.append(operation.path)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_close_sends_what_is_queued_and_ends_everything(namenode: Namenodes, connect: Connect) -> None:
    """close sends releases that are on their way, ends the stream, and later calls say that it is closed."""
    seen: list[bytes] = []
    ended = threading.Event()

    def script(frames: Frames) -> Iterator[pb.ServerFrame]:
        yield welcome()
        for frame in frames:
            seen.extend(each.body for each in frame.batch.operations)
            yield answers(frame.batch)
        ended.set()

    session = connect(namenode(script).address)
    session.release(11, session.epoch)
    session.close()
    assert ended.wait(PATIENCE_S)
    assert seen == [encode(ReleaseFiles((11,)))]
    with pytest.raises(ClusterUnavailable, match="has been closed"):
        session.submit(look(b"/"), ALICE)
    assert not [thread for thread in threading.enumerate() if thread.name == "cairn-session"]


def test_close_fails_those_who_wait(namenode: Namenodes, connect: Connect) -> None:
    """Closing while a call waits for a leader makes that call fail at once."""
    server = namenode(refuse_all_with(welcome()), *[refuse_all_with(redirect())] * 1000)
    session = connect(server.address)
    while len(server.hellos) < 2:
        os.sched_yield()
    pending = session.submit(look(b"/"), ALICE)
    session.close()
    with pytest.raises(ClusterUnavailable, match="closed before the answer came"):
        pending.result()


def test_use_after_fork_is_a_clear_error(
    namenode: Namenodes, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a child process every call raises RuntimeError that says what to do; close and release do nothing."""
    session = connect(namenode(echo).address)
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: -1)
        with pytest.raises(RuntimeError, match="call connect\\(\\) again in the child"):
            session.submit(look(b"/"), ALICE)
        session.release(1, session.epoch)
        session.close()
    assert session.call(look(b"/"), ALICE) == encode(look(b"/"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_session_that_fails_keeps_nobody_waiting(namenode: Namenodes, connect: Connect) -> None:
    """An answer that makes no sense ends the session: who waits, and who comes later, hears of it at once."""
    session = connect(namenode(echo).address)  # what it echoes is no FileMap
    started_s = time.monotonic()
    for operation in (OpenFile(1, b"/f"), look(b"/")):
        with pytest.raises(ProtocolError, match="the session has failed, call connect"):
            session.call(operation, ALICE)
    assert time.monotonic() - started_s < PATIENCE_S / 2
