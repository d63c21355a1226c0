"""Reading ahead: the right bytes always, more requests only for those who read in order."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairnfs.client import read_ahead
from cairnfs.client.read_ahead import CHUNKS_MAX, ReadAhead

CHUNK = 100
DATA = bytes(range(256)) * 10


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "CHUNK_BYTES", CHUNK)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


class Source:
    """Gives DATA, and notes what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.is_broken = False

    def read_into(self, offset: int, into: memoryview) -> None:
        self.asked.append((offset, len(into)))
        if self.is_broken:
            raise OSError("broken")
        into[:] = DATA[offset : offset + len(into)]


def read(ahead: ReadAhead, offset: int, length: int) -> bytes:
    into = bytearray(min(length, len(DATA) - offset))
    ahead.read_into(offset, memoryview(into), len(DATA))
    return bytes(into)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, len(DATA) - 1)), st.integers(1, 350)), max_size=30))
def test_any_reads_give_the_bytes(threads: ThreadPoolExecutor, reads: list[tuple[int | None, int]]) -> None:
    """Whatever mixture of reads in order (None) and elsewhere, each gives its bytes."""
    ahead = ReadAhead(Source().read_into, lambda: threads)
    at = 0
    for place, length in reads:
        at = at % len(DATA) if place is None else place
        assert read(ahead, at, length) == DATA[at : at + length]
        at += length
    ahead.drop()


def test_in_order_the_chunks_under_way_grow_to_a_bound(threads: ThreadPoolExecutor) -> None:
    """Each chunk is fetched once, ahead of the reader, never more than CHUNKS_MAX at a time."""
    source = Source()
    ahead = ReadAhead(source.read_into, lambda: threads)
    for at in range(0, len(DATA), 50):
        assert read(ahead, at, 50) == DATA[at : at + 50]
        assert len(ahead._chunks) <= CHUNKS_MAX
    chunks = [asked for asked in source.asked if asked[0] % CHUNK == 0 and asked[1] != 50]
    assert len(chunks) == len(set(chunks))
    assert len(source.asked) <= 2 + len(DATA) // CHUNK + 1


def test_elsewhere_only_what_is_wanted_is_read(threads: ThreadPoolExecutor) -> None:
    """Random reads ask for their own ranges and nothing more."""
    source = Source()
    ahead = ReadAhead(source.read_into, lambda: threads)
    wanted = [(900, 10), (100, 20), (2000, 5), (0, 7)]
    for offset, length in wanted:
        read(ahead, offset, length)
    assert source.asked == wanted


def test_a_failure_is_raised_and_the_chunk_asked_for_again(threads: ThreadPoolExecutor) -> None:
    """An error of a chunk reaches the reader, and a later read tries anew."""
    source = Source()
    ahead = ReadAhead(source.read_into, lambda: threads)
    read(ahead, 0, 50)
    source.is_broken = True
    with pytest.raises(OSError, match="broken"):
        read(ahead, 50, 100)
    source.is_broken = False
    assert read(ahead, 50, 100) == DATA[50:150]


def test_a_file_that_has_grown_is_read_from_the_file(threads: ThreadPoolExecutor) -> None:
    """A chunk that was fetched when the file ended within it has nothing of what came after."""
    ahead = ReadAhead(Source().read_into, lambda: threads)

    def read_of(size: int, offset: int, length: int) -> bytes:
        into = bytearray(length)
        ahead.read_into(offset, memoryview(into), size)
        return bytes(into)

    size = 3 * CHUNK + 10
    for at in range(0, size - 10, 50):
        assert read_of(size, at, 50) == DATA[at : at + 50]
    assert read_of(size, size - 10, 5) == DATA[size - 10 : size - 5]
    assert read_of(size + 60, size - 5, 30) == DATA[size - 5 : size + 25]
