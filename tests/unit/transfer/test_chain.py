"""A block through a chain of datanodes: what is acknowledged is on every member."""

from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from cairnfs.client.block_writer import BlockWriter, PipelineFailed
from cairnfs.common.blocks import BLOCK_BYTES_MAX, PIECE_BYTES_MAX
from cairnfs.common.transfer import Bytes
from cairnfs.datanode.layout import Replica
from cairnfs.protos import transfer_pb2 as pb
from tests.unit.transfer.conftest import MakeNodes
from tests.unit.transfer.nodes import (
    CLUSTER,
    LocalNode,
    NodeProcess,
    Stand,
    flip_once,
    locate,
    make_bytes,
    make_relay,
    make_silent_member,
    read_replica,
    send_all,
)

TIMEOUT_S = 10.0


def addresses(nodes: list[LocalNode]) -> list[str]:
    return [node.address for node in nodes]


@pytest.mark.parametrize("members", [1, 2, 3])
def test_every_member_has_what_was_flushed(make_nodes: MakeNodes, members: int) -> None:
    """After flush every member has all bytes; the writer's books agree, and nothing is left to send again."""
    nodes = make_nodes(members)
    data = make_bytes(1, 5 * PIECE_BYTES_MAX + 777)
    located = locate(1, addresses(nodes))
    with BlockWriter(located, CLUSTER, timeout_s=TIMEOUT_S) as writer:
        send_all(writer, data)
        assert writer.flush() == writer.acked_offset == writer.sent_offset == len(data)
        assert writer.unacked() == []
        for node in nodes:
            assert node.volumes.verify(1) == Replica(1, len(data))
    assert [read_replica(located, number, len(data)) for number in range(1, members + 1)] == [data] * members


def test_a_full_block_through_a_small_window(make_nodes: MakeNodes) -> None:
    """A block of the largest size goes through a window of one piece, with buffers handed back in order."""
    nodes = make_nodes(3)
    data = make_bytes(2, BLOCK_BYTES_MAX)
    acked: list[Bytes] = []
    located = locate(1, addresses(nodes))
    options = {"window_bytes": PIECE_BYTES_MAX, "timeout_s": TIMEOUT_S}
    with BlockWriter(located, CLUSTER, on_acked=acked.append, **options) as writer:  # type: ignore[arg-type]
        send_all(writer, data)
        writer.flush()
    assert b"".join(acked) == data
    assert read_replica(located, 3, len(data)) == data


def test_flushed_appends_of_any_size(make_nodes: MakeNodes) -> None:
    """A log of small writes, each flushed, reads as one run."""
    nodes = make_nodes(2)
    located = locate(1, addresses(nodes))
    data = b""
    with BlockWriter(located, CLUSTER, timeout_s=TIMEOUT_S) as writer:
        for size in (1, 10, 4096, 65_535, 65_537, 3):
            piece = make_bytes(size, size)
            writer.send(piece)
            data += piece
            assert writer.flush() == len(data)
    assert read_replica(located, 2, len(data)) == data


def test_a_block_is_continued_by_a_new_connection(make_nodes: MakeNodes) -> None:
    """The same generation goes on at the exact end."""
    nodes = make_nodes(2)
    located = locate(1, addresses(nodes))
    for number in range(3):
        with BlockWriter(located, CLUSTER, offset=number * 1000, timeout_s=TIMEOUT_S) as writer:
            writer.send(bytes([number]) * 1000)
            writer.flush()
    assert read_replica(located, 1, 3000) == b"".join(bytes([number]) * 1000 for number in range(3))


def resume(located_after: list[str], writer: BlockWriter, generation: int) -> BlockWriter:
    """Go on with the survivors: what was not acknowledged is sent again, under a new generation."""
    offset = writer.acked_offset
    again = BlockWriter(locate(1, located_after, generation=generation), CLUSTER, offset=offset, timeout_s=TIMEOUT_S)
    for start, piece in writer.unacked():
        again.send(memoryview(piece)[max(offset - start, 0) :])
    return again


@pytest.mark.parametrize("victim", [1, 2, 3])
def test_death_of_a_member_is_told_and_the_rest_go_on(tmp_path: Path, closing_stack: ExitStack, victim: int) -> None:
    """kill -9 of any member in mid-stream fails the writer with exactly that node; the survivors finish the block."""
    processes = [closing_stack.enter_context(closing(NodeProcess(tmp_path / f"node-{n}"))) for n in (1, 2, 3)]
    places = [process.wait_for_address() for process in processes]
    data = make_bytes(3, 30 * PIECE_BYTES_MAX)
    writer = closing_stack.enter_context(
        BlockWriter(locate(1, places), CLUSTER, window_bytes=4 * PIECE_BYTES_MAX, timeout_s=TIMEOUT_S)
    )
    sent = 0
    with pytest.raises(PipelineFailed) as caught:  # noqa: PT012 - some sends go well before one fails
        for sent in range(0, len(data), PIECE_BYTES_MAX):
            if sent == 10 * PIECE_BYTES_MAX:
                processes[victim - 1].process.kill()
            writer.send(memoryview(data)[sent : sent + PIECE_BYTES_MAX])
        writer.flush()
    assert caught.value.failed_nodes == (victim,)
    assert caught.value.full_nodes == ()
    survivors = [place for number, place in enumerate(places, start=1) if number != victim]
    with resume(survivors, writer, generation=2) as again:
        send_all(again, data[again.sent_offset :])
        assert again.flush() == len(data)
    after = locate(1, survivors, generation=2)
    assert [read_replica(after, number, len(data)) for number in (1, 2)] == [data, data]


@pytest.mark.parametrize("victim", [1, 2, 3])
def test_death_of_a_member_of_an_idle_chain_is_told(make_nodes: MakeNodes, victim: int) -> None:
    """A member that went away while nothing was sent is named at once when something is."""
    nodes = make_nodes(3)
    writer = BlockWriter(locate(1, addresses(nodes)), CLUSTER, timeout_s=60.0)
    writer.send(b"x" * 100)
    writer.flush()
    nodes[victim - 1].server.stop()
    with pytest.raises(PipelineFailed) as caught:  # noqa: PT012 - the first sends may still fit into the buffers
        for _ in range(60):
            writer.send(b"y" * PIECE_BYTES_MAX)
            writer.flush(TIMEOUT_S)
    writer.close()
    assert caught.value.failed_nodes == (victim,)
    assert writer.acked_offset == 100


@pytest.mark.parametrize("victim", [1, 2, 3])
def test_a_member_that_is_away_is_told_at_the_opening(make_nodes: MakeNodes, victim: int) -> None:
    """A chain that cannot be connected names the member that does not answer."""
    places = addresses(make_nodes(3))
    with closing(Stand(lambda sock: None)) as gone:
        places[victim - 1] = gone.address
    with pytest.raises(PipelineFailed) as caught:
        BlockWriter(locate(1, places), CLUSTER, timeout_s=TIMEOUT_S)
    assert caught.value.failed_nodes == (victim,)


@pytest.mark.parametrize("victim", [1, 2, 3])
def test_a_member_that_hangs_is_told(make_nodes: MakeNodes, closing_stack: ExitStack, victim: int) -> None:
    """A member that takes packets and never acknowledges is named within the writer's timeout, wherever it stands."""
    places = addresses(make_nodes(3))
    places[victim - 1] = closing_stack.enter_context(closing(make_silent_member())).address
    writer = closing_stack.enter_context(BlockWriter(locate(1, places), CLUSTER, timeout_s=1.0))
    send_all(writer, bytes(3 * PIECE_BYTES_MAX))
    with pytest.raises(PipelineFailed) as caught:
        writer.flush()
    assert caught.value.failed_nodes == (victim,)


@pytest.mark.parametrize("victim", [1, 2, 3])
def test_a_byte_flipped_on_the_way_is_found(make_nodes: MakeNodes, closing_stack: ExitStack, victim: int) -> None:
    """One wrong bit before any member is found there: that member is named, and no member keeps a wrong byte."""
    nodes = make_nodes(3)
    places = addresses(nodes)
    relay = make_relay(places[victim - 1], flip_once(2 * PIECE_BYTES_MAX + 5000))
    places[victim - 1] = closing_stack.enter_context(closing(relay)).address
    data = make_bytes(4, 6 * PIECE_BYTES_MAX)
    writer = closing_stack.enter_context(BlockWriter(locate(1, places), CLUSTER, timeout_s=TIMEOUT_S))
    with pytest.raises(PipelineFailed) as caught:  # noqa: PT012 - some sends go well before one fails
        send_all(writer, data)
        writer.flush()
    assert caught.value.failed_nodes == (victim,)
    assert caught.value.statuses == (pb.CORRUPT,)
    assert writer.acked_offset <= 2 * PIECE_BYTES_MAX
    with resume(addresses(nodes), writer, generation=2) as again:
        send_all(again, data[again.sent_offset :])
        again.flush()
    after = locate(1, addresses(nodes), generation=2)
    assert [read_replica(after, number, len(data)) for number in (1, 2, 3)] == [data] * 3


@pytest.mark.parametrize("victim", [1, 2, 3])
def test_a_full_member_is_told_as_full(
    make_nodes: MakeNodes, tmp_path: Path, closing_stack: ExitStack, victim: int
) -> None:
    """A member whose disk fills in mid-stream is named with NO_SPACE; what was acknowledged stays on all."""
    nodes = make_nodes(3)
    full = closing_stack.enter_context(closing(LocalNode(tmp_path / "full", capacity_bytes=8 * PIECE_BYTES_MAX)))
    nodes[victim - 1] = full
    data = make_bytes(5, 20 * PIECE_BYTES_MAX)
    writer = closing_stack.enter_context(BlockWriter(locate(1, addresses(nodes)), CLUSTER, timeout_s=TIMEOUT_S))
    with pytest.raises(PipelineFailed) as caught:  # noqa: PT012 - some sends go well before one fails
        send_all(writer, data)
        writer.flush()
    assert caught.value.failed_nodes == caught.value.full_nodes == (victim,)
    assert caught.value.statuses == (pb.NO_SPACE,)
    acked = writer.acked_offset
    assert acked <= 8 * PIECE_BYTES_MAX
    for node in nodes:
        assert node.volumes.verify(1).length >= acked
    assert full.volumes.delete(1, 1).result(TIMEOUT_S) is True


def test_a_full_member_refuses_a_new_block(make_nodes: MakeNodes) -> None:
    """With no room at all the opening is refused at once, as NO_SPACE."""
    nodes = make_nodes(1, capacity_bytes=1)
    with pytest.raises(PipelineFailed) as caught:
        BlockWriter(locate(1, addresses(nodes)), CLUSTER, timeout_s=TIMEOUT_S)
    assert caught.value.full_nodes == (1,)


def test_a_later_writer_fences_an_earlier_one(make_nodes: MakeNodes, closing_stack: ExitStack) -> None:
    """Once a new generation has been opened the old stream adds nothing: its writer is told STALE_GENERATION."""
    nodes = make_nodes(2)
    early = closing_stack.enter_context(BlockWriter(locate(1, addresses(nodes)), CLUSTER, timeout_s=TIMEOUT_S))
    early.send(b"kept" * 1000)
    early.flush()
    later = locate(1, addresses(nodes), generation=2)
    late = closing_stack.enter_context(BlockWriter(later, CLUSTER, offset=4000, timeout_s=TIMEOUT_S))
    early.send(b"lost" * 1000)
    with pytest.raises(PipelineFailed) as caught:
        early.flush()
    assert set(caught.value.statuses) == {pb.STALE_GENERATION}
    late.send(b"new" * 1000)
    late.flush()
    assert read_replica(later, 2, 7000) == b"kept" * 1000 + b"new" * 1000


def test_an_older_generation_is_refused(make_nodes: MakeNodes) -> None:
    """Whoever comes with a generation older than the replica's is told so, by whichever member has the newer one."""
    nodes = make_nodes(2)
    with BlockWriter(locate(1, [nodes[1].address], generation=3), CLUSTER, timeout_s=TIMEOUT_S) as writer:
        writer.send(b"x")
        writer.flush()
    with pytest.raises(PipelineFailed) as caught:
        BlockWriter(locate(1, addresses(nodes), generation=2), CLUSTER, timeout_s=TIMEOUT_S)
    assert caught.value.failed_nodes == (2,)
    assert caught.value.statuses == (pb.STALE_GENERATION,)


def test_a_closed_writer_leaves_the_chain_clean(make_nodes: MakeNodes) -> None:
    """After close no member serves anything any more, and the replicas are complete."""
    nodes = make_nodes(3)
    writer = BlockWriter(locate(1, addresses(nodes)), CLUSTER, timeout_s=TIMEOUT_S)
    writer.send(b"x" * 100)
    writer.flush()
    writer.close()
    writer.close()
    for node in nodes:
        node.server.stop()
        assert node.server.streams == 0
        assert node.volumes.find(1) == Replica(1, 100)


def test_a_writer_that_vanishes_leaves_what_was_synced(make_nodes: MakeNodes) -> None:
    """A client that goes away without a word leaves whole pieces only, and the block free for the next."""
    nodes = make_nodes(2)
    data = make_bytes(6, 4 * PIECE_BYTES_MAX)
    writer = BlockWriter(locate(1, addresses(nodes)), CLUSTER, timeout_s=TIMEOUT_S)
    send_all(writer, data)
    acked = writer.acked_offset
    writer.close()
    with BlockWriter(locate(1, addresses(nodes), generation=2), CLUSTER, offset=acked, timeout_s=TIMEOUT_S) as again:
        send_all(again, data[acked:])
        again.flush()
    assert read_replica(locate(1, addresses(nodes), generation=2), 2, len(data)) == data
