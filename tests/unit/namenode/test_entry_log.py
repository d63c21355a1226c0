"""The log's files: every synced batch survives whatever a crash leaves, and damage is never taken for a crash."""

import random
from pathlib import Path

import pytest

from cairnfs.common.errors import CorruptData
from cairnfs.namenode import entry_log
from cairnfs.namenode.entry_log import EntryLog
from cairnfs.namenode.raft import Compacted, Entry, EntryKind, Unavailable


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_log, "SEGMENT_BYTES", 64 << 10)


def open_log(folder: Path, *, base: int = 0, first_segment: int = 1) -> EntryLog:
    return EntryLog(folder, base=base, first_segment=first_segment)


def batch(low: int, high: int, term: int = 1, size: int = 50) -> list[Entry]:
    chance = random.Random(f"{low} {high} {term}")
    return [Entry(term, index, EntryKind.NORMAL, chance.randbytes(size)) for index in range(low, high)]


def contents(log: EntryLog) -> list[Entry]:
    return log.entries(log.first_index, log.last_index + 1, 1 << 40) if log.last_index >= log.first_index else []


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.entries"))


def test_batches_survive_a_reopen(tmp_path: Path) -> None:
    """What append() returned for is there, in order, and the log goes on from it."""
    log = open_log(tmp_path)
    for low in range(1, 50, 7):
        log.append(batch(low, low + 7))
    log.close()
    again = open_log(tmp_path)
    assert again.last_index == 49
    assert contents(again) == [entry for low in range(1, 50, 7) for entry in batch(low, low + 7)]
    again.append(batch(again.last_index + 1, again.last_index + 3))
    again.close()


def test_a_torn_batch_is_wiped_wherever_it_is_torn(tmp_path: Path) -> None:
    """The last batch may have reached the disk in part, any part: what came before is whole, and the log goes on."""
    log = open_log(tmp_path)
    log.append(batch(1, 5))
    (path,) = segments(tmp_path)
    before = path.read_bytes()
    log.append(batch(5, 9))
    log.close()
    after = path.read_bytes()
    changed = [position for position in range(len(after)) if before[position] != after[position]]
    start, end = changed[0], changed[-1] + 1
    chance = random.Random(1)
    for trial in range(60):
        torn = bytearray(after)
        low = chance.randrange(start, end)
        high = chance.randrange(low, end) + 1
        torn[low:high] = before[low:high]  # these bytes have not reached the disk
        path.write_bytes(torn)
        again = open_log(tmp_path)
        assert contents(again) in (batch(1, 5), batch(1, 5) + batch(5, 9))
        if again.last_index == 4:
            again.append(batch(5, 7, term=2))
            again.close()
            again = open_log(tmp_path)
            assert contents(again) == batch(1, 5) + batch(5, 7, term=2), trial
        again.close()


def test_a_batch_damaged_in_the_middle_is_corruption(tmp_path: Path) -> None:
    """A batch that does not hold and has others after it was acknowledged: the log refuses to open, at every byte."""
    log = open_log(tmp_path)
    for low in (1, 5, 9):
        log.append(batch(low, low + 4, size=10))
    log.close()
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    used = len(whole.rstrip(b"\0"))
    third = (used - 25) * 2 // 3  # well before the third frame
    for position in range(25, third):
        damaged = bytearray(whole)
        damaged[position] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises(CorruptData):
            open_log(tmp_path).close()


def test_a_bit_that_rots_while_the_log_is_open_is_found_by_the_read(tmp_path: Path) -> None:
    """An entry that fails its checksum is not returned."""
    log = open_log(tmp_path)
    log.append(batch(1, 5))
    (path,) = segments(tmp_path)
    with path.open("r+b") as file:
        file.seek(path.read_bytes().find(batch(1, 5)[2].data))
        file.write(b"\xff\xff\xff")
    with pytest.raises(CorruptData, match="entry 3 fails its checksum"):
        log.entries(1, 5, 1 << 20)
    log.close()


def test_content_cannot_pass_for_a_frame(tmp_path: Path) -> None:
    """A client that writes the bytes of a frame into its file changes nothing, torn or not."""
    log = open_log(tmp_path)
    log.append(batch(1, 3))
    (path,) = segments(tmp_path)
    stolen = path.read_bytes().rstrip(b"\0")
    log.append([Entry(1, 3, EntryKind.NORMAL, stolen * 3)])
    log.close()
    content = bytearray(path.read_bytes())
    content[len(stolen) + 4] ^= 1  # tear the head of the last frame
    path.write_bytes(content)
    again = open_log(tmp_path)
    assert contents(again) == batch(1, 3)
    again.close()


def test_segments_roll_and_are_deleted_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full segment is followed by another; compaction deletes those that hold nothing any more."""
    monkeypatch.setattr(entry_log, "SEGMENT_BYTES", 4096)
    log = open_log(tmp_path)
    for low in range(1, 201, 10):
        log.append(batch(low, low + 10))
    many = len(segments(tmp_path))
    assert many > 3
    log.compact(150)
    assert len(segments(tmp_path)) < many
    log.close()
    again = open_log(tmp_path, base=150)
    assert (again.first_index, again.last_index) == (151, 200)
    assert contents(again) == [entry for low in range(151, 201, 10) for entry in batch(low, low + 10)]
    with pytest.raises(Compacted):
        again.term(150)
    with pytest.raises(Unavailable):
        again.term(201)
    again.close()


def test_a_replaced_suffix_stays_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that gave way do not come back, not even after compaction past those that replaced them."""
    monkeypatch.setattr(entry_log, "SEGMENT_BYTES", 2048)
    log = open_log(tmp_path)
    for low in range(1, 101, 10):
        log.append(batch(low, low + 10))
    log.append(batch(41, 51, term=2))
    log.append(batch(51, 53, term=2, size=1000))
    log.compact(52)
    log.append(batch(53, 54, term=2))
    log.close()
    again = open_log(tmp_path, base=52)
    assert contents(again) == batch(53, 54, term=2)
    again.close()


def test_a_batch_larger_than_a_segment_has_one_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of a segment bounds nothing."""
    monkeypatch.setattr(entry_log, "SEGMENT_BYTES", 4096)
    log = open_log(tmp_path)
    log.append(batch(1, 3, size=100_000))
    log.append(batch(3, 4))
    log.close()
    again = open_log(tmp_path)
    assert contents(again) == batch(1, 3, size=100_000) + batch(3, 4)
    again.close()


def test_a_reset_leaves_nothing_of_before(tmp_path: Path) -> None:
    """After a snapshot the log starts behind it, also when the crash came before the old segments were deleted."""
    log = open_log(tmp_path)
    log.append(batch(1, 50))
    first = log.next_segment
    (old,) = segments(tmp_path)
    saved = old.read_bytes()
    log.reset(1000)
    log.append(batch(1001, 1003))
    log.close()
    old.write_bytes(saved)
    again = open_log(tmp_path, base=1000, first_segment=first)
    assert contents(again) == batch(1001, 1003)
    assert len(segments(tmp_path)) == 1
    again.close()


def test_a_segment_without_its_head_holds_nothing(tmp_path: Path) -> None:
    """A crash while a segment is made leaves a file that is removed; the log goes on in another."""
    log = open_log(tmp_path)
    log.append(batch(1, 5))
    log.close()
    (tmp_path / "0000000002.entries").write_bytes(bytes(4096))
    again = open_log(tmp_path)
    assert contents(again) == batch(1, 5)
    again.append(batch(5, 7))
    again.close()
    last = open_log(tmp_path)
    assert contents(last) == batch(1, 5) + batch(5, 7)
    last.close()


def test_random_histories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Appends, replaced suffixes, compactions and reopens in any order: the log is the list that it stands for."""
    monkeypatch.setattr(entry_log, "SEGMENT_BYTES", 8192)
    for seed in range(15):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        model: list[Entry] = []
        base, term = 0, 1
        log = open_log(folder)
        for _ in range(120):
            move = chance.random()
            if move < 0.6:
                low = base + len(model) + 1
                if model and chance.random() < 0.2:
                    low = chance.randrange(base + 1, low)
                    term += 1
                new = batch(low, low + chance.randrange(1, 8), term, chance.choice((0, 10, 300)))
                log.append(new)
                model = model[: low - base - 1] + new
            elif move < 0.8 and model:
                index = chance.randrange(base + 1, base + len(model) + 1)
                log.compact(index)
                model, base = model[index - base :], index
            else:
                log.close()
                log = open_log(folder, base=base)
            assert contents(log) == model
            assert log.byte_count == sum(len(entry.data) for entry in model)
        log.close()
