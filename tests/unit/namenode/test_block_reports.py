"""A full report against the block map: what is added, removed and deleted."""

from cairnfs.namenode.block_reports import Held, Known, Unsettled, compare_report

SETTLED = Unsettled(frozenset(), 1_000)


def test_agreement_changes_nothing() -> None:
    """A whole copy that the map knows is left alone."""
    difference = compare_report([Known(1, 1, 10, False)], [Held(1, 1, 10)], {1: (1, 10)}, SETTLED)
    assert (difference.added, difference.removed, difference.garbage) == ([], [], [])


def test_a_copy_of_a_deleted_block_is_garbage() -> None:
    """A block that the map does not have is deleted."""
    assert compare_report([], [Held(9, 1, 10)], {}, SETTLED).garbage == [Held(9, 1, 10)]


def test_a_short_copy_is_garbage_and_leaves_the_map() -> None:
    """Fewer bytes than are committed are no copy."""
    difference = compare_report([Known(2, 1, 10, False)], [Held(2, 1, 9)], {2: (1, 10)}, SETTLED)
    assert difference.garbage == [Held(2, 1, 9)]
    assert difference.removed == [2]


def test_a_copy_that_the_pipeline_left_behind_is_garbage() -> None:
    """A copy of an older generation that the map does not have is deleted."""
    assert compare_report([], [Held(1, 1, 10)], {1: (2, 10)}, SETTLED).garbage == [Held(1, 1, 10)]


def test_a_survivor_that_was_not_reached_again_is_a_copy() -> None:
    """The story: the pipeline broke, the block was renewed, and sealed before its survivors heard of it."""
    difference = compare_report([Known(1, 2, 10, False)], [Held(1, 1, 10)], {1: (2, 10)}, SETTLED)
    assert (difference.added, difference.removed, difference.garbage) == ([], [], [])


def test_a_whole_copy_that_came_back_is_added() -> None:
    """A copy on a volume that was missing for a while counts again."""
    assert compare_report([], [Held(1, 1, 10)], {1: (1, 10)}, SETTLED).added == [Held(1, 1, 10)]


def test_a_lost_copy_is_removed_unless_its_block_is_open() -> None:
    """An open block's pipeline may not have reached the node yet; a sealed one's copy is gone."""
    difference = compare_report([Known(1, 1, 10, False), Known(2, 1, 0, True)], [], {}, SETTLED)
    assert difference.removed == [1]


def test_an_open_block_is_never_judged() -> None:
    """A copy being written may be behind or ahead of what is committed."""
    difference = compare_report([Known(1, 1, 100, True)], [Held(1, 1, 50)], {1: (1, 100)}, SETTLED)
    assert (difference.added, difference.removed, difference.garbage) == ([], [], [])


def test_a_block_that_was_open_when_the_report_was_asked_for_is_not_judged() -> None:
    """The datanode may have looked before the block was whole: too short or missing means nothing then."""
    unsettled = Unsettled(frozenset({1, 2}), 5)
    known = [Known(block, 1, 10, False) for block in (1, 2, 3, 4, 5)]
    blocks = {1: (1, 10), 3: (1, 10)}
    difference = compare_report(known, [Held(1, 1, 5), Held(3, 1, 5)], blocks, unsettled)
    assert difference.garbage == [Held(3, 1, 5)]
    assert difference.removed == [3, 4]
