"""What a datanode says it holds against what the block map says it holds: a pure comparison."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Known:
    """A replica as the block map has it; `is_open` while its block is being written."""

    block: int
    generation: int
    length: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Held:
    """A replica as the datanode reports it; `length` in bytes."""

    block: int
    generation: int
    length: int


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The blocks that were being written, or did not exist yet, when a datanode was asked for its report.

    It may have looked through its volumes before these were whole, however whole they are when the report is here.
    """

    open_blocks: frozenset[int]
    next_block: int

    def __contains__(self, block: int) -> bool:
        return block >= self.next_block or block in self.open_blocks


@dataclass(slots=True)
class ReportDifference:
    """`added` and `removed` change the block map; `garbage` is what the datanode should delete."""

    added: list[Held] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    garbage: list[Held] = field(default_factory=list)


def compare_report(
    known: Iterable[Known], reported: Iterable[Held], blocks: dict[int, tuple[int, int]], unsettled: Unsettled
) -> ReportDifference:
    """The difference of two runs in block order.

    `blocks` tells (generation, committed length) of every reported block that exists in the block
    map: what is not in it has been deleted. A copy shorter than what is committed is garbage, and so
    is one of an older generation that is not in the map: the pipeline went on without it. One that
    is in the map stays, whatever its generation: it has every committed byte, and a block's bytes
    never change; the writer may only not have reached it once more. A whole copy that is not in the
    map (its volume came back) is added. A copy that the report lacks is removed from the map. Neither lack nor
    length says anything of a block that is being written, or was when the datanode was asked (`unsettled`).
    """
    difference = ReportDifference()
    expected = {replica.block: replica for replica in known}
    for held in reported:
        replica = expected.pop(held.block, None)
        block = blocks.get(held.block)
        if block is None:
            difference.garbage.append(held)
            continue
        generation, length = block
        if replica is not None and (replica.is_open or replica.block in unsettled):
            continue
        is_whole = held.length >= length and (replica is not None or held.generation >= generation)
        if not is_whole:
            difference.garbage.append(held)
            if replica is not None:
                difference.removed.append(held.block)
        elif replica is None:
            difference.added.append(held)
    difference.removed.extend(
        replica.block for replica in expected.values() if not replica.is_open and replica.block not in unsettled
    )
    return difference
