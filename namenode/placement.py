"""Where a new block goes: a pure choice among the datanodes that are alive."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from cairnfs.common.blocks import BLOCK_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Candidate:
    """A live datanode: bytes free for new blocks, and the streams it is serving."""

    node: int
    free_bytes: int
    transfers: int


@dataclass(frozen=True, slots=True)
class Placement:
    """The datanodes chosen, first the one that the writer sends to; empty with the reason where none will do."""

    nodes: tuple[int, ...]
    is_short_of_space: bool = False


def place_block(
    candidates: Iterable[Candidate],
    *,
    replication: int,
    min_replicas: int,
    excluded: Collection[int],
    rng: Callable[[int], int],
) -> Placement:
    """Up to `replication` nodes for one block, at least `min_replicas` or none.

    Every choice is the better of two drawn at random (fewer streams, then more free bytes), which
    spreads load without herding all writers onto the emptiest node.
    """
    alive = [candidate for candidate in candidates if candidate.node not in excluded]
    roomy = [candidate for candidate in alive if candidate.free_bytes >= BLOCK_BYTES_MAX]
    if len(roomy) < min_replicas:
        return Placement((), is_short_of_space=len(alive) >= min_replicas)
    chosen: list[int] = []
    while roomy and len(chosen) < replication:
        pair = [roomy[rng(len(roomy))] for _ in range(2)]
        best = min(pair, key=lambda candidate: (candidate.transfers, -candidate.free_bytes))
        chosen.append(best.node)
        roomy.remove(best)
    return Placement(tuple(chosen))
