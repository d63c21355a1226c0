"""A datanode and its namenodes: registration, failover, orders and their confirmation, reports."""

import queue
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import lmdb
import pytest

from cairnfs.common.errors import CairnError
from cairnfs.common.tokens import make_token
from cairnfs.common.transfer import PROTOCOL_VERSION, checksums
from cairnfs.datanode.access import AccessGuard
from cairnfs.datanode.environment import Limits
from cairnfs.datanode.errors import VolumeFailed
from cairnfs.datanode.namenode_link import NamenodeLink
from cairnfs.datanode.piece_store import PieceStore
from cairnfs.datanode.registration import Registration
from cairnfs.datanode.statuses import RequestRefused
from cairnfs.datanode.volumes import Volumes
from cairnfs.protos import datanode_pb2 as pb
from cairnfs.protos import transfer_pb2
from tests.unit.datanode.fake_registry_service import FakeRegistry

CLUSTER = "registry"
KEY = b"s" * 32
WAIT_S = 10.0


class Datanode:
    """Volumes with links to namenodes, beating fast."""

    def __init__(self, folder: Path, namenodes: list[str], cluster_id: str = CLUSTER) -> None:
        self.volumes = Volumes.open([folder], cluster_id, Limits(reserve_bytes=0))
        self.guard = AccessGuard(cluster_id)
        self.gave_up: queue.Queue[CairnError] = queue.Queue()
        self.registration = Registration(cluster_id, "127.0.0.1:9999", self.volumes, self.guard, lambda: 3)
        self.links = [
            NamenodeLink(address, self.registration, self.gave_up.put, heartbeat_s=0.02) for address in namenodes
        ]

    def write(self, block: int, generation: int, data: bytes = b"data") -> None:
        writer = self.volumes.open_replica(block, generation, 0).result(WAIT_S)
        writer.append(0, data, checksums(data), lambda: None)
        writer.wait_durable(len(data), WAIT_S)
        writer.close()

    def close(self) -> None:
        for link in self.links:
            link.stop()
        self.volumes.close()


MakeDatanode = Callable[..., Datanode]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def registries(stack: ExitStack) -> list[FakeRegistry]:
    made = [stack.enter_context(closing(FakeRegistry(KEY))) for _ in range(3)]
    made[0].become(is_leader=True, term=1)
    return made


@pytest.fixture
def datanode(tmp_path: Path, stack: ExitStack, registries: list[FakeRegistry]) -> Datanode:
    return stack.enter_context(closing(Datanode(tmp_path / "volume", [one.address for one in registries])))


def test_it_registers_with_the_leader_and_beats_to_all(datanode: Datanode, registries: list[FakeRegistry]) -> None:
    """Every namenode hears from it, under the number that the leader gave, with what it has."""
    for registry in registries:
        registry.wait_for_heartbeats(2)
        beat = registry.heartbeats[-1]
        assert (beat.node_id, beat.cluster_id, beat.transfers) == (7, CLUSTER, 3)
        assert beat.uuid == datanode.volumes.datanode_uuid
        assert [volume.failed for volume in beat.volumes] == [False]
        assert beat.volumes[0].free_bytes > 0
    assert len(registries[0].registrations) == 1


def test_tokens_count_from_the_registration_on(tmp_path: Path, stack: ExitStack) -> None:
    """Before it requests are refused as BUSY; after it a token of the cluster's key is good."""
    registry = stack.enter_context(closing(FakeRegistry(KEY)))
    datanode = stack.enter_context(closing(Datanode(tmp_path / "volume", [registry.address])))
    request = transfer_pb2.Request(protocol_version=PROTOCOL_VERSION, cluster_id=CLUSTER)
    token = make_token(KEY, 1, 1, writable=False, now_s=2_000_000_000)
    request.read.CopyFrom(transfer_pb2.ReadBlock(block=1, generation=1, token=token))
    registry.wait(lambda one: len(one.registrations) >= 2)
    with pytest.raises(RequestRefused, match="not registered"):
        datanode.guard.check(request)
    registry.become(is_leader=True, term=1)
    registry.wait(lambda one: one.heartbeats)
    assert datanode.guard.check(request) == "read"


def test_it_reports_at_the_start_and_when_asked(datanode: Datanode, registries: list[FakeRegistry]) -> None:
    """The first report comes unasked, empty; the next has every replica, in order, headed by who it is from."""
    leader = registries[0]
    leader.wait(lambda one: one.reports)
    for block, generation in ((5, 1), (2, 3), (9, 2)):
        datanode.write(block, generation, b"x" * block)
    leader.wants_report = True
    leader.wait(lambda one: len(one.reports) >= 2)
    (part,) = leader.reports[1]
    assert (part.cluster_id, part.node_id) == (CLUSTER, 7)
    assert [(held.block, held.generation, held.length) for held in part.held] == [(2, 3, 2), (5, 1, 5), (9, 2, 9)]
    assert not registries[1].reports


def test_orders_are_carried_out_and_confirmed(datanode: Datanode, registries: list[FakeRegistry]) -> None:
    """Copies of at most the order's generation go, newer ones stay, and every order is confirmed."""
    leader = registries[0]
    leader.wait(lambda one: one.heartbeats)
    datanode.write(1, 5)
    datanode.write(2, 5)
    for block, generation in ((1, 5), (2, 4), (3, 1)):
        leader.order(block, generation)
    leader.wait(lambda one: {(1, 5), (2, 4), (3, 1)} <= set(one.confirmed()))
    leader.wait_for_heartbeats(2)
    before = len(leader.confirmed())
    leader.wait_for_heartbeats(3)
    assert len(leader.confirmed()) == before
    assert datanode.volumes.find(1) is None
    assert datanode.volumes.find(2) is not None


def test_only_the_leader_of_the_highest_term_orders(datanode: Datanode, registries: list[FakeRegistry]) -> None:
    """1. The datanode hears of term 5 from a new leader. 2. The old one, of term 1, which still thinks that it
    leads, orders a deletion, and a follower does too. 3. Nothing is deleted. 4. The new leader's order is done."""
    old, new, follower = registries
    old.wait(lambda one: one.heartbeats)
    datanode.write(1, 1)
    datanode.write(2, 1)
    new.become(is_leader=True, term=5)
    new.wait_for_heartbeats(2)
    old.order(1, 1)
    follower.become(is_leader=False, term=5)
    follower.order(1, 1)
    old.wait(lambda one: not one.orders)
    follower.wait(lambda one: not one.orders)
    old.wait_for_heartbeats(2)
    follower.wait_for_heartbeats(2)
    new.order(2, 1)
    new.wait(lambda one: (2, 1) in one.confirmed())
    assert datanode.volumes.find(1) is not None
    assert datanode.volumes.find(2) is None


def test_confirmations_survive_a_failover(datanode: Datanode, registries: list[FakeRegistry]) -> None:
    """What the old leader ordered and never heard of again is confirmed to the new one."""
    old, new, _ = registries
    old.wait(lambda one: one.heartbeats)
    datanode.write(1, 1)
    old.order(1, 1)
    old.wait(lambda one: not one.orders)
    old.become(is_leader=False, term=1)
    new.become(is_leader=True, term=2)
    new.wait(lambda one: (1, 1) in one.confirmed())
    assert datanode.volumes.find(1) is None


def test_it_registers_again_when_the_leader_does_not_know_it(
    datanode: Datanode, registries: list[FakeRegistry]
) -> None:
    """A leader that lost it gets a registration; a follower that lags behind does not."""
    leader, follower, _ = registries
    leader.wait(lambda one: one.heartbeats)
    follower.knows_node = False
    follower.wait_for_heartbeats(3)
    assert len(leader.registrations) == 1
    leader.knows_node = False
    leader.wait(lambda one: len(one.registrations) >= 2)
    leader.wait_for_heartbeats(2)
    assert leader.knows_node


def test_dead_namenodes_hold_up_nothing(tmp_path: Path, stack: ExitStack) -> None:
    """With two of three namenodes down it registers, beats, and finds one that comes back on its port."""
    leader = stack.enter_context(closing(FakeRegistry(KEY)))
    leader.become(is_leader=True, term=1)
    with closing(FakeRegistry(KEY)) as gone:
        port = gone.port
    places = [f"127.0.0.1:{port}", leader.address, "127.0.0.1:1"]
    stack.enter_context(closing(Datanode(tmp_path / "volume", places)))
    leader.wait_for_heartbeats(3)
    back = stack.enter_context(closing(FakeRegistry(KEY, port=port)))
    back.wait_for_heartbeats(2)


def test_the_wrong_cluster_is_given_up(tmp_path: Path, stack: ExitStack, registries: list[FakeRegistry]) -> None:
    """A namenode of another cluster ends it, with one clear line."""
    places = [registries[0].address]
    datanode = stack.enter_context(closing(Datanode(tmp_path / "volume", places, cluster_id="other")))
    assert "belongs to cluster registry" in str(datanode.gave_up.get(timeout=WAIT_S))
    datanode.links[0].stop()
    assert datanode.gave_up.empty()
    assert len(registries[0].registrations) == 1


class FaultyStore(PieceStore):
    """A store whose disk is broken."""

    def _sync(self, txn: lmdb.Transaction) -> None:
        raise lmdb.Error("Input/output error")


def test_a_failed_volume_is_told_and_owes_a_report(tmp_path: Path) -> None:
    """When a volume fails the heartbeat says so, and a full report without its replicas follows unasked."""
    store = FaultyStore(tmp_path / "volume", CLUSTER, Limits(reserve_bytes=0))
    store.adopt("uuid")
    volumes = Volumes([store])
    try:
        registration = Registration(CLUSTER, "127.0.0.1:1", volumes, AccessGuard(CLUSTER), lambda: 0)
        leading = pb.HeartbeatReply(is_leader=True, term=1)
        assert registration.take_heartbeat_reply(registration.heartbeat(), leading) is True
        assert registration.take_heartbeat_reply(registration.heartbeat(), leading) is False
        writer = volumes.open_replica(1, 1, 0).result(WAIT_S)
        writer.append(0, b"lost", checksums(b"lost"), lambda: None)
        with pytest.raises(VolumeFailed):
            writer.wait_durable(4, WAIT_S)
        beat = registration.heartbeat()
        assert [volume.failed for volume in beat.volumes] == [True]
        assert registration.take_heartbeat_reply(beat, leading) is True
        assert [list(part.held) for part in registration.report()] == [[]]
    finally:
        volumes.close()


def test_a_rejected_report_is_owed_again(tmp_path: Path) -> None:
    """A report that is not accepted, or not answered, is sent again with the next heartbeat."""
    volumes = Volumes.open([tmp_path / "volume"], CLUSTER, Limits())
    try:
        registration = Registration(CLUSTER, "127.0.0.1:1", volumes, AccessGuard(CLUSTER), lambda: 0)
        leading = pb.HeartbeatReply(is_leader=True, term=1)
        assert registration.take_heartbeat_reply(registration.heartbeat(), leading) is True
        assert registration.take_heartbeat_reply(registration.heartbeat(), leading) is False
        for reply in (None, pb.ReportReply(accepted=False, message="no leader")):
            registration.take_report_reply(reply)
            assert registration.take_heartbeat_reply(registration.heartbeat(), leading) is True
        registration.take_report_reply(pb.ReportReply(accepted=True))
        assert registration.take_heartbeat_reply(registration.heartbeat(), leading) is False
    finally:
        volumes.close()
