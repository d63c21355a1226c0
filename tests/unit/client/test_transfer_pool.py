"""The threads of one transfer: whichever part fails, it is its error that comes out."""

import errno
import threading

import pytest

from cairnfs.client.transfers import Stopped, TransferPool

WAIT_S = 10.0


def run(pool: TransferPool, has_begun: threading.Event, *, stops: bool = False) -> list[int]:
    """The first part goes on until it is stopped, the second fails, more wait behind them; which of those were run."""
    has_failed = threading.Event()
    ran: list[int] = []

    def goes_on() -> None:
        has_failed.wait(WAIT_S)
        while True:
            pool.moved(1)

    def fails() -> None:
        has_begun.wait(WAIT_S)
        has_failed.set()
        raise OSError(errno.ENOSPC, "full")

    with pool:
        pool.submit(goes_on)
        pool.submit(fails)
        for _ in range(2):
            pool.submit(lambda: ran.append(1))
        has_begun.set()
        if stops:
            pool.stop()
            raise Stopped("as a part met it")
        for _ in range(20):
            pool.submit(lambda: ran.append(1))
    return ran


def test_what_failed_comes_out_of_submit() -> None:
    """Not the Stopped of a part that was under way before it: whoever submits sees why."""
    with pytest.raises(OSError, match="full"):
        run(TransferPool(2, None), threading.Event())


def test_what_failed_comes_out_after_a_stop() -> None:
    """Parts that were cancelled are no errors of their own."""
    with pytest.raises(OSError, match="full"):
        run(TransferPool(2, None), threading.Event(), stops=True)


def test_nothing_is_begun_once_it_is_stopped() -> None:
    """A part that still waits when another fails is not run."""
    ran: list[int] = []
    pool = TransferPool(2, None)
    may_fail = threading.Event()

    def fails() -> None:
        may_fail.wait(WAIT_S)
        raise OSError(errno.EIO, "broken")

    for part in (fails, fails, lambda: ran.append(1)):
        pool.submit(part)
    may_fail.set()
    with pytest.raises(OSError, match="broken"), pool:
        pool.finish()
    assert ran == []
