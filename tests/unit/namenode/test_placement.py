"""Placement chooses distinct live nodes with room, or says why it cannot."""

import random

from cairnfs.common.blocks import BLOCK_BYTES_MAX
from cairnfs.namenode.placement import Candidate, Placement, place_block

ROOM = 100 * BLOCK_BYTES_MAX


def place(
    candidates: list[Candidate], excluded: tuple[int, ...] = (), *, seed: int = 1, replication: int = 3
) -> Placement:
    return place_block(
        candidates, replication=replication, min_replicas=2, excluded=excluded, rng=random.Random(seed).randrange
    )


def test_nodes_are_distinct_and_not_excluded() -> None:
    """No node gets two copies, and none that the writer found dead gets one."""
    nodes = [Candidate(node, ROOM, 0) for node in range(1, 7)]
    for seed in range(50):
        chosen = place(nodes, (2, 5), seed=seed).nodes
        assert len(set(chosen)) == len(chosen) == 3
        assert not {2, 5} & set(chosen)


def test_fewer_than_replication_is_enough_down_to_min_replicas() -> None:
    """Two live nodes of three take a block; one does not."""
    assert sorted(place([Candidate(1, ROOM, 0), Candidate(2, ROOM, 0)]).nodes) == [1, 2]
    refused = place([Candidate(1, ROOM, 0)])
    assert refused.nodes == ()
    assert not refused.is_short_of_space


def test_full_nodes_are_left_out_and_named_as_the_reason() -> None:
    """Nodes without room for a block get none; where that leaves too few, space is what is short."""
    nodes = [Candidate(1, ROOM, 0), Candidate(2, BLOCK_BYTES_MAX - 1, 0), Candidate(3, 0, 0)]
    refused = place(nodes)
    assert refused.nodes == ()
    assert refused.is_short_of_space


def test_load_spreads() -> None:
    """Busy nodes are chosen less often than idle ones, and all idle ones are used."""
    nodes = [Candidate(1, ROOM, 50)] + [Candidate(node, ROOM, 0) for node in range(2, 10)]
    used = [node for seed in range(300) for node in place(nodes, seed=seed, replication=2).nodes]
    assert used.count(1) < min(used.count(node) for node in range(2, 10))
    assert set(used) >= set(range(2, 10))
