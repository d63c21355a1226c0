"""The threads of one transfer: whichever part fails, it is its error that comes out."""

import errno
import threading
from collections.abc import Callable

import pytest

from cairnfs.client.transfers import Stopped, TransferPool

WAIT_S = 10.0


def parts_of(pool: TransferPool) -> list[Callable[[], None]]:
    """The first goes on until it is stopped, the second fails; many wait behind them."""
    has_failed = threading.Event()

    def goes_on() -> None:
        has_failed.wait(WAIT_S)
        while True:
            pool.moved(1)

    def fails() -> None:
        has_failed.set()
        raise OSError(errno.ENOSPC, "full")

    return [goes_on, fails, *[lambda: None] * 20]


def test_what_failed_comes_out_of_submit() -> None:
    """Not the Stopped of a part that was under way before it: whoever submits sees why."""
    with pytest.raises(OSError, match="full"), TransferPool(2, None) as pool:
        for part in parts_of(pool):
            pool.submit(part)


def test_what_failed_comes_out_after_a_stop() -> None:
    """Parts that were cancelled are no error of their own."""
    barrier = threading.Event()

    def stopped_early(pool: TransferPool) -> None:
        pool.submit(lambda: barrier.wait(WAIT_S) and None)
        for _ in range(4):
            pool.submit(lambda: None)
        releaser = threading.Timer(0.05, barrier.set)
        releaser.start()
        pool.stop()
        releaser.join()
        raise Stopped("by another part")

    with pytest.raises(Stopped), TransferPool(2, None) as pool:
        pool.submit(lambda: barrier.wait(WAIT_S) and None)
        stopped_early(pool)


def test_nothing_is_begun_once_it_is_stopped() -> None:
    """A part that still waits when another fails is not run."""
    ran: list[int] = []
    has_begun = threading.Event()
    may_fail = threading.Event()

    def fails() -> None:
        has_begun.set()
        may_fail.wait(WAIT_S)
        raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"), TransferPool(2, None) as pool:
        pool.submit(fails)
        pool.submit(fails)
        has_begun.wait(WAIT_S)
        pool.submit(lambda: ran.append(1))
        may_fail.set()
        pool.finish()
    assert ran == []
