"""Written bytes that have not gone anywhere yet: one piece of memory and a list of where in the file its parts belong.

Bytes are kept in the order they were written, so that a buffer that is full goes into a block as it lies. Pure.
"""

from cairnfs.client.content_map import overlap

RUNS_MAX = 1024


class WriteBuffer:
    """The memory `arena`, filled from its start; `runs` are (offset in the file, offset in the arena, length)."""

    def __init__(self, arena: bytearray) -> None:
        self.arena = arena
        self.used = 0
        self.runs: list[tuple[int, int, int]] = []

    @property
    def is_full(self) -> bool:
        """Whether it has to be emptied before more goes in."""
        return self.used == len(self.arena) or len(self.runs) >= RUNS_MAX

    @property
    def is_roomy(self) -> bool:
        """Whether it will be a while before it is full."""
        return self.used <= len(self.arena) // 2 and len(self.runs) <= RUNS_MAX // 2

    @property
    def end(self) -> int:
        """Where in the file the last byte ends."""
        return max((offset + length for offset, _, length in self.runs), default=0)

    @property
    def placements(self) -> list[tuple[int, int]]:
        """(offset in the file, length) of the used part of the arena, in its order."""
        return [(offset, length) for offset, _, length in self.runs]

    def put(self, offset: int, data: memoryview) -> int:
        """Take bytes for `offset` of the file; how many of them there was room for."""
        if self.runs:
            run_offset, run_at, run_length = self.runs[-1]
            if run_offset <= offset and offset + len(data) <= run_offset + run_length:
                at = run_at + offset - run_offset
                self.arena[at : at + len(data)] = data
                return len(data)
        length = min(len(data), len(self.arena) - self.used)
        if length == 0 or len(self.runs) >= RUNS_MAX:
            return 0
        self.arena[self.used : self.used + length] = data[:length]
        self._note(offset, length)
        return length

    def _note(self, offset: int, length: int) -> None:
        if self.runs and self.runs[-1][0] + self.runs[-1][2] == offset:
            run_offset, run_at, run_length = self.runs[-1]
            self.runs[-1] = (run_offset, run_at, run_length + length)
        else:
            self.runs.append((offset, self.used, length))
        self.used += length

    def compact(self) -> None:
        """Drop what has been overwritten; where many small writes went to few places this makes room."""
        start = min((offset for offset, _, _ in self.runs), default=0)
        image = bytearray(self.end - start)
        is_written = bytearray(self.end - start)
        for offset, at, length in self.runs:
            image[offset - start : offset - start + length] = self.arena[at : at + length]
            is_written[offset - start : offset - start + length] = b"\1" * length
        self.clear()
        first = 0
        while first < len(image):
            last = is_written.find(0, first)
            last = len(image) if last < 0 else last
            self.arena[self.used : self.used + last - first] = image[first:last]
            self._note(start + first, last - first)
            first = is_written.find(1, last)
            first = len(image) if first < 0 else first

    def clear(self) -> None:
        """Forget everything."""
        self.used = 0
        self.runs = []

    def overlay(self, offset: int, into: memoryview) -> None:
        """Put what was written within the range over what is there."""
        end = offset + len(into)
        for run_offset, run_at, run_length in self.runs:
            first, last = overlap(offset, end, run_offset, run_offset + run_length)
            if first < last:
                at = run_at + first - run_offset
                into[first - offset : last - offset] = memoryview(self.arena)[at : at + last - first]

    def covers(self, offset: int, end: int) -> bool:
        """Whether one run has the whole range, so that nothing else needs to be read."""
        return any(run[0] <= offset and end <= run[0] + run[2] for run in self.runs)
