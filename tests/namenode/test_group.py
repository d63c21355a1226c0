"""A group as a whole: restarts, lagging members, snapshots, and one state everywhere."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import grpc
import pytest

from cairnfs.common import operations as ops
from cairnfs.common.channels import open_channel
from cairnfs.common.errors import BadConfig
from cairnfs.namenode.server import NamenodeServer
from cairnfs.protos import admin_pb2, admin_pb2_grpc
from tests.namenode.group import NamenodeGroup, wait_until
from tests.namenode.raw_session import RawSession


@pytest.fixture
def small(tmp_path: Path) -> Iterator[NamenodeGroup]:
    """Three members that keep a short log."""
    servers = NamenodeGroup(tmp_path, log_retained_entries=100)
    try:
        servers.leader()
        yield servers
    finally:
        servers.close()


def has_dropped(server: NamenodeServer, index: int) -> bool:
    return server.node.log_range[0] > index


def is_short(server: NamenodeServer, entries: int) -> bool:
    first, last = server.node.log_range
    return last - first < entries


def make_folders(session: RawSession, prefix: bytes, count: int) -> None:
    for number in range(count):
        session.do(ops.MakeDirectory(1, b"%s-%d" % (prefix, number), 0o755))


def test_everything_answered_is_there_after_a_restart_of_all(small: NamenodeGroup) -> None:
    """Stop every member, start them again: nothing is missing, nothing is new."""
    session = RawSession().connect(small.addresses)
    make_folders(session, b"a", 50)
    session.disconnect()
    for node in list(small.servers):
        small.stop(node)
    for node in small.members:
        small.start(node)
    session.connect(small.addresses)
    for number in range(50):
        session.do(ops.GetAttributes(1, b"a-%d" % number))
    session.disconnect()
    small.assert_equal_digests()


def test_a_member_that_missed_the_log_gets_a_snapshot(small: NamenodeGroup) -> None:
    """A follower that was away for longer than the log reaches back catches up, and answers for itself afterwards."""
    session = RawSession().connect(small.addresses)
    leader = small.leader()
    away = next(node for node in small.servers if node != leader)
    small.stop(away)
    make_folders(session, b"b", 400)
    for server in small.servers.values():
        wait_until(partial(has_dropped, server, 200), "the others have dropped their logs' heads")
    others = list(small.servers)
    for node in others:  # what they still had in memory of the log goes with a restart
        small.stop(node)
    for node in others:
        small.start(node)
    small.start(away)
    small.assert_equal_digests()
    assert small.servers[away].node.log_range[0] > 200, "the log starts behind the snapshot"
    session.connect(small.addresses)
    make_folders(session, b"c", 5)
    small.assert_equal_digests()
    small.stop(away)
    small.start(away)
    small.assert_equal_digests()
    session.disconnect()


def test_the_log_stays_short_while_all_are_up(small: NamenodeGroup) -> None:
    """Compaction keeps about what was asked for, on every member."""
    session = RawSession().connect(small.addresses)
    make_folders(session, b"d", 600)
    session.disconnect()
    for server in small.servers.values():
        wait_until(partial(is_short, server, 300), "the log is short")
    small.assert_equal_digests()


def test_a_group_of_one_serves(tmp_path: Path) -> None:
    """A single namenode needs nobody."""
    single = NamenodeGroup(tmp_path, size=1)
    try:
        session = RawSession().connect(single.addresses)
        make_folders(session, b"e", 10)
        session.disconnect()
    finally:
        single.close()


def test_two_processes_never_share_a_folder(small: NamenodeGroup) -> None:
    """The second is refused with a line that says why."""
    with pytest.raises(BadConfig, match="in use by another namenode"):
        small.start(1)


def test_leadership_moves_when_asked(small: NamenodeGroup) -> None:
    """An operator can choose the leader; a follower refuses to give what it does not have."""
    leader = small.leader()
    follower = next(node for node in small.servers if node != leader)
    with open_channel(small.members[follower]) as channel:
        reply = admin_pb2_grpc.AdminStub(channel).TransferLeadership(admin_pb2.TransferRequest(to=follower), timeout=10)
        assert "not the leader" in reply.error
    with open_channel(small.members[leader]) as channel:
        reply = admin_pb2_grpc.AdminStub(channel).TransferLeadership(admin_pb2.TransferRequest(to=follower), timeout=10)
        assert reply.error == ""
    wait_until(lambda: small.servers[follower].node.is_serving, "the chosen one leads")


def test_status_and_digest_tell_of_each_member(small: NamenodeGroup) -> None:
    """All members name one leader; a digest of an index that is not reached ends in a deadline, not in a hang."""
    leader = small.leader()
    session = RawSession().connect(small.addresses)
    make_folders(session, b"f", 3)
    session.disconnect()
    index = small.settle()
    digests = set()
    for address in small.addresses:
        with open_channel(address) as channel:
            stub = admin_pb2_grpc.AdminStub(channel)
            status = stub.Status(admin_pb2.StatusRequest(), timeout=10)
            assert status.leader_id == leader
            assert len(status.members) == 3
            assert status.inodes >= 4
            reply = stub.Digest(admin_pb2.DigestRequest(at_index=index, timeout_ms=5000), timeout=10)
            if reply.applied_index == index:
                digests.add(reply.digest)
            with pytest.raises(grpc.RpcError) as caught:
                stub.Digest(admin_pb2.DigestRequest(at_index=index + 10**6, timeout_ms=100), timeout=10)
            assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(digests) == 1
